//! What the callback refuses, and the message for it.

use http::StatusCode;

use super::carried;
use super::flow::Journey;
use crate::secureauth::ProviderError;
use crate::state::AppState;
use crate::web::{Refusal, paths};
use signpost_core::Slug;

/// What can be refused here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The query cannot be read, a parameter is there twice, or tokens came where a code should be.
    BadResponse(&'static str),
    /// `state` is missing or not ours.
    BadState,
    /// The answer belongs to another biller's sign-in (RFC 9700, section 4.4).
    MixUp,
    /// `iss` is not the issuer that was asked, or is missing (RFC 9207, section 2.4).
    Iss,
    /// This sign-in was finished before.
    UsedBefore,
    /// No sign-in of this browser, and starting again did not help.
    NoAttempt,
    /// The biller does not sign people in itself (any more).
    NotActive,
    /// The provider says no.
    ProviderSays(&'static str),
    /// Nobody of this biller, or not the one that the subject belonged to before.
    NotAMember(&'static str),
    /// A user who may not sign in now.
    UserNotActive,
}

/// The classes of authorization errors (RFC 6749, section 4.1.2.1; OpenID Connect Core, section 3.1.2.6).
pub(super) fn class_of(error: &str) -> &'static str {
    match error {
        "access_denied" => "access_denied",
        "login_required" | "interaction_required" | "consent_required" | "account_selection_required" => {
            "interaction_required"
        }
        "temporarily_unavailable" => "temporarily_unavailable",
        "server_error" => "server_error",
        _ => "other_error",
    }
}

/// The provider lied, refused or did not answer when the code was redeemed. A code is never sent again.
pub(super) fn provider_failed(state: &AppState, slug: &Slug, journey: &Journey, error: &ProviderError) -> Refusal {
    tracing::warn!(biller = %slug, reason = error.reason(), "a sign-in was not accepted");
    let status = match error {
        ProviderError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_GATEWAY,
    };
    Refusal::new(status, error.reason(), "error-provider-failed")
        .about(slug.as_str())
        .next("go-again", journey.link(state, slug))
        .recorded()
}

impl Refused {
    /// As a page with a way on.
    pub(super) fn page(self, state: &AppState, slug: &Slug, journey: Option<&Journey>) -> Refusal {
        let (status, reason, message) = self.words();
        let restart = journey.map_or_else(|| paths::biller(slug), |journey| journey.link(state, slug));
        let refusal = Refusal::new(status, reason, message).about(slug.as_str());
        // Without a journey of ours anyone could make it up by the thousand.
        let refusal = if journey.is_some() { refusal.recorded() } else { refusal };
        match self {
            Self::NotAMember(_) | Self::UserNotActive => {
                let carried = journey.map(Journey::carried).unwrap_or_default();
                let find = carried::address(state, paths::RECOVER, &carried);
                refusal.next("go-biller", find).next("go-again", restart)
            }
            _ => refusal.next("go-sign-in", restart),
        }
    }

    fn words(self) -> (StatusCode, &'static str, &'static str) {
        const BAD: StatusCode = StatusCode::BAD_REQUEST;
        match self {
            Self::BadResponse(reason) => (BAD, reason, "error-not-completed"),
            Self::BadState => (BAD, "bad_state", "error-not-completed"),
            Self::MixUp => (BAD, "mix_up", "error-not-completed"),
            Self::Iss => (BAD, "iss_mismatch", "error-not-completed"),
            Self::UsedBefore => (BAD, "used_before", "error-used-before"),
            Self::NoAttempt => (BAD, "no_attempt", "error-no-attempt"),
            Self::NotActive => (BAD, "not_active", "error-not-active"),
            Self::ProviderSays(reason @ "access_denied") => (BAD, reason, "error-cancelled"),
            Self::ProviderSays(reason @ "interaction_required") => (BAD, reason, "error-interaction"),
            Self::ProviderSays(reason @ ("temporarily_unavailable" | "server_error")) => {
                (StatusCode::SERVICE_UNAVAILABLE, reason, "error-provider-down")
            }
            Self::ProviderSays(reason) => (BAD, reason, "error-provider-says-no"),
            Self::NotAMember(reason) => (StatusCode::FORBIDDEN, reason, "error-not-a-member"),
            Self::UserNotActive => (StatusCode::FORBIDDEN, "user_not_active", "error-user-not-active"),
        }
    }
}
