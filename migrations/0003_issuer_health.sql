-- What our own calls to a biller's identity provider met with, seen by every instance.
CREATE TABLE issuer_health (
    biller_id  TEXT PRIMARY KEY REFERENCES biller (id),
    state      TEXT NOT NULL,
    failures   BIGINT NOT NULL,
    reason     TEXT NOT NULL,
    changed_at BIGINT NOT NULL,
    checked_at BIGINT NOT NULL
);
