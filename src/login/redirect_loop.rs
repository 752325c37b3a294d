//! Stops redirect loops: a portal or legacy site that sends a customer straight back to us. The third handoff in a row ends at a
//! page that says what happened.
//!
//! A sealed cookie counts the handoffs of one browser. A browser without cookies cannot loop: its sign-in ends at the
//! callback, and it reaches a legacy site by a click only.

use std::time::Duration;

use axum::http::HeaderMap;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::web::{HttpError, cookies};
use signpost_core::{KeyRing, Purpose, Slug, Timestamp};

const COOKIE: &str = "__Host-h";
/// A customer who comes back later than this has done something there.
const LOOP_WINDOW: Duration = Duration::from_secs(20);
const MAX_CONSECUTIVE_HANDOFFS: usize = 2;
const MAX_RECORDED_HANDOFFS: usize = 4;

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

/// The `Set-Cookie` line that counts one more handoff.
pub(super) fn record(keys: &KeyRing, now: Timestamp, headers: &HeaderMap, slug: &Slug, to: Destination) -> String {
    let latest = HandoffRecord { slug: slug.clone(), to, at: now };
    let all: Vec<HandoffRecord> =
        std::iter::once(latest).chain(recent(keys, now, headers)).take(MAX_RECORDED_HANDOFFS).collect();
    cookies::set(COOKIE, keys.seal(Purpose::Device, COOKIE, &all), LOOP_WINDOW)
}

/// The `Set-Cookie` line that clears the count, for a customer who signs out.
pub(super) fn forget() -> String {
    cookies::remove(COOKIE)
}

/// Fails if this is a loop. The error page links to `again`, which is not checked.
pub(super) fn check(
    keys: &KeyRing,
    now: Timestamp,
    headers: &HeaderMap,
    slug: &Slug,
    again: impl FnOnce() -> String,
) -> Result<(), HttpError> {
    let rounds: Vec<Destination> =
        recent(keys, now, headers).into_iter().filter(|handoff| handoff.slug == *slug).map(|h| h.to).collect();
    let Some(latest) = rounds.first().filter(|_| rounds.len() >= MAX_CONSECUTIVE_HANDOFFS) else { return Ok(()) };
    tracing::warn!(biller = %slug, to = ?latest, "redirect loop: the destination sent the browser straight back, twice");
    let (reason, message) = match latest {
        Destination::Portal => ("portal_redirect_loop", "error-portal-redirect-loop"),
        Destination::Legacy => ("legacy_redirect_loop", "error-legacy-redirect-loop"),
    };
    let error =
        HttpError::new(StatusCode::BAD_REQUEST, reason, message).for_biller(slug.as_str()).recorded().one_time();
    Err(error.with_link("action-try-again", again()))
}

fn recent(keys: &KeyRing, now: Timestamp, headers: &HeaderMap) -> Vec<HandoffRecord> {
    let cookie = cookies::get(headers, COOKIE);
    let opened =
        cookie.and_then(|cookie| keys.open::<Vec<HandoffRecord>>(Purpose::Device, COOKIE, cookie.value()).ok());
    let mut all = opened.unwrap_or_default();
    all.retain(|handoff| handoff.at.plus(LOOP_WINDOW) > now);
    all
}
