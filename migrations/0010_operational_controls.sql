-- Operators' orders that every instance follows from the next request on, such as the kill switch.
CREATE TABLE operational_control (
    name   TEXT PRIMARY KEY,
    value  TEXT NOT NULL,
    set_at BIGINT NOT NULL
);
