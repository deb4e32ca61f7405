-- What servers say of themselves, per endpoint: their word, kept to choose the guide for a person.
CREATE TABLE server_identities (
    endpoint_url       TEXT    PRIMARY KEY NOT NULL,
    application_uri    TEXT    NOT NULL,
    product_uri        TEXT    NOT NULL,
    application_name   TEXT    NOT NULL,
    manufacturer_name  TEXT    NOT NULL,
    product_name       TEXT    NOT NULL,
    seen_at            BIGINT  NOT NULL
);
