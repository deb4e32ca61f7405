-- A page of a long list is found by its order, and counted without reading the devices.
CREATE INDEX devices_by_endpoint ON devices (endpoint_url, id);
CREATE INDEX devices_by_creation ON devices (created_at, id);
CREATE INDEX devices_by_kind ON devices (enabled, security_mode);
