//! How everything does: issuers, jobs, queues, the directory's integrity, and how each biller's move goes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::AppState;
use crate::audit::{Score, Scores, begin_of, day_of, scores_since};
use crate::db::DbError;
use crate::directory::{Biller, DirectoryError};
use crate::telemetry::{CallStats, Count};
use signpost_core::decision::CiamState;
use signpost_core::text::mask;
use signpost_core::{Slug, Timestamp};

/// Days on the scoreboard.
const DAYS: i64 = 30;
/// The first days after a biller's activation.
const FIRST_DAYS: i64 = 7;
/// Names with several legacy billers that are counted; beyond this it is "at least".
const MOST_NAMES: usize = 10_000;
const SAMPLES: usize = 5;
/// The whole directory is looked through at most so often.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// How everything does.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Health {
    /// As of when, RFC 3339.
    #[serde(serialize_with = "text")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Each biller, by slug.
    pub billers: Vec<BillerHealth>,
    /// Jobs that move billers, by state.
    pub jobs: BTreeMap<&'static str, i64>,
    /// Mails and resets that wait to be done.
    pub errands: Queue,
    /// Whether names have one legacy biller at most; none: not looked at for whoever asks.
    pub integrity: Option<Integrity>,
}

/// How a biller does.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BillerHealth {
    /// Its permanent short name.
    pub slug: Slug,
    /// Name as customers know it.
    pub name: String,
    /// Its CIAM state.
    pub state: CiamState,
    /// Its issuer, as all instances see it; none: it has none of its own.
    pub issuer: Option<Breaker>,
    /// The latest calls for sign-ins, at the instance that answers.
    pub calls: CallStats,
    /// Who came back from the issuer, of those sent there in the last ten to twenty minutes by the instance that answers.
    pub returns: Returned,
    /// Changes of users on their way to SecureAuth.
    pub users: Queue,
    /// How its move goes.
    pub scoreboard: Scoreboard,
}

/// Whether an issuer counts as down.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Breaker {
    /// It does.
    pub down: bool,
    /// Failures in a row.
    pub failures: i64,
    /// The last one, in a word.
    pub reason: String,
    /// Since when it is as it is, RFC 3339.
    #[serde(serialize_with = "maybe_text")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
}

/// How many came back.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Returned {
    /// Sent to the issuer.
    pub begun: u64,
    /// Came back with an answer.
    pub returned: u64,
    /// So few that somebody should look.
    pub alarm: bool,
}

/// Work that waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Queue {
    /// How much.
    pub pending: i64,
    /// What of it was tried in vain.
    pub failing: i64,
}

/// How a biller's move goes, over 30 days.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Scoreboard {
    /// Sign-ins begun.
    pub sign_ins: i64,
    /// Of them, those that came from the shared or an old address.
    pub from_old_addresses: i64,
    /// Their share, 0 to 1; none without sign-ins. It falls as people take to the new address.
    pub old_share: Option<f64>,
    /// People who signed in for the first time.
    pub first_sign_ins: i64,
    /// Sign-ins that ended on an error page.
    pub failed: i64,
    /// First sign-ins among these and the failed ones, 0 to 1; none without either.
    pub first_success: Option<f64>,
    /// New passwords asked for in the seven days from the activation on; none: not active.
    pub resets_in_first_week: Option<i64>,
    /// Day by day, those on which something happened.
    pub days: Vec<Day>,
}

/// A day (UTC) of the scoreboard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Day {
    /// Such as `2026-11-22`.
    pub day: String,
    /// Sign-ins begun.
    pub sign_ins: i64,
    /// Of them, those that came from the shared or an old address.
    pub from_old_addresses: i64,
    /// First sign-ins.
    pub first_sign_ins: i64,
    /// Sign-ins that ended on an error page.
    pub failed: i64,
    /// New passwords asked for.
    pub resets: i64,
}

/// Usernames with two legacy billers or more, which should not be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Integrity {
    /// How many; at least so many from 10,000 on.
    pub usernames: usize,
    /// Some of them, masked.
    pub samples: Vec<String>,
    /// As of when, RFC 3339.
    #[serde(serialize_with = "text")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// The last look through the directory.
#[derive(Clone, Debug, Default)]
pub struct LastLook(Arc<Mutex<Option<Integrity>>>);

fn text<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

fn maybe_text<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.collect_str(at),
        None => serializer.serialize_none(),
    }
}

impl AppState {
    /// How everything does. `reach` are the billers that whoever asks may see; none: all, and what concerns no biller.
    ///
    /// # Errors
    /// The database failed.
    pub async fn health(&self, reach: Option<&[Slug]>) -> Result<Health, DirectoryError> {
        let now = self.clock.now();
        let billers = self.directory.billers().await?;
        let today = day_of(now);
        let first = billers.iter().filter_map(|biller| biller.active_from).map(day_of).min();
        let scores = scores_since(&self.db, first.unwrap_or(today).min(today - DAYS + 1)).await?;
        let none = Scores::new();
        let backlog: BTreeMap<_, _> = self.directory.backlog().await?.into_iter().collect();
        let seen = billers.iter().filter(|biller| reach.is_none_or(|reach| reach.contains(&biller.slug)));
        let billers = seen
            .map(|biller| {
                let waiting = backlog.get(&biller.id);
                let scores = scores.get(biller.slug.as_str()).unwrap_or(&none);
                BillerHealth {
                    users: waiting.map_or_else(Queue::default, |backlog| Queue {
                        pending: backlog.count,
                        failing: backlog.failing,
                    }),
                    scoreboard: Scoreboard::new(scores, biller, today),
                    ..self.at(biller)
                }
            })
            .collect();
        let is_whole = reach.is_none();
        Ok(Health {
            at: now,
            billers,
            jobs: if is_whole { self.enablement.jobs_by_state().await? } else { BTreeMap::new() },
            errands: if is_whole { self.errands().await? } else { Queue::default() },
            integrity: if is_whole { Some(self.integrity().await?) } else { None },
        })
    }

    fn at(&self, biller: &Biller) -> BillerHealth {
        let health = &biller.health;
        let count = self.returns.recent(&biller.slug);
        let Count { begun, returned } = count;
        BillerHealth {
            slug: biller.slug.clone(),
            name: biller.name.clone(),
            state: biller.state,
            issuer: biller.settings.oidc.is_some().then(|| Breaker {
                down: health.is_down,
                failures: health.failures,
                reason: health.reason.clone(),
                since: health.since,
            }),
            calls: self.calls.of(&biller.slug),
            returns: Returned { begun, returned, alarm: count.is_alarming() },
            users: Queue::default(),
            scoreboard: Scoreboard::default(),
        }
    }

    async fn errands(&self) -> Result<Queue, DbError> {
        let (pending, failing) = self.mail.waiting().await?;
        Ok(Queue { pending, failing })
    }

    async fn integrity(&self) -> Result<Integrity, DirectoryError> {
        let now = self.clock.now();
        let last = self.last_look.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(last) = last.filter(|last| last.at.plus(LOOK_EVERY) > now) {
            return Ok(last);
        }
        let names = self.directory.ambiguous_names(now, MOST_NAMES).await?;
        let samples = names.iter().take(SAMPLES).map(|name| mask(name)).collect();
        let found = Integrity { usernames: names.len(), samples, at: now };
        *self.last_look.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(found.clone());
        Ok(found)
    }
}

impl Scoreboard {
    fn new(scores: &Scores, biller: &Biller, today: i64) -> Self {
        let mut days: BTreeMap<i64, Day> = BTreeMap::new();
        for ((what, at), count) in scores.iter().filter(|((_, at), _)| *at > today - DAYS) {
            let day = days.entry(*at).or_default();
            match what {
                Score::FromShared => {
                    day.sign_ins += count;
                    day.from_old_addresses += count;
                }
                Score::FromOwn => day.sign_ins += count,
                // The sign-in after such a notice comes by the biller's own address.
                Score::OldAddress => day.from_old_addresses += count,
                Score::FirstSignIn => day.first_sign_ins += count,
                Score::Failed => day.failed += count,
                Score::Reset => day.resets += count,
            }
        }
        let sum = |of: fn(&Day) -> i64| days.values().map(of).sum::<i64>();
        let (sign_ins, from_old_addresses) = (sum(|day| day.sign_ins), sum(|day| day.from_old_addresses));
        let (first_sign_ins, failed) = (sum(|day| day.first_sign_ins), sum(|day| day.failed));
        let from = biller.active_from.map(day_of);
        let in_first_week = |at: i64| from.is_some_and(|from| (from..from + FIRST_DAYS).contains(&at));
        let resets = scores.iter().filter(|((what, at), _)| *what == Score::Reset && in_first_week(*at));
        Self {
            sign_ins,
            from_old_addresses,
            old_share: share(from_old_addresses.min(sign_ins), sign_ins),
            first_sign_ins,
            failed,
            first_success: share(first_sign_ins, first_sign_ins + failed),
            resets_in_first_week: from.map(|_| resets.map(|(_, count)| count).sum()),
            days: days.into_iter().map(|(at, day)| Day { day: date(at), ..day }).collect(),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share for people")]
fn share(part: i64, whole: i64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The date of a day.
fn date(day: i64) -> String {
    begin_of(day).to_string().split('T').next().unwrap_or_default().to_owned()
}
