//! People who come back at once from where they were handed over to: a portal that does not keep them, a legacy site that sends
//! them here again. Twice may be a coincidence; then the round ends at a page that says what happened.
//!
//! A sealed cookie counts, so that no other browser is concerned. A browser without cookies does not get so far: its sign-in
//! ends at the callback, and to a legacy site it is sent by a click.

use std::time::Duration;

use axum::http::HeaderMap;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::state::AppState;
use crate::web::{HttpError, cookies};
use signpost_core::{Purpose, Slug, Timestamp};

const COOKIE: &str = "__Host-h";
/// Who comes back later than this did something there.
const LOOP_WINDOW: Duration = Duration::from_secs(20);
/// So many hand-offs, one soon after the other, and no more by itself.
const MAX_CONSECUTIVE_HANDOFFS: usize = 2;
/// At most so many are remembered.
const MAX_RECORDED_HANDOFFS: usize = 4;

/// Where somebody was handed over to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Destination {
    /// The biller's portal, signed in.
    Portal,
    /// The legacy login.
    Legacy,
}

#[derive(Clone, Serialize, Deserialize)]
struct HandoffRecord {
    slug: Slug,
    to: Destination,
    at: Timestamp,
}

/// The line that counts one more hand-off.
pub(super) fn record(state: &AppState, headers: &HeaderMap, slug: &Slug, to: Destination) -> String {
    let latest = HandoffRecord { slug: slug.clone(), to, at: state.clock.now() };
    let all: Vec<HandoffRecord> =
        std::iter::once(latest).chain(recent(state, headers)).take(MAX_RECORDED_HANDOFFS).collect();
    cookies::set(COOKIE, state.keys.seal(Purpose::Device, COOKIE, &all), LOOP_WINDOW)
}

/// The line that forgets them: whoever signs out did something.
pub(super) fn forget() -> String {
    cookies::remove(COOKIE)
}

/// Refuses to hand over once more by itself; who clicks on the way on is let through.
pub(super) fn check(state: &AppState, headers: &HeaderMap, slug: &Slug, again: &str) -> Result<(), HttpError> {
    let rounds: Vec<Destination> =
        recent(state, headers).into_iter().filter(|handoff| handoff.slug == *slug).map(|h| h.to).collect();
    let Some(latest) = rounds.first().filter(|_| rounds.len() >= MAX_CONSECUTIVE_HANDOFFS) else { return Ok(()) };
    tracing::warn!(biller = %slug, to = ?latest, "somebody was sent back at once, twice");
    let (reason, message) = match latest {
        Destination::Portal => ("portal_redirect_loop", "error-portal-redirect-loop"),
        Destination::Legacy => ("legacy_redirect_loop", "error-legacy-redirect-loop"),
    };
    let error =
        HttpError::new(StatusCode::BAD_REQUEST, reason, message).for_biller(slug.as_str()).recorded().one_time();
    Err(error.with_link("action-try-again", again))
}

fn recent(state: &AppState, headers: &HeaderMap) -> Vec<HandoffRecord> {
    let cookie = cookies::get(headers, COOKIE);
    let opened =
        cookie.and_then(|cookie| state.keys.open::<Vec<HandoffRecord>>(Purpose::Device, COOKIE, cookie.value()).ok());
    let mut all = opened.unwrap_or_default();
    all.retain(|handoff| handoff.at.plus(LOOP_WINDOW) > state.clock.now());
    all
}
