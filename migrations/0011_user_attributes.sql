-- What a user file says besides who it is, as JSON; and password hashes, sealed, until they are handed over.
ALTER TABLE users ADD COLUMN attributes TEXT NOT NULL DEFAULT '{}';

CREATE TABLE user_password (
    user_id TEXT PRIMARY KEY REFERENCES users (id),
    sealed  TEXT NOT NULL,
    set_at  BIGINT NOT NULL
);

-- The membership's key finds a username as well, and one index less is half the work of an import.
DROP INDEX users_username;
-- Who else a user belongs to is asked biller by biller, by the index on both.
DROP INDEX membership_user;
