//! Usage statistics per biller and day (UTC).

use std::collections::BTreeMap;

use crate::db::{Db, DbError, Sql, Tx};
use crate::telemetry::Condition;
use crate::{sql, values};
use signpost_core::{Slug, Timestamp};

const ADD: Sql = sql!(
    "INSERT INTO daily_stats (biller, metric, day, count) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (biller, metric, day) DO UPDATE SET count = daily_stats.count + excluded.count"
);
const SINCE: Sql = sql!("SELECT biller, metric, day, count FROM daily_stats WHERE day >= $1");

const DAY: i64 = 24 * 3600;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// A sign-in from the shared login page, by way of the bookmark notice.
    SharedEntrySignIn,
    /// A sign-in from the biller's own address.
    BillerEntrySignIn,
    /// A bookmark notice shown for a legacy deep link.
    LegacyDeepLink,
    /// A user's first sign-in.
    FirstSignIn,
    /// A sign-in that ended on an error page.
    SignInFailed,
    /// A password reset request.
    PasswordReset,
}

impl Metric {
    pub const ALL: [Self; 6] = [
        Self::SharedEntrySignIn,
        Self::BillerEntrySignIn,
        Self::LegacyDeepLink,
        Self::FirstSignIn,
        Self::SignInFailed,
        Self::PasswordReset,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::SharedEntrySignIn => "shared_entry_sign_in",
            Self::BillerEntrySignIn => "biller_entry_sign_in",
            Self::LegacyDeepLink => "legacy_deep_link",
            Self::FirstSignIn => "first_sign_in",
            Self::SignInFailed => "sign_in_failed",
            Self::PasswordReset => "password_reset",
        }
    }
}

/// Days since 1970-01-01.
pub fn day_of(moment: Timestamp) -> i64 {
    moment.seconds().div_euclid(DAY)
}

pub fn start_of_day(day: i64) -> Timestamp {
    Timestamp::from_millis(day.saturating_mul(DAY * 1000))
}

/// Adds one in a transaction: the count is written if its cause is.
pub async fn count(tx: &mut Tx, biller: &Slug, metric: Metric, now: Timestamp) -> Result<(), DbError> {
    tx.run(ADD, values![biller.as_str(), metric.as_str(), day_of(now), 1_i64]).await.map(drop)
}

/// Adds one. A lost count must not fail a request: when writes begin to fail, it logs a warning.
pub async fn increment(db: &Db, biller: &Slug, metric: Metric, now: Timestamp) {
    static UNWRITTEN: Condition = Condition::new();
    match db.run(ADD, values![biller.as_str(), metric.as_str(), day_of(now), 1_i64]).await {
        Ok(_) => {
            if let Some(lasted) = UNWRITTEN.ends() {
                tracing::info!(seconds = lasted.as_secs(), "usage counters are written again");
            }
        }
        Err(error) if error.is_logged() || !UNWRITTEN.begins() => {}
        Err(error) => tracing::warn!(error = %error, "usage counters are not written"),
    }
}

pub(super) async fn add(tx: &mut Tx, counts: BTreeMap<(&str, Metric, i64), i64>) -> Result<(), DbError> {
    for ((biller, metric, day), count) in counts {
        tx.run(ADD, values![biller, metric.as_str(), day, count]).await?;
    }
    Ok(())
}

/// The counts of one biller, by metric and day.
pub type DailyCounts = BTreeMap<(Metric, i64), i64>;

/// The counts of every biller since a day, by slug.
pub async fn daily_stats_since(db: &Db, day: i64) -> Result<BTreeMap<String, DailyCounts>, DbError> {
    let mut stats: BTreeMap<String, DailyCounts> = BTreeMap::new();
    for row in db.all(SINCE, values![day]).await? {
        let metric = row.text("metric")?;
        let Some(metric) = Metric::ALL.into_iter().find(|known| known.as_str() == metric) else { continue };
        stats.entry(row.text("biller")?).or_default().insert((metric, row.int("day")?), row.int("count")?);
    }
    Ok(stats)
}
