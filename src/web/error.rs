//! `HttpError`: the one error type of handlers. It has a status, a code and a message, and knows no capability. The layer of
//! each audience renders it, as a page or as a problem document.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use signpost_core::Locale;

/// `Retry-After` of our own faults.
const FAULT_RETRY_SECONDS: u16 = 5;

/// An error response, before it is rendered.
#[derive(Clone, Debug)]
pub struct HttpError {
    pub status: StatusCode,
    /// The error code: stable, for machines, logs and support.
    pub reason: &'static str,
    /// Message key of the text that customers read.
    pub message: &'static str,
    /// What happened, for machine clients.
    pub detail: Option<String>,
    /// Where the customer can go from here: message key of the label, and address. The page adds its usual links.
    pub links: Vec<(&'static str, String)>,
    /// Slug of the biller that the request is about.
    pub biller: Option<Box<str>>,
    /// Invalid fields of a JSON body.
    pub fields: Box<[FieldError]>,
    /// Whether the decision log records it. Errors that anyone can cause by requesting addresses stay out of the log.
    pub is_recorded: bool,
    /// Whether repeating the request gives another answer, so that the page in another language needs an address of its own.
    pub is_one_time: bool,
    /// The language of the submitted form.
    pub locale: Option<Locale>,
    /// Seconds until the same request may succeed; 0: unknown.
    pub retry_after: u16,
}

/// An invalid field of a request body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// The field: a JSON pointer as a URI fragment (RFC 6901, section 6).
    #[schema(examples("#/name"))]
    pub pointer: String,
    /// What is wrong with it.
    #[schema(examples("must not be null"))]
    pub detail: String,
}

impl FieldError {
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }
}

impl HttpError {
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
            retry_after: 0,
        }
    }

    #[must_use]
    pub fn with_link(mut self, label: &'static str, address: impl Into<String>) -> Self {
        self.links.push((label, address.into()));
        self
    }

    /// Adds a link unless there is one already.
    #[must_use]
    pub fn or_link(self, label: &'static str, address: impl FnOnce() -> String) -> Self {
        if self.links.is_empty() { self.with_link(label, address()) } else { self }
    }

    #[must_use]
    pub fn recorded(mut self) -> Self {
        self.is_recorded = true;
        self
    }

    #[must_use]
    pub fn one_time(mut self) -> Self {
        self.is_one_time = true;
        self
    }

    /// Renders the page in the language of the submitted form, unless the customer chose another.
    #[must_use]
    pub fn in_locale(mut self, locale: Locale) -> Self {
        self.locale = Some(locale);
        self
    }

    #[must_use]
    pub fn for_biller(mut self, slug: impl Into<Box<str>>) -> Self {
        self.biller = Some(slug.into());
        self
    }

    /// A request over its limit.
    pub fn rate_limited(retry_after: Duration) -> Self {
        let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
        Self {
            retry_after: u16::try_from(seconds).unwrap_or(u16::MAX),
            ..Self::from_status(StatusCode::TOO_MANY_REQUESTS)
        }
    }

    /// This instance has too much to do. Not recorded: that would be more to do.
    pub fn overloaded() -> Self {
        Self { is_recorded: false, ..Self::unavailable() }
    }

    /// `Retry-After` in seconds; a minute for an outage, whose end is unknown.
    pub fn retry_after(&self) -> Option<HeaderValue> {
        match (self.retry_after, self.status) {
            (0, StatusCode::SERVICE_UNAVAILABLE) => Some(HeaderValue::from_static("60")),
            (0, _) => None,
            (seconds, _) => Some(HeaderValue::from(seconds)),
        }
    }

    /// The error for a bare status.
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

    /// An internal error. Its causes are logged here, once; the response says nothing about them.
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        // An outage of the database is logged once, when it begins.
        if crate::db::is_logged(error) {
            return Self::unavailable();
        }
        let mut chain = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            let text = inner.to_string();
            if !chain.contains(&text) {
                chain.push_str(": ");
                chain.push_str(&text);
            }
            cause = inner.source();
        }
        tracing::error!(error = chain, "internal error");
        Self::unavailable()
    }

    /// A fault of our own, which is often over as soon as the database is back.
    fn unavailable() -> Self {
        Self { retry_after: FAULT_RETRY_SECONDS, ..Self::from_status(StatusCode::SERVICE_UNAVAILABLE) }
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
