-- Work that is done after a response: mail, and password resets at the identity provider. The content is sealed. A row stays
-- until its work is done, so that a killed worker loses nothing.
CREATE TABLE queued_task (
    id         TEXT PRIMARY KEY,
    sealed     TEXT NOT NULL,
    attempts    BIGINT NOT NULL,
    due_at     BIGINT NOT NULL,
    fencing_token TEXT NOT NULL,
    lease_until BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE INDEX queued_task_due ON queued_task (due_at);

-- Sign-in links are asked for by mail address.
CREATE INDEX users_email ON users (email_key) WHERE email_key <> '';
