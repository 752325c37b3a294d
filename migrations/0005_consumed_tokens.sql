-- Things that count once (sign-in attempts, hand-offs): the one insert that succeeds wins.
CREATE TABLE consumed_token (
    kind       TEXT NOT NULL,
    id         TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (kind, id)
);

CREATE INDEX consumed_token_expires ON consumed_token (expires_at);
