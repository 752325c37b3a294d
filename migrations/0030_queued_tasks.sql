-- Work that is done after an answer: mails, and password resets at the identity provider. A row is there until its work is
-- done; what it holds is sealed. Taking a row up moves its due time by the lease, so that whoever dies over it loses nothing.
CREATE TABLE queued_task (
    id         TEXT PRIMARY KEY,
    sealed     TEXT NOT NULL,
    attempts    BIGINT NOT NULL,
    due_at     BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE INDEX queued_task_due ON queued_task (due_at);

-- Sign-in links are asked for by mail address.
CREATE INDEX users_email ON users (email_key) WHERE email_key <> '';
