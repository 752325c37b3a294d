-- How a biller's move goes, counted by day (UTC) with the decision log and with sign-ins: what is shown as its scoreboard.
CREATE TABLE score (
    biller TEXT NOT NULL,
    what   TEXT NOT NULL,
    day    BIGINT NOT NULL,
    count  BIGINT NOT NULL,
    PRIMARY KEY (biller, what, day)
);
