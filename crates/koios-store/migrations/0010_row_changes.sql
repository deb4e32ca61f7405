-- Which certificates and devices changed, and when in the order of the commits: by this, what is kept of them in memory for
-- searching and sorting is brought up to date.
CREATE TABLE row_revision (
    revision            BIGINT  NOT NULL
);

INSERT INTO row_revision (revision) VALUES (0);

CREATE TABLE row_changes (
    kind                TEXT    NOT NULL CHECK (kind IN ('certificate', 'device')),
    id                  TEXT    NOT NULL,
    -- Of the last commit that changed, added or deleted the row.
    revision            BIGINT  NOT NULL,
    PRIMARY KEY (kind, id)
);

CREATE INDEX row_changes_revision ON row_changes (revision);
