//! Errors of the callback, and their pages.

use http::StatusCode;

use super::addresses;
use crate::handoffs::FlowContext;
use crate::secureauth::{ProviderError, setup_fault as setup_fault_reason};
use crate::web::{HttpError, paths};
use signpost_core::{KeyRing, Slug};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallbackError {
    /// The response cannot be read, repeats a parameter, or carries tokens instead of a code.
    InvalidResponse(&'static str),
    /// `state` is missing, or we did not issue it.
    InvalidState,
    /// The response belongs to another biller's sign-in (RFC 9700, section 4.4).
    MixUp,
    /// `iss` is missing, or not the issuer that the request went to (RFC 9207, section 2.4).
    IssuerMismatch,
    /// This sign-in was completed before.
    AlreadyUsed,
    /// This browser has no such request, and a restart did not help.
    RequestNotFound,
    /// The biller is not active, or no longer.
    BillerNotActive,
    /// The identity provider returned an error.
    AuthorizationError(&'static str),
    /// The user is not a member of this biller, or the subject belongs to another member.
    NotAMember(&'static str),
    /// Neither the ID token nor UserInfo has the claim that identifies the user.
    ClaimMissing,
    /// The user is suspended.
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
        other => setup_fault_reason(other, "").unwrap_or("other_provider_error"),
    }
}

/// The biller's registration or its provider is set up wrong. Trying again does not help.
pub(super) fn setup_fault(keys: &KeyRing, slug: &Slug, flow: &FlowContext, fault: &'static str) -> HttpError {
    let error = HttpError::new(StatusCode::BAD_GATEWAY, fault, "error-setup-fault").for_biller(slug.as_str());
    with_help(error, keys, slug, Some(flow)).recorded()
}

/// Only support can help. The biller is the right one, but the customer may have another as well.
fn with_help(error: HttpError, keys: &KeyRing, slug: &Slug, flow: Option<&FlowContext>) -> HttpError {
    error
        .with_link("action-help", paths::with_query(paths::HELP, "biller", slug.as_str()))
        .with_link("action-find-biller", find(keys, flow))
}

/// The token endpoint failed, or its response is invalid. A code is never sent twice.
pub(super) fn provider_failed(keys: &KeyRing, slug: &Slug, flow: &FlowContext, error: &ProviderError) -> HttpError {
    tracing::warn!(biller = %slug, reason = error.reason(), "the token response was rejected");
    if let Some(fault) = error.setup_fault() {
        return setup_fault(keys, slug, flow, fault);
    }
    let status = match error {
        ProviderError::Unavailable(_) | ProviderError::Throttled { .. } => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_GATEWAY,
    };
    let retry_after = if let ProviderError::Throttled { seconds, .. } = error { *seconds } else { 0 };
    HttpError { retry_after, ..HttpError::new(status, error.reason(), "error-provider-failed") }
        .for_biller(slug.as_str())
        .with_link("action-try-again", addresses::sign_in(keys, slug, flow))
        .recorded()
}

fn find(keys: &KeyRing, flow: Option<&FlowContext>) -> String {
    flow.map_or_else(|| paths::RECOVER.to_owned(), |flow| addresses::page(keys, paths::RECOVER, flow))
}

impl CallbackError {
    pub(super) fn into_http_error(self, keys: &KeyRing, slug: &Slug, flow: Option<&FlowContext>) -> HttpError {
        let (status, reason, message) = self.parts();
        let restart = flow.map_or_else(|| paths::biller(slug), |flow| addresses::sign_in(keys, slug, flow));
        let error = HttpError::new(status, reason, message).for_biller(slug.as_str());
        // Without a flow of ours anyone could cause this error by the thousand.
        let error = if flow.is_some() { error.recorded() } else { error };
        match self {
            Self::AuthorizationError(reason) if setup_fault_reason(reason, "").is_some() => {
                with_help(error, keys, slug, flow)
            }
            Self::ClaimMissing => with_help(error, keys, slug, flow),
            Self::NotAMember(_) | Self::UserNotActive => {
                error.with_link("action-find-biller", find(keys, flow)).with_link("action-try-again", restart)
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
            Self::AuthorizationError(reason) if setup_fault_reason(reason, "").is_some() => {
                (StatusCode::BAD_GATEWAY, reason, "error-setup-fault")
            }
            Self::AuthorizationError(reason) => (BAD, reason, "error-provider-denied"),
            Self::ClaimMissing => (StatusCode::BAD_GATEWAY, "claim_missing", "error-setup-fault"),
            Self::NotAMember(reason) => (StatusCode::FORBIDDEN, reason, "error-not-a-member"),
            Self::UserNotActive => (StatusCode::FORBIDDEN, "user_not_active", "error-user-not-active"),
        }
    }
}
