//! What forms that ask for a username have in common.

use std::net::IpAddr;

use http::StatusCode;

use crate::access::RateLimits;
use crate::i18n::Translator;
use crate::web::HttpError;
use crate::web::language::Language;
use signpost_core::UsernameInput;
use signpost_core::username::UsernameError;

const MAX_DISPLAYED_LENGTH: usize = 254;

/// Counts a lookup. A refusal is the same for every username.
pub(super) fn check_lookup_limit(limits: &RateLimits, client: IpAddr, name: &UsernameInput) -> Result<(), HttpError> {
    let counted = name.username().map_or(name.raw(), |username| username.as_str());
    ensure_allowed(limits.allow_lookup(client, counted))
}

/// Counts a lookup that may send mail. A refusal is the same for every username.
pub(super) fn check_mail_limit(limits: &RateLimits, client: IpAddr, name: &UsernameInput) -> Result<(), HttpError> {
    check_lookup_limit(limits, client, name)?;
    ensure_allowed(limits.allow_mail_request(client))
}

fn ensure_allowed(is_allowed: bool) -> Result<(), HttpError> {
    if is_allowed { Ok(()) } else { Err(HttpError::from_status(StatusCode::TOO_MANY_REQUESTS)) }
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
