//! Erases a person.

use std::time::Duration;

use super::collect::{PersonalData, Subject, collect};
use crate::audit::{Action, Actor, ActorContext, AuditEvent, DecisionLog, rewrite_event};
use crate::directory::{Biller, DirectoryError};
use crate::mail::Mail;
use crate::sessions;
use crate::state::AppState;
use signpost_core::Username;

/// Deleted users that are erased together: decision log and audit trail are read once for them.
const BATCH: i64 = 100;
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Decisions reach the log within this time. Those that did while the data was collected are erased as well.
const LOG_DELAY: Duration = Duration::from_secs(60);

/// Erases all that [`collect`] found, in one transaction with its audit event. Returns whether it did: erased data is not erased
/// again, not even by two instances at a time.
pub async fn erase(state: &AppState, data: &PersonalData, actor: &ActorContext) -> Result<bool, DirectoryError> {
    if data.is_empty() {
        return Ok(false);
    }
    let (now, subject) = (actor.now(), &data.subject);
    let mut tx = state.db.begin().await?;
    let username = subject.record.as_ref().and_then(|record| Username::parse(&record.username).ok());
    // Changes of billers are the first statements, as everywhere.
    for slug in &data.allow_lists {
        let event = AuditEvent::new(Action::RolloutUpdated);
        let change = |biller: &mut Biller| {
            if let (Some(allow), Some(username)) = (&mut biller.settings.rollout.allow, &username) {
                allow.retain(|name| name != username.as_str());
            }
        };
        state.directory.update_biller_in(&mut tx, slug, (actor, event), change).await?;
    }
    if let Some(user) = &subject.user {
        let had_record = state.directory.erase_user_in(&mut tx, user, now, &state.random).await?;
        if subject.record.is_some() && !had_record {
            return Ok(false);
        }
        sessions::delete_for_user(&mut tx, user).await?;
    }
    let codes: Vec<&str> = data.decisions.iter().map(|entry| entry.code.as_str()).collect();
    let hashes = subject.hashes(state);
    let hashes: Vec<&str> = hashes.iter().map(String::as_str).collect();
    DecisionLog::erase(&mut tx, &codes, (&hashes, now.minus(LOG_DELAY))).await?;
    for event in &data.rewritten_events {
        rewrite_event(&mut tx, event).await?;
    }
    Mail::erase_tasks(&mut tx, &data.tasks).await?;
    for response in &data.responses {
        response.clear(&mut tx).await?;
    }
    let event = data
        .counts()
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .fold(AuditEvent::new(Action::UserErased), |event, (table, count)| event.with(table, count));
    let event = match &subject.user {
        Some(user) => event.about(user.as_str()),
        None => event,
    };
    actor.record(&mut tx, event).await?;
    tx.commit().await?;
    state.biller_sessions.verified.clear();
    Ok(true)
}

/// Erases users who were deleted longer ago than the retention. Returns how many.
pub async fn erase_deleted_users(state: &AppState) -> Result<usize, DirectoryError> {
    let days = u32::try_from(state.config.audit.deleted_user_retention_days).unwrap_or(u32::MAX);
    let before = state.clock.now().minus(DAY.saturating_mul(days));
    let actor = state.actor_context(Actor::System).because("the user was deleted, and the retention has ended");
    let mut erased = 0;
    loop {
        let due = state.directory.users_to_erase(before, BATCH).await?;
        if due.is_empty() {
            return Ok(erased);
        }
        let mut subjects = Vec::new();
        for user in due {
            subjects.push(Subject::by_id(state, user).await?);
        }
        for data in collect(state, subjects).await? {
            state.db.yield_to_waiters().await;
            erased += usize::from(erase(state, &data, &actor).await?);
        }
    }
}
