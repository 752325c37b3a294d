-- How a biller's move goes, counted by day (UTC) with the decision log and with sign-ins: what is shown as its scoreboard.
CREATE TABLE daily_stats (
    biller TEXT NOT NULL,
    metric TEXT NOT NULL,
    day    BIGINT NOT NULL,
    count  BIGINT NOT NULL,
    PRIMARY KEY (biller, metric, day)
);
