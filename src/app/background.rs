//! Work that goes on beside requests. Each round begins with the state in effect.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::{IDEMPOTENCY_RETENTION, IdempotencyKey};
use crate::audit;
use crate::console;
use crate::db::DbError;
use crate::directory::DirectoryError;
use crate::mail::Mail;
use crate::personal_data;
use crate::provisioning::Provisioning;
use crate::sessions::{SessionKind, Sessions};
use crate::state::{AppState, CurrentState};
use crate::telemetry::Condition;
use crate::web::registrations;

const KEY_RELOAD_INTERVAL: Duration = Duration::from_millis(500);
/// Longer than most sign-ins take.
const RETURN_REPORT_INTERVAL: Duration = Duration::from_secs(10 * 60);
/// A key that was revoked this long before an outage of the database may redeem legacy handoffs during it.
const OUTAGE_DATA_INTERVAL: Duration = Duration::from_secs(10);
const LIMIT_REFRESH_INTERVAL: Duration = Duration::from_millis(500);
const SWEEP_INTERVAL: Duration = Duration::from_secs(10 * 60);
const SECONDS_PER_DAY: u64 = 24 * 3600;

/// Starts everything. It ends with `stop`.
pub(super) fn start(current: &CurrentState, stop: &CancellationToken) -> TaskTracker {
    let background = TaskTracker::new();
    background.spawn(run_until(stop.clone(), sweep(current.clone())));
    background.spawn(run_until(stop.clone(), probe_issuers(current.clone())));
    background.spawn(run_until(stop.clone(), reload_keys(current.clone())));
    background.spawn(run_until(stop.clone(), prepare_for_outages(current.clone())));
    background.spawn(run_until(stop.clone(), share_limits(current.clone())));
    background.spawn(run_until(stop.clone(), report_returns(current.clone())));
    let (provisioning, stopped) = (current.clone(), stop.clone());
    background.spawn(Provisioning::run_job_worker(move || provisioning.get().provisioning.clone(), stopped));
    let (provisioning, stopped) = (current.clone(), stop.clone());
    background.spawn(Provisioning::run_outbox_worker(move || provisioning.get().provisioning.clone(), stopped));
    let (mail, stopped) = (current.clone(), stop.clone());
    background.spawn(Mail::run_workers(move || mail.get().mail.clone(), stopped));
    let (stopped, shutdown) = (stop.clone(), current.get().shutdown.clone());
    background.spawn(async move {
        stopped.cancelled().await;
        shutdown.cancel();
    });
    background
}

fn customer_sessions(state: &AppState) -> Sessions {
    Sessions::new(state.db.clone(), state.clock.clone(), SessionKind::Customer, &state.config.sessions)
}

pub(super) async fn run_until(stop: CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        () = stop.cancelled() => {}
    }
}

/// Deletes expired rows at regular intervals.
async fn sweep(current: CurrentState) {
    let failing = Condition::new();
    loop {
        tokio::time::sleep(SWEEP_INTERVAL).await;
        let state = current.get();
        state.limits.evict_idle();
        log_change(&failing, "expired rows are not deleted", sweep_once(&state).await);
    }
}

/// Sweeps every store. One that fails keeps no other from being swept.
///
/// # Errors
/// The first failure.
pub async fn sweep_once(state: &AppState) -> Result<(), DbError> {
    let now = state.clock.now();
    let days = |days: u64| Duration::from_secs(days * SECONDS_PER_DAY);
    let retention = &state.config.audit;
    let done = [
        state.consumed_tokens().sweep().await,
        state.known_networks.sweep().await,
        state.exhausted_limits.sweep().await,
        customer_sessions(state).sweep().await,
        state.biller_sessions.sweep().await,
        console::staff_sessions(state).sweep().await,
        state.decisions.sweep(days(retention.decision_retention_days)).await.map(drop),
        audit::sweep_events(&state.db, now.minus(days(retention.event_retention_days))).await.map(drop),
        IdempotencyKey::sweep(&state.db, now.minus(IDEMPOTENCY_RETENTION)).await,
        erase_deleted_users(state).await,
    ];
    done.into_iter().collect()
}

async fn erase_deleted_users(state: &AppState) -> Result<(), DbError> {
    match personal_data::erase_deleted_users(state).await {
        Ok(0) => Ok(()),
        Ok(users) => {
            tracing::info!(users, "deleted users were erased");
            Ok(())
        }
        Err(DirectoryError::Db(error)) => Err(error),
        Err(error) => {
            tracing::error!(error = %error, "deleted users are not erased");
            Ok(())
        }
    }
}

/// Reloads the key ring when its files change. An invalid file leaves the keys as they are.
async fn reload_keys(current: CurrentState) {
    let mut reported = None;
    loop {
        tokio::time::sleep(KEY_RELOAD_INTERVAL).await;
        let state = current.get();
        match state.config.secrets.key_ring(&state.random) {
            Ok(ring) => {
                if state.keys.replace(&ring) {
                    tracing::info!("the key ring was reloaded from its files");
                }
                reported = None;
            }
            Err(problem) if reported.as_ref() != Some(&problem) => {
                tracing::error!(problem, "the key ring's files are invalid; the previous keys stay in use");
                reported = Some(problem);
            }
            Err(_) => {}
        }
    }
}

/// Keeps what handoffs to the legacy login need while the database is away, and stores what was consumed meanwhile.
async fn prepare_for_outages(current: CurrentState) {
    let failing = [Condition::new(), Condition::new()];
    loop {
        let state = current.get();
        let done = [
            ("the API keys for outages are not refreshed", state.api_keys.refresh_offline_keys().await),
            ("handoffs that were redeemed in an outage are not stored yet", state.consumed_tokens.persist().await),
        ];
        for (condition, (what, done)) in failing.iter().zip(done) {
            log_change(condition, what, done);
        }
        let grace = Duration::from_secs(state.config.sessions.verify_grace_seconds);
        state.biller_sessions.verified.purge((state.clock.now(), grace));
        tokio::time::sleep(OUTAGE_DATA_INTERVAL).await;
    }
}

/// Applies the limits that other instances have seen exhausted.
async fn share_limits(current: CurrentState) {
    let failing = Condition::new();
    loop {
        tokio::time::sleep(LIMIT_REFRESH_INTERVAL).await;
        let done = current.get().exhausted_limits.refresh().await;
        log_change(&failing, "limits of other instances are not read", done);
    }
}

/// Logs that background work begins to fail, and that it succeeds again.
fn log_change(condition: &Condition, what: &'static str, done: Result<(), DbError>) {
    match done {
        Ok(()) => {
            if let Some(lasted) = condition.ends() {
                tracing::info!(what, seconds = lasted.as_secs(), "background work succeeds again");
            }
        }
        Err(error) if error.is_logged() || !condition.begins() => {}
        Err(error) => tracing::warn!(what, error = %error, "background work fails and is repeated"),
    }
}

async fn report_returns(current: CurrentState) {
    loop {
        tokio::time::sleep(RETURN_REPORT_INTERVAL).await;
        current.get().returns.report();
    }
}

/// Probes every identity provider once, then the failing ones at regular intervals. One instance probes at a time.
async fn probe_issuers(current: CurrentState) {
    registrations::probe_all(&current.get()).await;
    loop {
        tokio::time::sleep(Duration::from_secs(current.get().config.oidc.probe_seconds)).await;
        registrations::probe_failing(&current.get()).await;
    }
}
