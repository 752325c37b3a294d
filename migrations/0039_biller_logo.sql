-- Billers' logos: a PNG in base64, named by its hash. What pages need to know of one is in the biller's settings.
CREATE TABLE biller_logo (
    biller_id TEXT PRIMARY KEY REFERENCES biller (id),
    hash      TEXT NOT NULL,
    picture   TEXT NOT NULL
);
