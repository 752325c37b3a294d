-- Every decision under its reference code: facts as they were, the trace, and what was shown.
CREATE TABLE decision_log (
    code      TEXT PRIMARY KEY,
    at        BIGINT NOT NULL,
    kind      TEXT NOT NULL,
    biller    TEXT,
    username_hash TEXT,
    username_mask TEXT,
    response  TEXT NOT NULL,
    details   TEXT NOT NULL
);

CREATE INDEX decision_log_at ON decision_log (at);
