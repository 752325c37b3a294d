//! What the callback refuses, and the message for it.

use http::StatusCode;

use super::flow::LoginFlow;
use super::flow_token;
use crate::secureauth::ProviderError;
use crate::state::AppState;
use crate::web::{HttpError, paths};
use signpost_core::Slug;

/// What can be refused here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallbackError {
    /// The query cannot be read, a parameter is there twice, or tokens came where a code should be.
    InvalidResponse(&'static str),
    /// `state` is missing or not ours.
    InvalidState,
    /// The answer belongs to another biller's sign-in (RFC 9700, section 4.4).
    MixUp,
    /// `iss` is not the issuer that was asked, or is missing (RFC 9207, section 2.4).
    IssuerMismatch,
    /// This sign-in was finished before.
    AlreadyUsed,
    /// No sign-in of this browser, and starting again did not help.
    RequestNotFound,
    /// The biller does not sign people in itself (any more).
    BillerNotActive,
    /// The provider says no.
    AuthorizationError(&'static str),
    /// Nobody of this biller, or not the one that the subject belonged to before.
    NotAMember(&'static str),
    /// A user who may not sign in now.
    UserNotActive,
}

/// The classes of authorization errors (RFC 6749, section 4.1.2.1; OpenID Connect Core, section 3.1.2.6).
pub(super) fn error_class(error: &str) -> &'static str {
    match error {
        "access_denied" => "access_denied",
        "login_required" | "interaction_required" | "consent_required" | "account_selection_required" => {
            "interaction_required"
        }
        "temporarily_unavailable" => "temporarily_unavailable",
        "server_error" => "server_error",
        _ => "other_provider_error",
    }
}

/// The provider lied, refused or did not answer when the code was redeemed. A code is never sent again.
pub(super) fn provider_failed(state: &AppState, slug: &Slug, flow: &LoginFlow, error: &ProviderError) -> HttpError {
    tracing::warn!(biller = %slug, reason = error.reason(), "a sign-in was not accepted");
    let status = match error {
        ProviderError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_GATEWAY,
    };
    HttpError::new(status, error.reason(), "error-provider-failed")
        .for_biller(slug.as_str())
        .with_link("action-try-again", flow.link(state, slug))
        .recorded()
}

impl CallbackError {
    /// As a page with a way on.
    pub(super) fn into_http_error(self, state: &AppState, slug: &Slug, flow: Option<&LoginFlow>) -> HttpError {
        let (status, reason, message) = self.parts();
        let restart = flow.map_or_else(|| paths::biller(slug), |flow| flow.link(state, slug));
        let error = HttpError::new(status, reason, message).for_biller(slug.as_str());
        // Without a flow of ours anyone could make it up by the thousand.
        let error = if flow.is_some() { error.recorded() } else { error };
        match self {
            Self::NotAMember(_) | Self::UserNotActive => {
                let flow_token = flow.map(LoginFlow::flow_token).unwrap_or_default();
                let find = flow_token::address(state, paths::RECOVER, &flow_token);
                error.with_link("action-find-biller", find).with_link("action-try-again", restart)
            }
            _ => error.with_link("action-sign-in", restart),
        }
    }

    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        const BAD: StatusCode = StatusCode::BAD_REQUEST;
        match self {
            Self::InvalidResponse(reason) => (BAD, reason, "error-not-completed"),
            Self::InvalidState => (BAD, "invalid_state", "error-not-completed"),
            Self::MixUp => (BAD, "mix_up", "error-not-completed"),
            Self::IssuerMismatch => (BAD, "iss_mismatch", "error-not-completed"),
            Self::AlreadyUsed => (BAD, "already_used", "error-already-used"),
            Self::RequestNotFound => (BAD, "authorization_request_not_found", "error-authorization-request-not-found"),
            Self::BillerNotActive => (BAD, "biller_not_active", "error-biller-not-active"),
            Self::AuthorizationError(reason @ "access_denied") => (BAD, reason, "error-cancelled"),
            Self::AuthorizationError(reason @ "interaction_required") => (BAD, reason, "error-interaction-required"),
            Self::AuthorizationError(reason @ ("temporarily_unavailable" | "server_error")) => {
                (StatusCode::SERVICE_UNAVAILABLE, reason, "error-provider-unavailable")
            }
            Self::AuthorizationError(reason) => (BAD, reason, "error-provider-denied"),
            Self::NotAMember(reason) => (StatusCode::FORBIDDEN, reason, "error-not-a-member"),
            Self::UserNotActive => (StatusCode::FORBIDDEN, "user_not_active", "error-user-not-active"),
        }
    }
}
