-- What servers have said to whom: earlier attempts that help to read an answer which hides its reason.
CREATE TABLE attempt_evidence (
    -- Host and port.
    server              TEXT    NOT NULL,
    -- SHA-256 of the client certificate; empty without security.
    client_thumbprint   TEXT    NOT NULL,
    -- SHA-256 of the server certificate; empty without security.
    server_thumbprint   TEXT    NOT NULL,
    security_policy     TEXT    NOT NULL,
    -- accepted, or the connection code of a refusal that names its reason.
    outcome             TEXT    NOT NULL,
    at                  BIGINT  NOT NULL,
    PRIMARY KEY (server, client_thumbprint, server_thumbprint, security_policy, outcome)
);

CREATE INDEX attempt_evidence_at ON attempt_evidence (at);
