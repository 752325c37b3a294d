-- Issuers that were seen to name themselves in their answers (RFC 9207): from then on they have to.
CREATE TABLE iss_pin (
    biller_id TEXT PRIMARY KEY REFERENCES biller (id),
    issuer    TEXT NOT NULL
);

-- Sessions end by the provider's session.
CREATE INDEX biller_session_sid ON biller_session (biller_id, sid);
