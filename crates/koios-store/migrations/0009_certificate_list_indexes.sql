-- A page of a long list of certificates is found by its order, as one of devices is.
CREATE INDEX certificates_by_end ON certificates (not_after, id);
CREATE INDEX certificates_by_creation ON certificates (created_at, id);
