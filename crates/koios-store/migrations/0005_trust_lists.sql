-- Why server certificates were refused. The certificates themselves are files in trust/rejected/certs.
CREATE TABLE rejected_certificates (
    thumbprint_sha256   TEXT    PRIMARY KEY NOT NULL,
    -- As the server presented it.
    chain               BLOB    NOT NULL,
    -- A connection code; NULL when a person rejected it.
    reason_code         TEXT,
    reason              TEXT    NOT NULL,
    first_seen          BIGINT  NOT NULL,
    last_seen           BIGINT  NOT NULL
);

-- Whose connections refused them, and why.
CREATE TABLE rejected_by (
    thumbprint_sha256   TEXT    NOT NULL REFERENCES rejected_certificates (thumbprint_sha256) ON DELETE CASCADE,
    device_id           TEXT    NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    reason_code         TEXT    NOT NULL,
    at                  BIGINT  NOT NULL,
    PRIMARY KEY (thumbprint_sha256, device_id)
);

-- Files of the trust lists that a change under way moves: taken back at the next start when the change did not end.
CREATE TABLE trust_file_moves (
    source              TEXT    NOT NULL,
    target              TEXT    PRIMARY KEY NOT NULL
);

CREATE INDEX rejected_by_device ON rejected_by (device_id);

CREATE INDEX seen_certificates_thumbprint ON seen_certificates (thumbprint_sha256);
