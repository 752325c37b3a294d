//! What is answered instead of what was asked. It knows no capability: a status, a stable reason, and a message.
//! The audience's own layer makes a page or a problem document of it.

use axum::response::{IntoResponse, Response};
use http::StatusCode;

use signpost_core::Locale;

/// An error, or a failure.
#[derive(Clone, Debug)]
pub struct HttpError {
    /// HTTP status.
    pub status: StatusCode,
    /// Stable reason, for logs and support.
    pub reason: &'static str,
    /// Key of the message for people, whose text says what can be done.
    pub message: &'static str,
    /// What happened, for machines.
    pub detail: Option<String>,
    /// Where to go on: key of the label, and address. The audience adds its usual ways.
    pub links: Vec<(&'static str, String)>,
    /// The biller concerned, by slug.
    pub biller: Option<Box<str>>,
    /// Fields that are wrong, and how: a JSON pointer (RFC 6901) into the request's body, and a sentence.
    pub fields: Box<[(String, String)]>,
    /// It is worth an entry in the decision log. Not what anyone can bring about by asking for addresses.
    pub is_recorded: bool,
    /// To ask again would not give the same answer.
    pub is_one_time: bool,
    /// The language of the form that was sent.
    pub locale: Option<Locale>,
}

impl HttpError {
    /// An error, with the key of its message.
    pub fn new(status: StatusCode, reason: &'static str, message: &'static str) -> Self {
        Self {
            status,
            reason,
            message,
            detail: None,
            links: Vec::new(),
            biller: None,
            fields: Box::default(),
            is_recorded: status.is_server_error(),
            is_one_time: false,
            locale: None,
        }
    }

    /// With a way on.
    #[must_use]
    pub fn with_link(mut self, label: &'static str, address: impl Into<String>) -> Self {
        self.links.push((label, address.into()));
        self
    }

    /// With a way on, unless there is one already.
    #[must_use]
    pub fn or_link(self, label: &'static str, address: impl FnOnce() -> String) -> Self {
        if self.links.is_empty() { self.with_link(label, address()) } else { self }
    }

    /// To be found in the decision log.
    #[must_use]
    pub fn recorded(mut self) -> Self {
        self.is_recorded = true;
        self
    }

    /// Not to be had again by asking again.
    #[must_use]
    pub fn one_time(mut self) -> Self {
        self.is_one_time = true;
        self
    }

    /// In the language of the form that was sent, unless the person chose another.
    #[must_use]
    pub fn in_locale(mut self, locale: Locale) -> Self {
        self.locale = Some(locale);
        self
    }

    /// About a biller.
    #[must_use]
    pub fn for_biller(mut self, slug: impl Into<Box<str>>) -> Self {
        self.biller = Some(slug.into());
        self
    }

    /// The error that a bare status stands for.
    pub fn from_status(status: StatusCode) -> Self {
        let (reason, message) = match status.as_u16() {
            403 => ("cross_site", "error-cross-site"),
            404 => ("not_found", "error-not-found"),
            405 => ("method_not_allowed", "error-method-not-allowed"),
            408 => ("request_timeout", "error-request-timeout"),
            413 => ("payload_too_large", "error-payload-too-large"),
            415 => ("unsupported_media_type", "error-unsupported-media-type"),
            421 => ("unknown_host", "error-unknown-host"),
            429 => ("rate_limited", "error-rate-limited"),
            431 => ("headers_too_large", "error-headers-too-large"),
            503 => ("service_unavailable", "error-service-unavailable"),
            400..500 => ("bad_request", "error-bad-request"),
            _ => ("internal_error", "error-internal-error"),
        };
        Self::new(status, reason, message)
    }

    /// A failure of ours: the cause is logged here once, and nothing of it is shown.
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut chain = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            chain.push_str(": ");
            chain.push_str(&inner.to_string());
            cause = inner.source();
        }
        tracing::error!(error = chain, "internal failure");
        Self::from_status(StatusCode::SERVICE_UNAVAILABLE)
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<crate::db::DbError> for HttpError {
    fn from(error: crate::db::DbError) -> Self {
        Self::internal(&error)
    }
}

impl From<crate::directory::DirectoryError> for HttpError {
    fn from(error: crate::directory::DirectoryError) -> Self {
        Self::internal(&error)
    }
}

impl From<tower_sessions::session::Error> for HttpError {
    fn from(error: tower_sessions::session::Error) -> Self {
        Self::internal(&error)
    }
}
