-- Those who change users and memberships by the identity API take turns.
INSERT INTO revision (name, value) VALUES ('identity', 1);
