//! Pages of the password reset.

use askama::Template;

#[cfg(test)]
use super::sample::{self, Sample, render};
use super::{Chrome, Link};
use crate::web::paths;
#[cfg(test)]
use signpost_core::Locale;

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
}

impl ResetPage {
    /// The form for usernames by mail or, if we cannot send mail, the recovery page.
    fn to_forgot_username(&self) -> String {
        self.chrome.to_email_links().unwrap_or_else(|| self.chrome.to(paths::RECOVER))
    }
}

/// For a biller whose users sign in at a provider of its own: we cannot reset their passwords.
#[derive(Clone, Debug, Template)]
#[template(path = "login/reset_external.html")]
pub struct ExternalPasswordPage {
    pub chrome: Chrome,
    pub biller: String,
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

#[cfg(test)]
pub(super) fn samples(locale: Locale) -> Vec<Sample> {
    let chrome = || sample::chrome(locale);
    let reset = ResetPage {
        chrome: chrome(),
        username: "ana".into(),
        error: None,
        action: paths::RESET.into(),
        return_to: Some("bills".into()),
    };
    vec![
        render(&ResetPage { error: Some("Enter your username".into()), ..reset.clone() }),
        render(&reset),
        render(&ExternalPasswordPage { chrome: chrome(), biller: sample::BILLER.into() }),
        render(&ResetSentPage {
            chrome: chrome(),
            legacy_reset_url: "https://pay.example/reset".into(),
            back: sample::link(sample::BILLER),
        }),
    ]
}
