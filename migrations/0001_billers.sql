-- Billers, and a counter that tells every process when its copy of them is old.
CREATE TABLE biller (
    id          TEXT PRIMARY KEY,
    slug        TEXT NOT NULL UNIQUE,
    name        TEXT NOT NULL,
    state       TEXT NOT NULL,
    active_from BIGINT,
    settings    TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);

CREATE TABLE biller_host (
    host      TEXT PRIMARY KEY,
    biller_id TEXT NOT NULL REFERENCES biller (id)
);

CREATE TABLE revision (
    name  TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);

INSERT INTO revision (name, value) VALUES ('billers', 1);
