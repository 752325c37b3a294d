-- Changes of where a moved biller's people sign in: they wait for a second person.
CREATE TABLE pending_change (
    id         TEXT PRIMARY KEY,
    biller_id  TEXT NOT NULL REFERENCES biller (id),
    summary    TEXT NOT NULL,
    change     TEXT NOT NULL,
    requested_by   TEXT NOT NULL,
    requested_at   BIGINT NOT NULL,
    decided_by TEXT,
    decided_at BIGINT,
    outcome    TEXT
);
