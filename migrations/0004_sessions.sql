-- A browser's session, found by the hash of its id, and under it one row for each biller signed in to.
-- Ended rows stay until they are swept, so that nothing can bring them back.
CREATE TABLE session (
    id_hash    TEXT PRIMARY KEY,
    browser_session_id TEXT NOT NULL,
    data       TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_seen  BIGINT NOT NULL,
    ended_at   BIGINT
);

CREATE INDEX session_last_seen ON session (last_seen);

CREATE TABLE biller_session (
    id         TEXT PRIMARY KEY,
    browser_session_id TEXT NOT NULL,
    biller_id  TEXT NOT NULL REFERENCES biller (id),
    user_id    TEXT NOT NULL REFERENCES users (id),
    issuer     TEXT NOT NULL,
    subject    TEXT NOT NULL,
    sid        TEXT,
    auth_time  BIGINT NOT NULL,
    details    TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    ended_at   BIGINT
);

CREATE INDEX biller_session_browser ON biller_session (browser_session_id);

-- One at a time for each browser and biller, also when two tabs finish at the same moment.
CREATE UNIQUE INDEX biller_session_live ON biller_session (browser_session_id, biller_id) WHERE ended_at IS NULL;

CREATE INDEX biller_session_subject ON biller_session (biller_id, subject);

CREATE INDEX biller_session_user ON biller_session (user_id);
