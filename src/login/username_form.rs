//! What forms that ask for a username have in common.

use crate::access::{Client, LookupRefusal, Requester, Throttled};
use crate::i18n::Translator;
use crate::state::AppState;
use crate::web::HttpError;
use crate::web::device::Device;
use crate::web::language::Language;
use signpost_core::UsernameInput;
use signpost_core::username::UsernameError;

const MAX_DISPLAYED_LENGTH: usize = 254;

/// Where a username is typed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin<'a> {
    pub client: Client,
    pub device: &'a Device,
}

/// Counts a lookup. A refusal is the same for every username, and so is the work before it.
pub(super) async fn check_lookup_limit(
    state: &AppState,
    Origin { client, device }: Origin<'_>,
    name: &UsernameInput,
) -> Result<(), HttpError> {
    let counted = counted(name);
    let has_signed_in = device.has_signed_in(counted) || state.known_networks.is_remembered(client, counted);
    let limit = match state.limits.check_lookup(client, counted, has_signed_in) {
        Ok(()) if has_signed_in => None,
        Ok(()) => state.exhausted_limits.throttled(client, counted),
        Err(LookupRefusal::Username(limit)) => {
            // Without the database each instance applies its own limit.
            let _ = state.exhausted_limits.record(client, counted, limit).await;
            Some(limit)
        }
        Err(LookupRefusal::Network(limit)) => return Err(throttled(limit)),
    };
    match limit {
        None => Ok(()),
        // Another instance may have seen a sign-in, or this one before it was restarted.
        Some(_) if state.known_networks.contains(client, counted).await? => Ok(()),
        Some(limit) => Err(throttled(limit)),
    }
}

/// Counts a lookup that may send mail. A refusal is the same for every username, and so are the reads. Returns whose limit of the
/// mailbox applies.
pub(super) async fn check_mail_limit(
    state: &AppState,
    origin: Origin<'_>,
    name: &UsernameInput,
) -> Result<Requester, HttpError> {
    check_lookup_limit(state, origin, name).await?;
    state.limits.check_mail_request(origin.client).map_err(throttled)?;
    let counted = counted(name);
    // Without the database a known network is a stranger, which matters for the mail limit only.
    let is_known = state.known_networks.contains(origin.client, counted).await.unwrap_or(false);
    Ok(if is_known || origin.device.has_signed_in(counted) { Requester::Known } else { Requester::Stranger })
}

fn counted(name: &UsernameInput) -> &str {
    name.username().map_or(name.raw(), |username| username.as_str())
}

fn throttled(limit: Throttled) -> HttpError {
    HttpError::rate_limited(limit.retry_after)
}

/// A sentence that says how to correct the username.
pub(super) fn username_error(language: &Language, error: UsernameError) -> String {
    Translator::new(language.locale).t(match error {
        UsernameError::Empty => "username-empty",
        UsernameError::TooLong => "username-too-long",
        UsernameError::Control | UsernameError::NotAllowed => "username-invalid-characters",
    })
}

/// Invalid input, made fit to be shown again.
pub(super) fn sanitize(typed: &str) -> String {
    typed.chars().filter(|c| !c.is_control()).take(MAX_DISPLAYED_LENGTH).collect()
}
