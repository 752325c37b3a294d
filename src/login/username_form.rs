//! What forms that ask for a username have in common.

use crate::access::{Client, RateLimits, Throttled};
use crate::i18n::Translator;
use crate::web::HttpError;
use crate::web::device::Device;
use crate::web::language::Language;
use signpost_core::UsernameInput;
use signpost_core::username::UsernameError;

const MAX_DISPLAYED_LENGTH: usize = 254;

/// Who asks for a username to be looked up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Requester<'a> {
    pub client: Client,
    pub device: &'a Device,
}

/// Counts a lookup. A refusal is the same for every username.
pub(super) fn check_lookup_limit(
    limits: &RateLimits,
    requester: Requester<'_>,
    name: &UsernameInput,
) -> Result<(), HttpError> {
    let counted = name.username().map_or(name.raw(), |username| username.as_str());
    let is_known_device = requester.device.has_signed_in(counted);
    limits.check_lookup(requester.client, counted, is_known_device).map_err(throttled)
}

/// Counts a lookup that may send mail. A refusal is the same for every username.
pub(super) fn check_mail_limit(
    limits: &RateLimits,
    requester: Requester<'_>,
    name: &UsernameInput,
) -> Result<(), HttpError> {
    check_lookup_limit(limits, requester, name)?;
    limits.check_mail_request(requester.client).map_err(throttled)
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
