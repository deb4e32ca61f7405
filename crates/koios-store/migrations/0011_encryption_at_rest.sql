-- The keys that files of private keys are encrypted with, sealed under the master key; the one with the highest id is in
-- use.
CREATE TABLE data_keys (
    id                  BIGINT  NOT NULL PRIMARY KEY,
    sealed              BLOB    NOT NULL,
    created_at          BIGINT  NOT NULL
);

-- Files of private keys that are about to be written anew, encrypted or in plain form, and what they will be then.
CREATE TABLE key_conversions (
    certificate_id      TEXT    NOT NULL,
    generation          BIGINT  NOT NULL,
    private_key_digest  BLOB    NOT NULL,
    PRIMARY KEY (certificate_id, generation)
);
