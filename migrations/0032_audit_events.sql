-- Who did what: one row an administrative act, written in the transaction of what it changes. Rows are only added.
CREATE TABLE audit_event (
    id         TEXT PRIMARY KEY,
    at         BIGINT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id   TEXT NOT NULL,
    actor_name TEXT NOT NULL,
    role       TEXT,
    action     TEXT NOT NULL,
    biller     TEXT,
    subject    TEXT,
    reason     TEXT,
    details    TEXT NOT NULL
);

CREATE INDEX audit_event_actor ON audit_event (actor_id, id);

CREATE INDEX audit_event_biller ON audit_event (biller, id);

CREATE INDEX audit_event_action ON audit_event (action, id);
