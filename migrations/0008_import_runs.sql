-- How far the import of a file has come, so that an interrupted one goes on where it stopped.
CREATE TABLE import_run (
    biller_id  TEXT NOT NULL REFERENCES biller (id),
    file_hash  TEXT NOT NULL,
    rows_done  BIGINT NOT NULL,
    created    BIGINT NOT NULL,
    updated    BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at   BIGINT,
    PRIMARY KEY (biller_id, file_hash)
);
