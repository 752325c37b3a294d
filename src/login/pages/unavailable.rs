//! Pages that say that something does not work.

use askama::Template;

use super::{Chrome, Link, OperatorText};

/// The biller's identity provider is away (row 8).
#[derive(Clone, Debug, Template)]
#[template(path = "login/outage.html")]
pub struct OutagePage {
    pub chrome: Chrome,
    pub biller: String,
    pub retry_url: String,
    /// The end of an announced maintenance.
    pub until: Option<String>,
    /// How to pay without signing in. The contacts leave it out then.
    pub pay: Option<OperatorText>,
}

/// Sign-in is paused, for one biller or for all.
#[derive(Clone, Debug, Template)]
#[template(path = "login/hold.html")]
pub struct HoldPage {
    pub chrome: Chrome,
    /// Name of the biller; none if sign-in is paused for all.
    pub biller: Option<String>,
    pub retry_url: String,
    /// How to pay without signing in. The contacts leave it out then.
    pub pay: Option<OperatorText>,
}

/// Says what went wrong and how to continue.
#[derive(Clone, Debug, Template)]
#[template(path = "error/error.html")]
pub struct ErrorPage {
    pub chrome: Chrome,
    pub title: String,
    pub text: String,
    /// The first link is the main one.
    pub links: Vec<Link>,
}
