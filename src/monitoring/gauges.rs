//! Gauges that are read at a scrape. Those of other sources than this process can fail.

use std::io;

use procfs::ProcError;
use procfs::process::{LimitValue, Process};

use crate::db::DbError;
use crate::directory::DirectoryError;
use crate::sessions::{Lifetime, SessionKind, Sessions};
use crate::state::AppState;
use crate::telemetry::metrics::{Snapshot, series};
use signpost_core::Timestamp;

/// Queue lengths are far below the 2^52 that `f64` counts exactly.
#[expect(clippy::cast_precision_loss, reason = "Prometheus has no other numbers")]
fn number(count: i64) -> f64 {
    count as f64
}

/// Sets the length and the oldest entry of a queue.
fn set_queue(snapshot: &mut Snapshot, queue: &str, entries: i64, oldest: Option<Timestamp>, now: Timestamp) {
    let age = oldest.map_or(0, |oldest| now.millis().saturating_sub(oldest.millis()).max(0));
    snapshot.set(&series::QUEUE_ENTRIES, [queue], number(entries));
    snapshot.set(&series::QUEUE_OLDEST_AGE, [queue], number(age) / 1000.0);
}

/// What this process knows without a read.
pub(super) fn of_process(state: &AppState) -> Snapshot {
    let mut snapshot = Snapshot::default();
    let backlog = state.decisions.backlog();
    let entries = i64::try_from(backlog.entries).unwrap_or(i64::MAX);
    set_queue(&mut snapshot, "decision_log", entries, backlog.oldest, state.clock.now());
    for pool in state.db.pools() {
        snapshot.set(&series::DATABASE_CONNECTIONS, [pool.name, "in_use"], pool.in_use.into());
        snapshot.set(&series::DATABASE_CONNECTIONS, [pool.name, "idle"], pool.idle.into());
        snapshot.set(&series::DATABASE_MAX_CONNECTIONS, [pool.name], pool.max.into());
    }
    snapshot.set(&series::CONFIG_LOADED, [], number(state.configured_at.millis()) / 1000.0);
    match resources() {
        Ok(resources) => snapshot.extend(resources),
        Err(error) => {
            tracing::debug!(error = %error, "the resources of the process cannot be read");
            state.metrics.record_scrape_failure("process");
        }
    }
    snapshot
}

/// What the system counts for this process.
fn resources() -> Result<Snapshot, ProcError> {
    let number = |value: u64| number(i64::try_from(value).unwrap_or(i64::MAX));
    let mut snapshot = Snapshot::default();
    let process = Process::myself()?;
    let stat = process.stat()?;
    let ticks_per_second = number(procfs::ticks_per_second());
    snapshot.set(&series::PROCESS_CPU, [], number(stat.utime + stat.stime) / ticks_per_second);
    snapshot.set(&series::PROCESS_RESIDENT_MEMORY, [], number(stat.rss * procfs::page_size()));
    let since_boot = number(stat.starttime) / ticks_per_second;
    snapshot.set(&series::PROCESS_START_TIME, [], number(procfs::boot_time_secs()?) + since_boot);
    snapshot.set(&series::PROCESS_OPEN_FDS, [], number(u64::try_from(process.fd_count()?).unwrap_or(u64::MAX)));
    if let LimitValue::Value(most) = process.limits()?.max_open_files.soft_limit {
        snapshot.set(&series::PROCESS_MAX_FDS, [], number(most));
    }
    Ok(snapshot)
}

pub(super) async fn mail(state: &AppState) -> Result<Snapshot, DbError> {
    let mut snapshot = Snapshot::default();
    let backlog = state.mail.backlog().await?;
    set_queue(&mut snapshot, "mail", backlog.pending, backlog.oldest, state.clock.now());
    snapshot.set(&series::QUEUE_FAILING, ["mail"], number(backlog.failing));
    Ok(snapshot)
}

pub(super) async fn user_changes(state: &AppState) -> Result<Snapshot, DirectoryError> {
    let mut snapshot = Snapshot::default();
    let backlog = state.directory.backlog().await?;
    let sum = |of: fn(&crate::directory::Backlog) -> i64| backlog.iter().map(|(_, of_biller)| of(of_biller)).sum();
    let oldest = backlog.iter().map(|(_, of_biller)| of_biller.oldest).min();
    set_queue(&mut snapshot, "user_changes", sum(|of_biller| of_biller.count), oldest, state.clock.now());
    snapshot.set(&series::QUEUE_FAILING, ["user_changes"], number(sum(|of_biller| of_biller.failing)));
    Ok(snapshot)
}

pub(super) async fn jobs(state: &AppState) -> Result<Snapshot, DbError> {
    let mut snapshot = Snapshot::default();
    for (name, count) in state.provisioning.jobs_by_state().await? {
        snapshot.set(&series::JOBS, [name], number(count));
    }
    let (open, oldest) = state.provisioning.open_jobs().await?;
    set_queue(&mut snapshot, "jobs", open, oldest, state.clock.now());
    Ok(snapshot)
}

pub(super) async fn sessions(state: &AppState) -> Result<Snapshot, DbError> {
    let mut snapshot = Snapshot::default();
    let of = |kind, lifetime: Lifetime| Sessions::new(state.db.clone(), state.clock.clone(), kind, lifetime);
    let customers = of(SessionKind::Customer, (&state.config.sessions).into());
    let staff = of(SessionKind::Staff, (&state.config.console).into());
    snapshot.set(&series::SESSIONS, ["customer"], number(customers.count_live().await?));
    snapshot.set(&series::SESSIONS, ["staff"], number(staff.count_live().await?));
    Ok(snapshot)
}

/// The circuit breakers and faults that this process acts on. Those of other billers stop no sign-in.
pub(super) async fn issuers(state: &AppState) -> Result<Snapshot, DirectoryError> {
    let mut snapshot = Snapshot::default();
    let billers = state.directory.billers().await?;
    let now = state.clock.now();
    for biller in billers.iter().filter(|biller| biller.settings.oidc.is_some() && biller.is_active(now)) {
        let slug = biller.slug.as_str();
        state.metrics.prepare_biller(slug);
        snapshot.set(&series::CIRCUIT_BREAKER_OPEN, [slug], f64::from(u8::from(biller.health.is_down)));
        if let Some(fault) = &biller.health.fault {
            snapshot.set(&series::SETUP_FAULT, [slug, fault], 1.0);
        }
    }
    Ok(snapshot)
}

pub(super) async fn wal(state: &AppState) -> Result<Snapshot, io::Error> {
    let mut snapshot = Snapshot::default();
    if let Some(bytes) = state.db.wal_bytes().await? {
        snapshot.set(&series::DATABASE_WAL, [], number(i64::try_from(bytes).unwrap_or(i64::MAX)));
    }
    Ok(snapshot)
}
