-- Operators' orders that every instance follows from the next request on, such as the kill switch.
CREATE TABLE standing_order (
    name   TEXT PRIMARY KEY,
    value  TEXT NOT NULL,
    set_at BIGINT NOT NULL
);
