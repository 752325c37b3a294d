-- Requests with an Idempotency-Key, and what was answered: a repetition is answered the same.
CREATE TABLE idempotency (
    api_key    TEXT NOT NULL,
    name       TEXT NOT NULL,
    request    TEXT NOT NULL,
    status     BIGINT,
    body       TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (api_key, name)
);

CREATE INDEX idempotency_created ON idempotency (created_at);
