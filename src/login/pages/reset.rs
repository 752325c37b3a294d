//! Pages of the password reset.

use askama::Template;

use super::{Chrome, Link};

/// Asks for the username whose password to reset.
#[derive(Clone, Debug, Template)]
#[template(path = "login/reset.html")]
pub struct ResetPage {
    pub chrome: Chrome,
    pub username: String,
    pub error: Option<String>,
    /// The address that the form posts to.
    pub action: String,
    /// The return target.
    pub return_to: Option<String>,
    /// The sign-in page.
    pub back_url: String,
    /// The form for usernames by mail or, if we cannot send mail, the recovery page.
    pub forgot_username_url: String,
}

/// For a biller whose users sign in at a provider of its own: we cannot reset their passwords.
#[derive(Clone, Debug, Template)]
#[template(path = "login/reset_external.html")]
pub struct ExternalPasswordPage {
    pub chrome: Chrome,
    pub biller: String,
    /// The sign-in page.
    pub sign_in_url: String,
}

/// Says how to choose a new password. The page is the same for every username.
#[derive(Clone, Debug, Template)]
#[template(path = "login/reset_sent.html")]
pub struct ResetSentPage {
    pub chrome: Chrome,
    /// The password reset of the legacy portal.
    pub legacy_reset_url: String,
    /// The sign-in page to go back to.
    pub back: Link,
}
