-- Keys of the audit trail's seals, each sealed under the master key. A new one is made when the newest cannot be opened.
CREATE TABLE audit_keys (
    id          BIGINT  PRIMARY KEY NOT NULL,
    sealed      BLOB    NOT NULL,
    created_at  BIGINT  NOT NULL
);

-- NULL: an entry from before there were keys, whose hash anyone can compute.
ALTER TABLE audit ADD COLUMN key_id BIGINT REFERENCES audit_keys (id);

CREATE INDEX audit_resource ON audit (resource_id);
