-- The last warning of its end that each certificate has had, so that none is given twice.
CREATE TABLE expiry_warnings (
    certificate_id      TEXT    NOT NULL PRIMARY KEY REFERENCES certificates (id) ON DELETE CASCADE,
    -- Of which key pair: another one is warned of anew.
    generation          BIGINT  NOT NULL,
    -- How many days before the end it was due; 0 for the end itself.
    threshold_days      BIGINT  NOT NULL,
    warned_at           BIGINT  NOT NULL
);
