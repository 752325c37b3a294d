-- Until when one instance alone asks an issuer that failed whether it answers again.
ALTER TABLE issuer_health ADD COLUMN probed_until BIGINT NOT NULL DEFAULT 0;
