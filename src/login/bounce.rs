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
use crate::web::{Refusal, cookies};
use signpost_core::{Purpose, Slug, Timestamp};

const COOKIE: &str = "__Host-h";
/// Who comes back later than this did something there.
const AT_ONCE: Duration = Duration::from_secs(20);
/// So many hand-offs, one soon after the other, and no more by itself.
const MOST: usize = 2;
/// At most so many are remembered.
const KEPT: usize = 4;

/// Where somebody was handed over to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum To {
    /// The biller's portal, signed in.
    Portal,
    /// The legacy login.
    Legacy,
}

#[derive(Clone, Serialize, Deserialize)]
struct HandOff {
    slug: Slug,
    to: To,
    at: Timestamp,
}

/// The line that counts one more hand-off.
pub(super) fn count(state: &AppState, headers: &HeaderMap, slug: &Slug, to: To) -> String {
    let latest = HandOff { slug: slug.clone(), to, at: state.clock.now() };
    let all: Vec<HandOff> = std::iter::once(latest).chain(recent(state, headers)).take(KEPT).collect();
    cookies::set(COOKIE, state.keys.seal(Purpose::Device, COOKIE, &all), AT_ONCE)
}

/// The line that forgets them: whoever signs out did something.
pub(super) fn forget() -> String {
    cookies::remove(COOKIE)
}

/// Refuses to hand over once more by itself; who clicks on the way on is let through.
pub(super) fn check(state: &AppState, headers: &HeaderMap, slug: &Slug, again: &str) -> Result<(), Refusal> {
    let rounds: Vec<To> =
        recent(state, headers).into_iter().filter(|hand_off| hand_off.slug == *slug).map(|h| h.to).collect();
    let Some(latest) = rounds.first().filter(|_| rounds.len() >= MOST) else { return Ok(()) };
    tracing::warn!(biller = %slug, to = ?latest, "somebody was sent back at once, twice");
    let (reason, message) = match latest {
        To::Portal => ("sent_back", "error-sent-back"),
        To::Legacy => ("sent_back_by_legacy", "error-sent-back-before"),
    };
    let refusal = Refusal::new(StatusCode::BAD_REQUEST, reason, message).about(slug.as_str()).recorded().once();
    Err(refusal.next("go-again", again))
}

fn recent(state: &AppState, headers: &HeaderMap) -> Vec<HandOff> {
    let cookie = cookies::one(headers, COOKIE);
    let opened =
        cookie.and_then(|cookie| state.keys.open::<Vec<HandOff>>(Purpose::Device, COOKIE, cookie.value()).ok());
    let mut all = opened.unwrap_or_default();
    all.retain(|hand_off| hand_off.at.plus(AT_ONCE) > state.clock.now());
    all
}
