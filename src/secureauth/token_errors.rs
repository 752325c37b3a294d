//! Errors of the token endpoint and of ID tokens, as provider errors.

use openidconnect::core::CoreErrorResponseType;
use openidconnect::{ClaimsVerificationError, RequestTokenError, SignatureVerificationError};

use super::error::log_detail;
use super::{HttpClientError, ProviderError};

pub(super) fn token_error<T>(error: &RequestTokenError<HttpClientError, T>) -> ProviderError
where
    T: openidconnect::ErrorResponse + 'static + AsErrorType,
{
    match error {
        RequestTokenError::ServerResponse(response) => match response.error_type() {
            CoreErrorResponseType::InvalidGrant => ProviderError::Rejected("invalid_grant"),
            other => setup_fault(other.as_ref(), "")
                .map_or(ProviderError::Rejected("token_endpoint_error"), ProviderError::Setup),
        },
        RequestTokenError::Request(error) => (*error).into(),
        RequestTokenError::Parse(..) => ProviderError::InvalidResponse("token_response_malformed"),
        RequestTokenError::Other(_) => ProviderError::InvalidResponse("token_response_unusable"),
    }
}

pub(super) const SETUP_ERRORS: [&str; 7] = [
    "invalid_client",
    "invalid_redirect_uri",
    "invalid_request",
    "invalid_scope",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_response_type",
];

/// The errors that a wrong registration causes (RFC 6749, sections 4.1.2.1 and 5.2; RFC 9126, section 2.3). Providers have no
/// code of their own for an unregistered redirect URI, but name it in the description.
pub fn setup_fault(code: &str, description: &str) -> Option<&'static str> {
    let code =
        if code == "invalid_request" && description.contains("redirect_uri") { "invalid_redirect_uri" } else { code };
    SETUP_ERRORS.into_iter().find(|known| *known == code)
}

/// The error code of a standard error response.
pub(super) trait AsErrorType {
    fn error_type(&self) -> &CoreErrorResponseType;
}

impl AsErrorType for openidconnect::StandardErrorResponse<CoreErrorResponseType> {
    fn error_type(&self) -> &CoreErrorResponseType {
        self.error()
    }
}

/// Why an ID token was not accepted.
pub(super) enum VerificationError {
    /// The keys may be outdated: one refetch is allowed.
    UnknownKey,
    Rejected(ProviderError),
}

impl VerificationError {
    pub(super) fn into_error(self) -> ProviderError {
        match self {
            Self::UnknownKey => ProviderError::InvalidResponse("unknown_key"),
            Self::Rejected(error) => error,
        }
    }
}

impl From<&ClaimsVerificationError> for VerificationError {
    fn from(error: &ClaimsVerificationError) -> Self {
        use ClaimsVerificationError as E;
        let reason = match error {
            E::SignatureVerification(SignatureVerificationError::NoMatchingKey) => return Self::UnknownKey,
            E::SignatureVerification(SignatureVerificationError::AmbiguousKeyId(_)) => "ambiguous_key",
            E::SignatureVerification(SignatureVerificationError::DisallowedAlg(_)) => "invalid_algorithm",
            E::SignatureVerification(_) => "invalid_signature",
            E::Expired(_) => "expired",
            E::InvalidAudience(_) => "invalid_audience",
            E::InvalidIssuer(_) => "invalid_issuer",
            E::InvalidNonce(_) => "invalid_nonce",
            E::InvalidSubject(_) => "invalid_sub",
            _ => "id_token_rejected",
        };
        match error {
            E::Expired(detail)
            | E::InvalidAudience(detail)
            | E::InvalidIssuer(detail)
            | E::SignatureVerification(SignatureVerificationError::DisallowedAlg(detail)) => log_detail(reason, detail),
            _ => {}
        }
        Self::Rejected(ProviderError::InvalidResponse(reason))
    }
}
