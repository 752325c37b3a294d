//! What the callback refuses, and the words for it.

use http::StatusCode;

use super::flow::Journey;
use crate::kernel::Slug;
use crate::secureauth::ProviderError;
use crate::state::AppState;
use crate::web::{Refusal, paths};

/// What can be refused here, in words.
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
    Refusal::new(
        status,
        error.reason(),
        "Signing in did not work",
        "Your sign-in could not be completed. Nothing is wrong with your password. Please try again.",
    )
    .about(slug.as_str())
    .next("Try again", journey.link(state, slug))
    .recorded()
}

impl Refused {
    /// As a page with a way on.
    pub(super) fn page(self, state: &AppState, slug: &Slug, journey: Option<&Journey>) -> Refusal {
        let (status, reason, title, text) = self.words();
        let restart = journey.map_or_else(|| paths::biller(slug), |journey| journey.link(state, slug));
        let refusal = Refusal::new(status, reason, title, text).about(slug.as_str());
        // Without a journey of ours anyone could make it up by the thousand.
        let refusal = if journey.is_some() { refusal.recorded() } else { refusal };
        match self {
            Self::NotAMember(_) | Self::UserNotActive => {
                refusal.next("Find my biller", paths::RECOVER).next("Try again", restart)
            }
            _ => refusal.next("Sign in", restart),
        }
    }

    fn words(self) -> (StatusCode, &'static str, &'static str, &'static str) {
        const BAD: StatusCode = StatusCode::BAD_REQUEST;
        const AGAIN: &str = "Please sign in again with the button below.";
        match self {
            Self::BadResponse(reason) => (BAD, reason, "We could not complete your sign-in", AGAIN),
            Self::BadState => (BAD, "bad_state", "We could not complete your sign-in", AGAIN),
            Self::MixUp => (BAD, "mix_up", "We could not complete your sign-in", AGAIN),
            Self::Iss => (BAD, "iss_mismatch", "We could not complete your sign-in", AGAIN),
            Self::UsedBefore => (
                BAD,
                "used_before",
                "This sign-in was already used",
                "Each sign-in works once. If you went back or opened the page again, just sign in once more.",
            ),
            Self::NoAttempt => (
                BAD,
                "no_attempt",
                "Your browser did not keep this sign-in",
                "Please allow cookies for this site, or do not switch browsers while signing in, and then try again.",
            ),
            Self::NotActive => (
                BAD,
                "not_active",
                "This sign-in page is not in use just now",
                "Your biller does not take sign-ins this way at the moment. We will take you to the right page.",
            ),
            Self::ProviderSays("access_denied") => (
                BAD,
                "access_denied",
                "You did not sign in",
                "Signing in was cancelled. You can try again at any time.",
            ),
            Self::ProviderSays("interaction_required") => (
                BAD,
                "interaction_required",
                "Please sign in again",
                "Your biller’s sign-in page needs you to sign in anew.",
            ),
            Self::ProviderSays(reason @ ("temporarily_unavailable" | "server_error")) => (
                StatusCode::SERVICE_UNAVAILABLE,
                reason,
                "Sorry, there is a problem",
                "Your biller’s sign-in page does not work just now. Please try again in a few minutes.",
            ),
            Self::ProviderSays(reason) => (BAD, reason, "Signing in did not work", AGAIN),
            Self::NotAMember(reason) => (
                StatusCode::FORBIDDEN,
                reason,
                "We could not find your account",
                "You signed in, but we have no account for you at this biller. If you pay several billers, this may be the \
                 wrong one.",
            ),
            Self::UserNotActive => (
                StatusCode::FORBIDDEN,
                "user_not_active",
                "Your account cannot be used just now",
                "You signed in, but your account is not active. Please contact support and tell them the reference code.",
            ),
        }
    }
}
