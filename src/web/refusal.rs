//! What is answered instead of what was asked. It knows no capability: a status, a stable reason, and words for people.
//! The audience's own layer makes a page or a problem document of it.

use axum::response::{IntoResponse, Response};
use http::StatusCode;

/// A refusal, or a failure.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// HTTP status.
    pub status: StatusCode,
    /// Stable reason, for logs and support.
    pub reason: &'static str,
    /// One line for people.
    pub title: Box<str>,
    /// What happened and what can be done.
    pub text: String,
    /// Where to go on: label and address. The audience adds its usual ways.
    pub next: Vec<(String, String)>,
    /// The biller concerned, by slug.
    pub biller: Option<Box<str>>,
    /// Fields that are wrong, and how: a JSON pointer (RFC 6901) into the request's body, and a sentence.
    pub fields: Box<[(String, String)]>,
    /// It is worth an entry in the decision log. Not what anyone can bring about by asking for addresses.
    pub recorded: bool,
}

impl Refusal {
    /// A refusal in words.
    pub fn new(status: StatusCode, reason: &'static str, title: &str, text: &str) -> Self {
        Self {
            status,
            reason,
            title: title.into(),
            text: text.to_owned(),
            next: Vec::new(),
            biller: None,
            fields: Box::default(),
            recorded: status.is_server_error(),
        }
    }

    /// With a way on.
    #[must_use]
    pub fn next(mut self, label: impl Into<String>, address: impl Into<String>) -> Self {
        self.next.push((label.into(), address.into()));
        self
    }

    /// With a way on, unless there is one already.
    #[must_use]
    pub fn or_next(self, label: &str, address: impl FnOnce() -> String) -> Self {
        if self.next.is_empty() { self.next(label, address()) } else { self }
    }

    /// To be found in the decision log.
    #[must_use]
    pub fn recorded(mut self) -> Self {
        self.recorded = true;
        self
    }

    /// About a biller.
    #[must_use]
    pub fn about(mut self, slug: impl Into<Box<str>>) -> Self {
        self.biller = Some(slug.into());
        self
    }

    /// The refusal that a bare status stands for.
    pub fn from_status(status: StatusCode) -> Self {
        let (reason, title, text) = match status.as_u16() {
            403 => (
                "cross_site",
                "This request came from another site",
                "For your security we only accept forms from our own pages. Please start from our sign-in page.",
            ),
            404 => (
                "not_found",
                "This page does not exist",
                "The address may be mistyped or out of date. You can sign in from our sign-in page.",
            ),
            405 => ("method", "This page cannot be used that way", "Please start from our sign-in page."),
            408 => ("timeout", "That took too long", "The connection was too slow. Please try again."),
            413 => {
                ("too_long", "That was too long", "What was sent is longer than any form of ours. Please try again.")
            }
            415 => ("media_type", "This form was not sent by a browser", "Please use the form on our sign-in page."),
            421 => (
                "unknown_host",
                "This address is not ours",
                "This server does not serve the address you used. Please check it, or use the link below.",
            ),
            429 => (
                "too_many",
                "Too many tries",
                "There were too many tries from your connection or for this username. Please wait a few minutes and try again.",
            ),
            431 => (
                "headers_too_long",
                "Your browser sent too much",
                "Please delete the cookies of this site and try again.",
            ),
            503 => (
                "unavailable",
                "Sorry, there is a problem",
                "Signing in does not work just now. Please try again in a few minutes.",
            ),
            400..500 => (
                "bad_request",
                "We could not read that",
                "Something in the request could not be understood. Please start from our sign-in page.",
            ),
            _ => (
                "internal",
                "Sorry, there is a problem",
                "Something went wrong on our side. Please try again in a few minutes.",
            ),
        };
        Self::new(status, reason, title, text)
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

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<crate::db::DbError> for Refusal {
    fn from(error: crate::db::DbError) -> Self {
        Self::internal(&error)
    }
}

impl From<crate::directory::DirectoryError> for Refusal {
    fn from(error: crate::directory::DirectoryError) -> Self {
        Self::internal(&error)
    }
}

impl From<tower_sessions::session::Error> for Refusal {
    fn from(error: tower_sessions::session::Error) -> Self {
        Self::internal(&error)
    }
}
