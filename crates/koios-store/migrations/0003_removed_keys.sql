-- Keys that a commit gave up and nothing else tells so: where each lay and what its file held. The file goes after that
-- commit, at the latest at the next start.
CREATE TABLE removed_keys (
    certificate_id      TEXT    NOT NULL REFERENCES certificates (id) ON DELETE CASCADE,
    generation          BIGINT  NOT NULL CHECK (generation >= 1),
    private_key_digest  BLOB    NOT NULL,
    PRIMARY KEY (certificate_id, generation, private_key_digest)
);
