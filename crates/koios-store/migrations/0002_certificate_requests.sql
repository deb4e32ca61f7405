-- Requests that an authority has not answered yet, one per certificate.
CREATE TABLE certificate_requests (
    certificate_id      TEXT    NOT NULL PRIMARY KEY REFERENCES certificates (id) ON DELETE CASCADE,
    -- PKCS#10, DER.
    request             BLOB    NOT NULL,
    -- Where the new key lies and what its file must hold; NULL when the request is for the key in use.
    generation          BIGINT  CHECK (generation >= 1),
    private_key_digest  BLOB    CHECK ((private_key_digest IS NULL) = (generation IS NULL)),
    created_at          BIGINT  NOT NULL
);
