-- Enablement jobs and their steps. A step is written before the call that creates its object at SecureAuth.
CREATE TABLE job (
    id          TEXT PRIMARY KEY,
    biller_id   TEXT NOT NULL REFERENCES biller (id),
    state       TEXT NOT NULL,
    cancel_requested BIGINT NOT NULL,
    mode        TEXT NOT NULL,
    passwords   TEXT NOT NULL,
    generation  BIGINT NOT NULL,
    fencing_token TEXT NOT NULL,
    lease_until BIGINT NOT NULL,
    last_user_id TEXT NOT NULL,
    done        BIGINT NOT NULL,
    total       BIGINT NOT NULL,
    message     TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    ended_at    BIGINT
);

-- A biller has at most one open job.
CREATE UNIQUE INDEX job_open ON job (biller_id) WHERE ended_at IS NULL;

CREATE TABLE job_step (
    job_id     TEXT NOT NULL REFERENCES job (id),
    kind       TEXT NOT NULL,
    object_id  TEXT NOT NULL,
    state      TEXT NOT NULL,
    sealed     TEXT,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (job_id, kind)
);
