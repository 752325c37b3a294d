-- Users whose changes wait to reach SecureAuth. A row says that a user changed, not what changed: the worker pushes the user's
-- current state and deletes the row if its version is still the same.
CREATE TABLE user_change (
    biller_id   TEXT NOT NULL REFERENCES biller (id),
    user_id     TEXT NOT NULL,
    version     TEXT NOT NULL,
    queued_at   BIGINT NOT NULL,
    due_at      BIGINT NOT NULL,
    attempts     BIGINT NOT NULL,
    fencing_token TEXT NOT NULL,
    lease_until BIGINT NOT NULL,
    problem     TEXT NOT NULL,
    PRIMARY KEY (biller_id, user_id)
);

CREATE INDEX user_change_due ON user_change (due_at);
