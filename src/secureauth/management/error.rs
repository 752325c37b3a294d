//! Why a call of the management API failed.

use serde_json::Value;

use crate::secureauth::HttpClientError;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No response, an invalid one, or a 5xx. The call may or may not have had its effect.
    #[error("SecureAuth did not respond ({0})")]
    OutcomeUnknown(&'static str),
    /// SecureAuth asks for a longer wait than this call allows.
    #[error("SecureAuth throttles requests")]
    Throttled,
    /// SecureAuth issues no access token, or rejects even a new one. That says nothing about the call itself.
    #[error("SecureAuth rejected the access token: {0}")]
    TokenRejected(Rejection),
    /// A 4xx: the call had no effect.
    #[error("SecureAuth rejected the call: {0}")]
    Rejected(Rejection),
    /// A 2xx, but the object does not have the value.
    #[error(
        "SecureAuth accepted {field} = {wanted} for {object}, but {field} is still {found}: set it in SecureAuth's console, \
         and ask SecureAuth whether this tenant knows the field"
    )]
    NotApplied { object: String, field: &'static str, wanted: bool, found: bool },
}

/// A 4xx response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    pub status: u16,
    /// `error_code` of the response, or empty.
    pub code: String,
    /// `error` of the response, truncated.
    pub message: String,
}

impl std::fmt::Display for Rejection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.status, self.code, self.message)
    }
}

impl Rejection {
    pub(super) fn read(status: u16, body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |name: &str| -> String {
            let text = body[name].as_str().unwrap_or_default();
            text.chars().filter(|c| !c.is_control()).take(120).collect()
        };
        Self { status, code: text("error_code"), message: text("error") }
    }
}

impl CallError {
    /// Whether a repetition would have the same result.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Rejected(_) | Self::NotApplied { .. })
    }

    /// Whether the call was rejected with this status.
    pub fn is(&self, status: u16) -> bool {
        matches!(self, Self::Rejected(rejection) if rejection.status == status)
    }
}

impl From<HttpClientError> for CallError {
    fn from(error: HttpClientError) -> Self {
        match error {
            HttpClientError::Throttled { .. } => Self::Throttled,
            HttpClientError::Unavailable(reason) | HttpClientError::Rejected(reason) => Self::OutcomeUnknown(reason),
        }
    }
}
