-- Who did what: one row an administrative act, written in the transaction of what it changes. Rows are only added.
CREATE TABLE act (
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

CREATE INDEX act_actor ON act (actor_id, id);

CREATE INDEX act_biller ON act (biller, id);

CREATE INDEX act_action ON act (action, id);
