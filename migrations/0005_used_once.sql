-- Things that count once (sign-in attempts, hand-offs): the one insert that succeeds wins.
CREATE TABLE used_once (
    kind       TEXT NOT NULL,
    id         TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (kind, id)
);

CREATE INDEX used_once_expires ON used_once (expires_at);
