//! How a biller's move goes, counted by day.

use std::collections::BTreeMap;

use crate::db::{Db, DbError, Sql, Tx};
use crate::{sql, values};
use signpost_core::{Slug, Timestamp};

const ADD: Sql = sql!(
    "INSERT INTO daily_stats (biller, metric, day, count) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (biller, metric, day) DO UPDATE SET count = daily_stats.count + excluded.count"
);
const SINCE: Sql = sql!("SELECT biller, metric, day, count FROM daily_stats WHERE day >= $1");

const DAY: i64 = 24 * 3600;

/// What is counted of a biller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Somebody was sent to its sign-in, coming from the shared address by the bookmark notice.
    SharedEntrySignIn,
    /// Somebody was sent to its sign-in, coming by the biller's own address.
    BillerEntrySignIn,
    /// Somebody was shown its bookmark notice, coming by an old address that stands for it.
    LegacyDeepLink,
    /// Somebody signed in there for the first time.
    FirstSignIn,
    /// A sign-in there ended on an error page.
    SignInFailed,
    /// Somebody asked for a new password there.
    PasswordReset,
}

impl Metric {
    /// All of them.
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

/// The day of a moment, counted from 1970.
pub fn day_of(moment: Timestamp) -> i64 {
    moment.seconds().div_euclid(DAY)
}

/// The first moment of a day.
pub fn start_of_day(day: i64) -> Timestamp {
    Timestamp::from_millis(day.saturating_mul(DAY * 1000))
}

/// Counts one more. A count that cannot be written is logged and missing: nothing fails for a number.
pub async fn increment(db: &Db, biller: &Slug, metric: Metric, now: Timestamp) {
    if let Err(error) = db.run(ADD, values![biller.as_str(), metric.as_str(), day_of(now), 1_i64]).await {
        tracing::warn!(%biller, metric = metric.as_str(), error = %error, "a count could not be written");
    }
}

/// Counts several in a transaction.
pub(super) async fn add(tx: &mut Tx, counts: BTreeMap<(&str, Metric, i64), i64>) -> Result<(), DbError> {
    for ((biller, metric, day), count) in counts {
        tx.run(ADD, values![biller, metric.as_str(), day, count]).await?;
    }
    Ok(())
}

/// Counts of a biller, by metric and day.
pub type DailyCounts = BTreeMap<(Metric, i64), i64>;

/// The counts of every biller, by slug, from a day on.
///
/// # Errors
/// The database failed.
pub async fn daily_stats_since(db: &Db, day: i64) -> Result<BTreeMap<String, DailyCounts>, DbError> {
    let mut stats: BTreeMap<String, DailyCounts> = BTreeMap::new();
    for row in db.all(SINCE, values![day]).await? {
        let metric = row.text("metric")?;
        let Some(metric) = Metric::ALL.into_iter().find(|known| known.as_str() == metric) else { continue };
        stats.entry(row.text("biller")?).or_default().insert((metric, row.int("day")?), row.int("count")?);
    }
    Ok(stats)
}
