//! The health report: identity providers, jobs, queues, the directory's integrity, and each biller's migration statistics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::FromRef;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::AppState;
use crate::audit::{DailyCounts, Metric, daily_stats_since, day_of, start_of_day};
use crate::db::{Db, DbError};
use crate::directory::{Biller, Directory, DirectoryError};
use crate::mail::{Mail, TaskBacklog};
use crate::provisioning::{Provisioning, advice};
use crate::routing::KillSwitch;
use crate::telemetry::{CallStats, CallbackReturns, IssuerCalls, ReturnCount};
use signpost_core::decision::CiamState;
use signpost_core::text::mask;
use signpost_core::{Clock, Slug, Timestamp};

/// Days in the migration statistics.
const STATS_DAYS: i64 = 30;
const FIRST_WEEK_DAYS: i64 = 7;
/// The integrity check stops counting at this number.
const MAX_AMBIGUOUS_USERNAMES: usize = 10_000;
const MAX_SAMPLES: usize = 5;
/// The integrity check scans the directory, so its result is cached for this long.
const INTEGRITY_CHECK_INTERVAL: Duration = Duration::from_secs(60);

/// The health of this installation.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ServiceHealth {
    /// Time of the report, RFC 3339.
    #[serde(serialize_with = "text")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Sorted by slug.
    pub billers: Vec<BillerHealth>,
    /// Number of migration jobs by state.
    pub jobs: BTreeMap<&'static str, i64>,
    /// Mails and password resets to be sent.
    pub queued_tasks: Queue,
    /// Result of the integrity check. Null for an API key that is limited to some billers.
    pub integrity: Option<Integrity>,
    /// Why this instance's kill switch file cannot be understood, and what is in effect instead. Null: it can, or there is
    /// none, or the API key is limited to some billers.
    pub kill_switch_file_problem: Option<String>,
}

/// The health of one biller.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BillerHealth {
    pub slug: Slug,
    pub name: String,
    pub state: CiamState,
    /// The circuit breaker of its identity provider, shared by all instances. Null: it has no identity provider.
    pub issuer: Option<CircuitBreaker>,
    /// Why its registration or its identity provider is set up wrong. Null: sign-ins have met no such fault since the last one
    /// that succeeded.
    pub setup_fault: Option<SetupFault>,
    /// This instance's latest calls to its identity provider.
    pub calls: CallStats,
    /// Returns from its identity provider at this instance, over the last ten to twenty minutes.
    pub returns: ReturnStats,
    /// User changes that wait to reach SecureAuth.
    pub user_changes: Queue,
    pub migration_stats: MigrationStats,
}

/// The circuit breaker of an identity provider.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CircuitBreaker {
    /// The circuit breaker is open: calls to the identity provider are not attempted.
    pub open: bool,
    /// Consecutive failures.
    pub failures: i64,
    /// The last failure, in one word.
    pub reason: String,
    /// Time of the last change, RFC 3339.
    #[serde(serialize_with = "optional_text")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
}

/// A fault that every sign-in at a biller meets, until its registration or its identity provider is set right.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SetupFault {
    /// In one word, such as `invalid_client`: see docs/reference/diagnosis.md.
    pub reason: String,
    /// What to do about it.
    pub advice: &'static str,
    /// Time of the first sign-in that met it, RFC 3339.
    #[serde(serialize_with = "optional_text")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
}

/// Customers who returned from an identity provider.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct ReturnStats {
    /// Customers sent to the identity provider.
    pub started: u64,
    /// Customers who came back with a response.
    pub returned: u64,
    /// So few customers returned that an operator should check the identity provider.
    pub alarm: bool,
}

/// The length of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Queue {
    /// Waiting entries.
    pub pending: i64,
    /// Waiting entries that have failed at least once.
    pub failing: i64,
}

/// Migration statistics of a biller, over 30 days.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct MigrationStats {
    /// Sign-ins started.
    pub sign_ins: i64,
    /// Those that came from the shared login page or a legacy deep link.
    pub via_legacy_addresses: i64,
    /// Their share, 0 to 1. It falls as customers use the new address. Null without sign-ins.
    pub legacy_share: Option<f64>,
    /// Users who signed in for the first time.
    pub first_sign_ins: i64,
    /// Sign-ins that ended on an error page.
    pub failed: i64,
    /// First sign-ins divided by first and failed sign-ins, 0 to 1. Null without either.
    pub first_sign_in_success_rate: Option<f64>,
    /// Password resets in the seven days after activation. Null: the biller is not active.
    pub password_resets_in_first_week: Option<i64>,
    /// Days with at least one event.
    pub days: Vec<DailyStats>,
}

/// The statistics of one day (UTC).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct DailyStats {
    /// Such as `2026-11-22`.
    pub day: String,
    /// Sign-ins started.
    pub sign_ins: i64,
    /// Those that came from the shared login page or a legacy deep link.
    pub via_legacy_addresses: i64,
    /// First sign-ins.
    pub first_sign_ins: i64,
    /// Sign-ins that ended on an error page.
    pub failed: i64,
    /// Password reset requests.
    pub password_resets: i64,
}

/// Usernames with two or more legacy billers. There should be none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Integrity {
    /// Counting stops at 10,000.
    pub usernames: usize,
    /// Some of the usernames, masked.
    pub samples: Vec<String>,
    /// Time of the report, RFC 3339.
    #[serde(serialize_with = "text")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

#[derive(Clone, Debug, Default)]
pub struct IntegrityCache(Arc<Mutex<Option<Integrity>>>);

fn text<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

fn optional_text<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.collect_str(at),
        None => serializer.serialize_none(),
    }
}

/// What the health report is made from.
#[derive(Clone, Debug)]
pub struct HealthReporter {
    clock: Clock,
    db: Db,
    directory: Directory,
    provisioning: Provisioning,
    mail: Mail,
    kill_switch: KillSwitch,
    returns: Arc<CallbackReturns>,
    calls: Arc<IssuerCalls>,
    integrity_cache: IntegrityCache,
}

impl FromRef<AppState> for HealthReporter {
    fn from_ref(state: &AppState) -> Self {
        Self {
            clock: state.clock.clone(),
            db: state.db.clone(),
            directory: state.directory.clone(),
            provisioning: state.provisioning.clone(),
            mail: state.mail.clone(),
            kill_switch: state.routing.kill_switch.clone(),
            returns: Arc::clone(&state.returns),
            calls: Arc::clone(&state.calls),
            integrity_cache: state.integrity_cache.clone(),
        }
    }
}

impl HealthReporter {
    /// The health report. `scope` are the billers that the caller may see; `None`: all billers and the whole installation.
    pub async fn report(&self, scope: Option<&[Slug]>) -> Result<ServiceHealth, DirectoryError> {
        let now = self.clock.now();
        let billers = self.directory.billers().await?;
        let today = day_of(now);
        let first = billers.iter().filter_map(|biller| biller.active_from).map(day_of).min();
        let stats = daily_stats_since(&self.db, first.unwrap_or(today).min(today - STATS_DAYS + 1)).await?;
        let none = DailyCounts::new();
        let backlog: BTreeMap<_, _> = self.directory.backlog().await?.into_iter().collect();
        let visible = billers.iter().filter(|biller| scope.is_none_or(|scope| scope.contains(&biller.slug)));
        let billers = visible
            .map(|biller| {
                let waiting = backlog.get(&biller.id);
                let stats = stats.get(biller.slug.as_str()).unwrap_or(&none);
                BillerHealth {
                    user_changes: waiting.map_or_else(Queue::default, |backlog| Queue {
                        pending: backlog.count,
                        failing: backlog.failing,
                    }),
                    migration_stats: MigrationStats::new(stats, biller, today),
                    ..self.biller_health(biller)
                }
            })
            .collect();
        let is_unrestricted = scope.is_none();
        Ok(ServiceHealth {
            at: now,
            billers,
            jobs: if is_unrestricted { self.provisioning.jobs_by_state().await? } else { BTreeMap::new() },
            queued_tasks: if is_unrestricted { self.queued_tasks().await? } else { Queue::default() },
            integrity: if is_unrestricted { Some(self.integrity().await?) } else { None },
            kill_switch_file_problem: if is_unrestricted { self.kill_switch.file_problem() } else { None },
        })
    }

    fn biller_health(&self, biller: &Biller) -> BillerHealth {
        let health = &biller.health;
        let count = self.returns.recent(&biller.slug);
        let ReturnCount { started, returned } = count;
        BillerHealth {
            slug: biller.slug.clone(),
            name: biller.name.clone(),
            state: biller.state,
            issuer: biller.settings.oidc.is_some().then(|| CircuitBreaker {
                open: health.is_down,
                failures: health.failures,
                reason: health.reason.clone(),
                since: health.since,
            }),
            setup_fault: health.fault.clone().map(|reason| SetupFault {
                advice: advice(&reason),
                reason,
                since: health.fault_since,
            }),
            calls: self.calls.stats(&biller.slug),
            returns: ReturnStats { started, returned, alarm: count.is_alarming() },
            user_changes: Queue::default(),
            migration_stats: MigrationStats::default(),
        }
    }

    async fn queued_tasks(&self) -> Result<Queue, DbError> {
        let TaskBacklog { pending, failing, .. } = self.mail.backlog().await?;
        Ok(Queue { pending, failing })
    }

    async fn integrity(&self) -> Result<Integrity, DirectoryError> {
        let now = self.clock.now();
        let last = self.integrity_cache.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(last) = last.filter(|last| last.at.plus(INTEGRITY_CHECK_INTERVAL) > now) {
            return Ok(last);
        }
        let names = self.directory.ambiguous_usernames(now, MAX_AMBIGUOUS_USERNAMES).await?;
        let samples = names.iter().take(MAX_SAMPLES).map(|name| mask(name)).collect();
        let found = Integrity { usernames: names.len(), samples, at: now };
        *self.integrity_cache.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(found.clone());
        Ok(found)
    }
}

impl MigrationStats {
    fn new(stats: &DailyCounts, biller: &Biller, today: i64) -> Self {
        let mut days: BTreeMap<i64, DailyStats> = BTreeMap::new();
        for ((what, at), count) in stats.iter().filter(|((_, at), _)| *at > today - STATS_DAYS) {
            let day = days.entry(*at).or_default();
            match what {
                Metric::SharedEntrySignIn => {
                    day.sign_ins += count;
                    day.via_legacy_addresses += count;
                }
                Metric::BillerEntrySignIn => day.sign_ins += count,
                // The sign-in after a bookmark notice uses the biller's own address.
                Metric::LegacyDeepLink => day.via_legacy_addresses += count,
                Metric::FirstSignIn => day.first_sign_ins += count,
                Metric::SignInFailed => day.failed += count,
                Metric::PasswordReset => day.password_resets += count,
            }
        }
        let sum = |of: fn(&DailyStats) -> i64| days.values().map(of).sum::<i64>();
        let (sign_ins, via_legacy_addresses) = (sum(|day| day.sign_ins), sum(|day| day.via_legacy_addresses));
        let (first_sign_ins, failed) = (sum(|day| day.first_sign_ins), sum(|day| day.failed));
        let from = biller.active_from.map(day_of);
        let in_first_week = |at: i64| from.is_some_and(|from| (from..from + FIRST_WEEK_DAYS).contains(&at));
        let resets = stats.iter().filter(|((what, at), _)| *what == Metric::PasswordReset && in_first_week(*at));
        Self {
            sign_ins,
            via_legacy_addresses,
            legacy_share: share(via_legacy_addresses.min(sign_ins), sign_ins),
            first_sign_ins,
            failed,
            first_sign_in_success_rate: share(first_sign_ins, first_sign_ins + failed),
            password_resets_in_first_week: from.map(|_| resets.map(|(_, count)| count).sum()),
            days: days.into_iter().map(|(at, day)| DailyStats { day: date(at), ..day }).collect(),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for display")]
fn share(part: i64, whole: i64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn date(day: i64) -> String {
    start_of_day(day).to_string().split('T').next().unwrap_or_default().to_owned()
}
