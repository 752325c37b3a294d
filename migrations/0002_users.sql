-- Users, and which billers they belong to. A username is unique within a biller, not across billers, so it stands in the
-- membership as well: that index answers the look-up.
CREATE TABLE users (
    id           TEXT PRIMARY KEY,
    username     TEXT NOT NULL,
    username_key TEXT NOT NULL,
    email        TEXT NOT NULL,
    email_key    TEXT NOT NULL,
    first_name   TEXT NOT NULL,
    last_name    TEXT NOT NULL,
    status       TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    deleted_at   BIGINT
);

CREATE INDEX users_username ON users (username_key, email_key);

CREATE TABLE membership (
    username_key   TEXT NOT NULL,
    biller_id      TEXT NOT NULL REFERENCES biller (id),
    user_id        TEXT NOT NULL REFERENCES users (id),
    legacy_account BIGINT NOT NULL,
    created_at     BIGINT NOT NULL,
    PRIMARY KEY (username_key, biller_id)
);

CREATE UNIQUE INDEX membership_biller_user ON membership (biller_id, user_id);

CREATE INDEX membership_user ON membership (user_id);

-- Which subject an issuer knows a user by, pinned at the first sign-in. The generation grows when a biller is enabled anew.
CREATE TABLE subject_pin (
    biller_id  TEXT NOT NULL REFERENCES biller (id),
    generation BIGINT NOT NULL,
    issuer     TEXT NOT NULL,
    user_id    TEXT NOT NULL REFERENCES users (id),
    subject    TEXT NOT NULL,
    pinned_at  BIGINT NOT NULL,
    PRIMARY KEY (biller_id, generation, issuer, user_id),
    UNIQUE (biller_id, generation, issuer, subject)
);
