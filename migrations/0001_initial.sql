-- The whole schema. SQLite and PostgreSQL read the same text, so columns are TEXT or BIGINT only.
-- Times are milliseconds since 1970. Ids are UUIDv7, so they sort by creation time. Flags are 0 or 1.

-- Billers -------------------------------------------------------------------------------------------------------------

-- One row per biller. `settings` is JSON; secrets in it are sealed.
CREATE TABLE biller (
    id          TEXT PRIMARY KEY,
    slug        TEXT NOT NULL UNIQUE,
    name        TEXT NOT NULL,
    state       TEXT NOT NULL,
    active_from BIGINT,
    settings    TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);

-- Vanity hosts. A host belongs to one biller.
CREATE TABLE biller_host (
    host      TEXT PRIMARY KEY,
    biller_id TEXT NOT NULL REFERENCES biller (id)
);

-- Logos: a PNG in base64 and its hash, which names it in URLs.
CREATE TABLE biller_logo (
    biller_id TEXT PRIMARY KEY REFERENCES biller (id),
    hash      TEXT NOT NULL,
    picture   TEXT NOT NULL
);

-- Changes of an active biller's sign-in settings that need approval.
CREATE TABLE pending_change (
    id           TEXT PRIMARY KEY,
    biller_id    TEXT NOT NULL REFERENCES biller (id),
    summary      TEXT NOT NULL,
    change       TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    principal    TEXT NOT NULL,
    requested_at BIGINT NOT NULL,
    decided_by   TEXT,
    decided_at   BIGINT,
    outcome      TEXT
);

-- Counters. `billers` grows with every change of billers and tells each instance that its copy is stale. `identity` serialises
-- the writers of the identity API.
CREATE TABLE revision (
    name  TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);

INSERT INTO revision (name, value) VALUES ('billers', 1), ('identity', 1);

-- Operational controls that every instance obeys from the next request on, such as the kill switch.
CREATE TABLE operational_control (
    name   TEXT PRIMARY KEY,
    value  TEXT NOT NULL,
    set_at BIGINT NOT NULL
);

-- The health of each biller's identity provider, as seen by all instances. One instance probes a failing issuer at a time,
-- until `probed_until`.
CREATE TABLE issuer_health (
    biller_id    TEXT PRIMARY KEY REFERENCES biller (id),
    state        TEXT NOT NULL,
    failures     BIGINT NOT NULL,
    reason       TEXT NOT NULL,
    changed_at   BIGINT NOT NULL,
    checked_at   BIGINT NOT NULL,
    probed_until BIGINT NOT NULL DEFAULT 0,
    -- Why the registration or the provider is set up wrong, in one word. Empty: no sign-in has met such a fault since the last
    -- one that succeeded.
    fault        TEXT NOT NULL DEFAULT '',
    fault_since  BIGINT
);

-- Issuers that have sent the `iss` parameter in an authorization response (RFC 9207). From then on it is required.
CREATE TABLE iss_pin (
    biller_id TEXT PRIMARY KEY REFERENCES biller (id),
    issuer    TEXT NOT NULL
);

-- Users ---------------------------------------------------------------------------------------------------------------

-- One row per user. `username_key` and `email_key` are the normalised forms. `attributes` is a JSON object.
-- Deleted users keep their row. Erased users too, with an empty `username_key` and without personal data.
CREATE TABLE users (
    id           TEXT PRIMARY KEY,
    username     TEXT NOT NULL,
    username_key TEXT NOT NULL,
    email        TEXT NOT NULL,
    email_key    TEXT NOT NULL,
    first_name   TEXT NOT NULL,
    last_name    TEXT NOT NULL,
    status       TEXT NOT NULL,
    attributes   TEXT NOT NULL DEFAULT '{}',
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    deleted_at   BIGINT
);

-- Login links are requested by email address. Usernames are found through `membership`: one index less halves an import's work.
CREATE INDEX users_email ON users (email_key) WHERE email_key <> '';

-- Deleted users who are not erased yet.
CREATE INDEX users_deleted ON users (deleted_at) WHERE deleted_at IS NOT NULL AND username_key <> '';

-- Which users belong to which billers. A username is unique within a biller, not across billers; the primary key answers the
-- lookup of a username.
CREATE TABLE membership (
    username_key   TEXT NOT NULL,
    biller_id      TEXT NOT NULL REFERENCES biller (id),
    user_id        TEXT NOT NULL REFERENCES users (id),
    legacy_account BIGINT NOT NULL,
    created_at     BIGINT NOT NULL,
    PRIMARY KEY (username_key, biller_id)
);

-- A user's memberships are found biller by biller through this index.
CREATE UNIQUE INDEX membership_biller_user ON membership (biller_id, user_id);

-- The subject by which an issuer knows a user, pinned at the first sign-in. `generation` grows each time the biller is enabled.
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

-- An erasure deletes the pins of a user.
CREATE INDEX subject_pin_user ON subject_pin (user_id);

-- Password hashes from user files, sealed. Enablements and syncs send them to SecureAuth; an erasure deletes them.
CREATE TABLE user_password (
    user_id TEXT PRIMARY KEY REFERENCES users (id),
    sealed  TEXT NOT NULL,
    set_at  BIGINT NOT NULL
);

-- Progress of user file imports. An interrupted import resumes after `rows_done`.
CREATE TABLE import_run (
    biller_id  TEXT NOT NULL REFERENCES biller (id),
    file_hash  TEXT NOT NULL,
    rows_done  BIGINT NOT NULL,
    created    BIGINT NOT NULL,
    updated    BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at   BIGINT,
    PRIMARY KEY (biller_id, file_hash)
);

-- The user change queue. A row says that a user changed, not what changed: the worker sends the user's present state and
-- deletes the row if `version` is still the same.
CREATE TABLE user_change (
    biller_id   TEXT NOT NULL REFERENCES biller (id),
    user_id     TEXT NOT NULL,
    version     TEXT NOT NULL,
    queued_at   BIGINT NOT NULL,
    due_at      BIGINT NOT NULL,
    attempts    BIGINT NOT NULL,
    fencing_token TEXT NOT NULL,
    lease_until BIGINT NOT NULL,
    problem     TEXT NOT NULL,
    PRIMARY KEY (biller_id, user_id)
);

CREATE INDEX user_change_due ON user_change (due_at);

-- Lists of users show which billers a change is queued for.
CREATE INDEX user_change_user ON user_change (user_id);

-- Sessions and tokens -------------------------------------------------------------------------------------------------

-- Sessions of customers and staff, by the hash of the session id. `owner` is the browser session id of a customer's session, or
-- the subject of a member of staff. Ended rows stay until they are swept, so that no late write revives a session.
CREATE TABLE session (
    id_hash    TEXT PRIMARY KEY,
    kind       TEXT NOT NULL,
    owner      TEXT NOT NULL,
    data       TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_seen  BIGINT NOT NULL,
    ended_at   BIGINT
);

-- The redemption of a handoff asks whether the browser session behind it lives.
CREATE INDEX session_owner ON session (kind, owner, last_seen);

CREATE INDEX session_last_seen ON session (kind, last_seen);

-- Sign-ins of a browser session, one row per biller.
CREATE TABLE biller_session (
    id                 TEXT PRIMARY KEY,
    browser_session_id TEXT NOT NULL,
    biller_id          TEXT NOT NULL REFERENCES biller (id),
    user_id            TEXT NOT NULL REFERENCES users (id),
    issuer             TEXT NOT NULL,
    subject            TEXT NOT NULL,
    sid                TEXT,
    auth_time          BIGINT NOT NULL,
    details            TEXT NOT NULL,
    created_at         BIGINT NOT NULL,
    ended_at           BIGINT
);

-- At most one live row per browser session and biller, even if two tabs finish at the same moment.
CREATE UNIQUE INDEX biller_session_live ON biller_session (browser_session_id, biller_id) WHERE ended_at IS NULL;

-- Back-channel logout ends sessions by subject or by the provider's session id.
CREATE INDEX biller_session_subject ON biller_session (biller_id, subject);

CREATE INDEX biller_session_sid ON biller_session (biller_id, sid) WHERE sid IS NOT NULL;

CREATE INDEX biller_session_user ON biller_session (user_id);

CREATE INDEX biller_session_created ON biller_session (created_at);

-- Single-use tokens that have been used, such as authorization requests and handoffs: only the first insert succeeds.
CREATE TABLE consumed_token (
    kind       TEXT NOT NULL,
    id         TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (kind, id)
);

CREATE INDEX consumed_token_expires ON consumed_token (expires_at);

-- Networks from which a user signed in with a username, as a keyed hash of both: limits on strangers do not apply there. The day
-- of the last sign-in is in days since 1970.
CREATE TABLE known_network (
    id       TEXT PRIMARY KEY,
    last_day BIGINT NOT NULL
);

CREATE INDEX known_network_last_day ON known_network (last_day);

-- Limits per network and username that are exhausted, as a keyed hash of both: all instances apply them. Times are in milliseconds
-- since 1970.
CREATE TABLE exhausted_limit (
    id          TEXT PRIMARY KEY,
    next_try_at BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL
);

CREATE INDEX exhausted_limit_recorded_at ON exhausted_limit (recorded_at);

-- API access ----------------------------------------------------------------------------------------------------------

-- API keys; only a hash of the secret is stored.
CREATE TABLE api_key (
    id           TEXT PRIMARY KEY,
    hash         TEXT NOT NULL,
    name         TEXT NOT NULL,
    scopes       TEXT NOT NULL,
    audience     TEXT,
    billers      TEXT,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    revoked_at   BIGINT,
    last_used_at BIGINT,
    principal    TEXT NOT NULL
);

-- Requests with an Idempotency-Key and their responses. `status` and `body` are null while a request runs.
CREATE TABLE idempotency (
    api_key    TEXT NOT NULL,
    name       TEXT NOT NULL,
    request    TEXT NOT NULL,
    status     BIGINT,
    body       TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (api_key, name)
);

CREATE INDEX idempotency_created ON idempotency (created_at);

-- Work ----------------------------------------------------------------------------------------------------------------

-- Enablement jobs. `problem` says why a job waits or was rolled back, for operators only; `message` is its public result.
CREATE TABLE job (
    id               TEXT PRIMARY KEY,
    biller_id        TEXT NOT NULL REFERENCES biller (id),
    state            TEXT NOT NULL,
    cancel_requested BIGINT NOT NULL,
    mode             TEXT NOT NULL,
    passwords        TEXT NOT NULL,
    generation       BIGINT NOT NULL,
    fencing_token    TEXT NOT NULL,
    lease_until      BIGINT NOT NULL,
    last_user_id     TEXT NOT NULL,
    done             BIGINT NOT NULL,
    total            BIGINT NOT NULL,
    message          TEXT NOT NULL,
    problem          TEXT NOT NULL DEFAULT '',
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL,
    ended_at         BIGINT
);

-- At most one open job per biller.
CREATE UNIQUE INDEX job_open ON job (biller_id) WHERE ended_at IS NULL;

-- Provisioning steps of a job. A step is written before the call to SecureAuth that creates its resource.
CREATE TABLE job_step (
    job_id     TEXT NOT NULL REFERENCES job (id),
    kind       TEXT NOT NULL,
    object_id  TEXT NOT NULL,
    state      TEXT NOT NULL,
    sealed     TEXT,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (job_id, kind)
);

-- The task queue: mail to send and password resets to request. A task stays until it is done, so it survives its worker.
CREATE TABLE queued_task (
    id         TEXT PRIMARY KEY,
    sealed     TEXT NOT NULL,
    attempts   BIGINT NOT NULL,
    due_at     BIGINT NOT NULL,
    fencing_token TEXT NOT NULL,
    lease_until BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE INDEX queued_task_due ON queued_task (due_at);

-- Audit and statistics ------------------------------------------------------------------------------------------------

-- Routing decisions by reference code: the facts, the trace and the response. Usernames are hashed and masked.
CREATE TABLE decision_log (
    code          TEXT PRIMARY KEY,
    at            BIGINT NOT NULL,
    kind          TEXT NOT NULL,
    biller        TEXT,
    username_hash TEXT,
    username_mask TEXT,
    response      TEXT NOT NULL,
    details       TEXT NOT NULL
);

CREATE INDEX decision_log_at ON decision_log (at);

-- Audit events: one row per administrative action, written in the transaction of the change itself. Only an erasure
-- updates rows: it removes the name of a person.
CREATE TABLE audit_event (
    id         TEXT PRIMARY KEY,
    at         BIGINT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id   TEXT NOT NULL,
    actor_name TEXT NOT NULL,
    principal  TEXT NOT NULL,
    role       TEXT,
    action     TEXT NOT NULL,
    biller     TEXT,
    subject    TEXT,
    reason     TEXT,
    details    TEXT NOT NULL
);

-- The sweep of old events.
CREATE INDEX audit_event_at ON audit_event (at);

CREATE INDEX audit_event_actor ON audit_event (actor_id, id);

CREATE INDEX audit_event_biller ON audit_event (biller, id);

CREATE INDEX audit_event_action ON audit_event (action, id);

-- Migration statistics: a counter per biller, metric and UTC day (days since 1970).
CREATE TABLE daily_stats (
    biller TEXT NOT NULL,
    metric TEXT NOT NULL,
    day    BIGINT NOT NULL,
    count  BIGINT NOT NULL,
    PRIMARY KEY (biller, metric, day)
);

CREATE INDEX daily_stats_day ON daily_stats (day);

-- The oldest program, by its own newest migration, that can use the schema of each migration. A migration without a row can be
-- used by its own program only. A migration that only adds tables or optional columns repeats the number of the one before.
CREATE TABLE schema_compatibility (
    version        BIGINT PRIMARY KEY,
    oldest_program BIGINT NOT NULL
);

INSERT INTO schema_compatibility (version, oldest_program) VALUES (1, 1);
