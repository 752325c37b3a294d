-- Staff signed in at the console, found by the hash of the session's id. Customers' sessions are elsewhere.
CREATE TABLE staff_session (
    id_hash    TEXT PRIMARY KEY,
    issuer     TEXT NOT NULL,
    subject    TEXT NOT NULL,
    name       TEXT NOT NULL,
    roles      TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_seen  BIGINT NOT NULL,
    ended_at   BIGINT
);

CREATE INDEX staff_session_last_seen ON staff_session (last_seen);
