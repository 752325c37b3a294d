-- Users are found by mail address; and those who change users and memberships by the API take turns.
CREATE INDEX users_email ON users (email_key);

INSERT INTO revision (name, value) VALUES ('identity', 1);
