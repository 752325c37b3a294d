//! How a biller's move goes, counted by day.

use std::collections::BTreeMap;

use crate::db::{Db, DbError, Tx};
use crate::values;
use signpost_core::{Slug, Timestamp};

const ADD: &str = "INSERT INTO score (biller, what, day, count) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (biller, what, day) DO UPDATE SET count = score.count + excluded.count";
const SINCE: &str = "SELECT biller, what, day, count FROM score WHERE day >= $1";

const DAY: i64 = 24 * 3600;

/// What is counted of a biller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Score {
    /// Somebody was sent to its sign-in, coming from the shared address by the bookmark notice.
    FromShared,
    /// Somebody was sent to its sign-in, coming by the biller's own address.
    FromOwn,
    /// Somebody was shown its bookmark notice, coming by an old address that stands for it.
    OldAddress,
    /// Somebody signed in there for the first time.
    FirstSignIn,
    /// A sign-in there ended on an error page.
    Failed,
    /// Somebody asked for a new password there.
    Reset,
}

impl Score {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::FromShared, Self::FromOwn, Self::OldAddress, Self::FirstSignIn, Self::Failed, Self::Reset];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::FromShared => "from_shared",
            Self::FromOwn => "from_own",
            Self::OldAddress => "old_address",
            Self::FirstSignIn => "first_sign_in",
            Self::Failed => "failed",
            Self::Reset => "reset",
        }
    }
}

/// The day of a moment, counted from 1970.
pub fn day_of(moment: Timestamp) -> i64 {
    moment.seconds().div_euclid(DAY)
}

/// The first moment of a day.
pub fn begin_of(day: i64) -> Timestamp {
    Timestamp::from_millis(day.saturating_mul(DAY * 1000))
}

/// Counts one more. A count that cannot be written is logged and missing: nothing fails for a number.
pub async fn score(db: &Db, biller: &Slug, what: Score, now: Timestamp) {
    if let Err(error) = db.run(ADD, values![biller.as_str(), what.as_str(), day_of(now), 1_i64]).await {
        tracing::warn!(%biller, what = what.as_str(), error = %error, "a count could not be written");
    }
}

/// Counts several in a transaction.
pub(super) async fn add(tx: &mut Tx, counts: BTreeMap<(&str, Score, i64), i64>) -> Result<(), DbError> {
    for ((biller, what, day), count) in counts {
        tx.run(ADD, values![biller, what.as_str(), day, count]).await?;
    }
    Ok(())
}

/// Counts of a biller, by what and day.
pub type Scores = BTreeMap<(Score, i64), i64>;

/// The counts of every biller, by slug, from a day on.
///
/// # Errors
/// The database failed.
pub async fn scores_since(db: &Db, day: i64) -> Result<BTreeMap<String, Scores>, DbError> {
    let mut scores: BTreeMap<String, Scores> = BTreeMap::new();
    for row in db.all(SINCE, values![day]).await? {
        let what = row.text(1)?;
        let Some(what) = Score::ALL.into_iter().find(|known| known.as_str() == what) else { continue };
        scores.entry(row.text(0)?).or_default().insert((what, row.int(2)?), row.int(3)?);
    }
    Ok(scores)
}
