-- Instants are microseconds since 1970 (UTC), ids are UUID text, chains are concatenated DER, leaf first.

CREATE TABLE certificates (
    id                  TEXT    NOT NULL PRIMARY KEY,
    revision            BIGINT  NOT NULL CHECK (revision >= 1),
    name                TEXT    NOT NULL,
    -- The name without case: what "unique" means.
    name_key            TEXT    NOT NULL UNIQUE,
    description         TEXT,
    is_default          BOOLEAN NOT NULL,
    origin              TEXT    NOT NULL CHECK (origin IN ('generated', 'uploaded', 'issued', 'imported')),
    generation          BIGINT  NOT NULL CHECK (generation >= 1),
    -- The public certificate, so that everything is shown, and can be regenerated, when the files are gone.
    chain               BLOB    NOT NULL,
    -- SHA-256 of each file: what lies on disk is used only when it is this.
    certificate_digest  BLOB    NOT NULL,
    chain_digest        BLOB    NOT NULL,
    private_key_digest  BLOB    NOT NULL,
    -- Copies out of the leaf, for searching and sorting without parsing.
    common_name         TEXT,
    application_uri     TEXT,
    not_before          BIGINT  NOT NULL,
    not_after           BIGINT  NOT NULL,
    thumbprint_sha1     TEXT    NOT NULL,
    thumbprint_sha256   TEXT    NOT NULL UNIQUE,
    -- What regenerate repeats beyond what the leaf says.
    validity_days       BIGINT  NOT NULL CHECK (validity_days >= 1),
    created_at          BIGINT  NOT NULL,
    updated_at          BIGINT  NOT NULL,
    -- When this generation became current.
    installed_at        BIGINT  NOT NULL
);

-- At most one default; that there is one is kept by the transactions that create and delete.
CREATE UNIQUE INDEX certificates_one_default ON certificates (is_default) WHERE is_default;

CREATE TRIGGER certificates_default_stays BEFORE DELETE ON certificates WHEN OLD.is_default
BEGIN
    SELECT RAISE(ABORT, 'the default certificate is not deleted');
END;

CREATE INDEX certificates_application_uri ON certificates (application_uri);

-- Key pairs that are no longer current, of deleted certificates too: hence no reference to certificates.
CREATE TABLE certificate_history (
    certificate_id      TEXT    NOT NULL,
    generation          BIGINT  NOT NULL,
    name                TEXT    NOT NULL,
    origin              TEXT    NOT NULL,
    chain               BLOB    NOT NULL,
    thumbprint_sha256   TEXT    NOT NULL,
    current_from        BIGINT  NOT NULL,
    current_until       BIGINT  NOT NULL,
    reason              TEXT    NOT NULL CHECK (reason IN ('regenerated', 'replaced', 'installed', 'deleted')),
    PRIMARY KEY (certificate_id, generation)
);

CREATE TABLE devices (
    id                          TEXT    NOT NULL PRIMARY KEY,
    revision                    BIGINT  NOT NULL CHECK (revision >= 1),
    name                        TEXT    NOT NULL,
    name_key                    TEXT    NOT NULL UNIQUE,
    description                 TEXT,
    endpoint_url                TEXT    NOT NULL,
    security_mode               TEXT    NOT NULL CHECK (security_mode IN ('none', 'sign', 'sign_and_encrypt')),
    -- NULL: the best one offered.
    security_policy             TEXT,
    -- NULL: the default.
    certificate_id              TEXT    REFERENCES certificates (id),
    -- NULL: anonymous.
    username                    TEXT,
    -- Encrypted under secrets.key.
    password                    BLOB    CHECK (password IS NULL OR username IS NOT NULL),
    server_certificate_policy   TEXT    NOT NULL CHECK (server_certificate_policy IN ('pin', 'trust_list', 'accept_any')),
    server_host_name_check      BOOLEAN NOT NULL,
    pinned_chain                BLOB,
    trust_guide_product         TEXT,
    scan_rate_seconds           DOUBLE PRECISION NOT NULL CHECK (scan_rate_seconds >= 0.1 AND scan_rate_seconds <= 3600),
    timeout_seconds             BIGINT  NOT NULL CHECK (timeout_seconds >= 1 AND timeout_seconds <= 300),
    enabled                     BOOLEAN NOT NULL,
    created_at                  BIGINT  NOT NULL,
    updated_at                  BIGINT  NOT NULL
);

CREATE INDEX devices_certificate ON devices (certificate_id, security_mode);

CREATE TABLE device_history (
    device_id           TEXT    NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    -- Counts a device's transitions; clocks jump.
    sequence            BIGINT  NOT NULL,
    at                  BIGINT  NOT NULL,
    state               TEXT    NOT NULL CHECK (state IN ('stopped', 'starting', 'running', 'failed')),
    error_code          TEXT,
    error_message       TEXT,
    PRIMARY KEY (device_id, sequence)
);

CREATE TABLE presented_certificates (
    device_id           TEXT    NOT NULL PRIMARY KEY REFERENCES devices (id) ON DELETE CASCADE,
    chain               BLOB    NOT NULL,
    thumbprint_sha256   TEXT    NOT NULL,
    seen_at             BIGINT  NOT NULL
);

CREATE INDEX presented_certificates_thumbprint ON presented_certificates (thumbprint_sha256);

CREATE TABLE seen_certificates (
    endpoint_url        TEXT    NOT NULL,
    thumbprint_sha256   TEXT    NOT NULL,
    chain               BLOB    NOT NULL,
    first_seen          BIGINT  NOT NULL,
    last_seen           BIGINT  NOT NULL,
    PRIMARY KEY (endpoint_url, thumbprint_sha256)
);

CREATE TABLE tokens (
    id                  TEXT    NOT NULL PRIMARY KEY,
    name                TEXT    NOT NULL,
    role                TEXT    NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    -- A JSON array of names.
    permissions         TEXT    NOT NULL,
    secret_hash         BLOB    NOT NULL UNIQUE,
    created_at          BIGINT  NOT NULL,
    expires_at          BIGINT
);

CREATE TABLE audit (
    sequence            BIGINT  NOT NULL PRIMARY KEY,
    at                  BIGINT  NOT NULL,
    actor               TEXT    NOT NULL,
    address             TEXT,
    action              TEXT    NOT NULL,
    resource_kind       TEXT,
    resource_id         TEXT,
    resource_name       TEXT,
    before_json         TEXT,
    after_json          TEXT,
    hash                BLOB    NOT NULL
);

CREATE TABLE idempotency (
    token_id            TEXT    NOT NULL,
    idempotency_key     TEXT    NOT NULL,
    body_hash           BLOB    NOT NULL,
    status              BIGINT  NOT NULL,
    -- A JSON array of pairs.
    headers             TEXT    NOT NULL,
    body                BLOB    NOT NULL,
    at                  BIGINT  NOT NULL,
    PRIMARY KEY (token_id, idempotency_key)
);

CREATE INDEX idempotency_at ON idempotency (at);

-- Facts about the store itself.
CREATE TABLE facts (
    fact                TEXT    NOT NULL PRIMARY KEY,
    value               TEXT    NOT NULL
);
