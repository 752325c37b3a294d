-- Users whose changes are on their way to SecureAuth. A row says that something changed, not what: whoever works on it brings
-- the pool to the directory's present state, and takes the row away if its version is still the same.
CREATE TABLE user_change (
    biller_id   TEXT NOT NULL REFERENCES biller (id),
    user_id     TEXT NOT NULL,
    version     TEXT NOT NULL,
    queued_at   BIGINT NOT NULL,
    due_at      BIGINT NOT NULL,
    attempts     BIGINT NOT NULL,
    owner       TEXT NOT NULL,
    lease_until BIGINT NOT NULL,
    problem     TEXT NOT NULL,
    PRIMARY KEY (biller_id, user_id)
);

CREATE INDEX user_change_due ON user_change (due_at);
