//! Pages for customers who cannot sign in.

use askama::Template;

use super::{Chrome, Contact, Link};

/// "I still can't sign in". The page is the same whether or not the username exists.
#[derive(Clone, Debug, Template)]
#[template(path = "login/recover.html")]
pub struct RecoverPage {
    pub chrome: Chrome,
    pub username: Option<String>,
    /// The return target.
    pub return_to: Option<String>,
    pub reason: RecoveryReason,
    /// Links to the billers that this device remembers.
    pub suggestions: Vec<Link>,
    /// The password reset, with the username filled in.
    pub reset_url: String,
    /// The form for sign-in links by mail; none if we cannot send mail.
    pub links_url: Option<String>,
    pub search: Search,
}

/// The search for a biller by its name.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// What the customer typed. An error does not clear it.
    pub text: String,
    pub error: Option<String>,
    /// Matching billers, best match first.
    pub results: Vec<Link>,
    /// The sealed flow context.
    pub token: String,
    /// The customer asked this device to remember the biller.
    pub remember: bool,
}

impl RecoverPage {
    fn is_several(&self) -> bool {
        self.reason == RecoveryReason::SeveralBillers
    }

    /// Message key of the heading and of the text below it.
    fn heading(&self) -> &'static str {
        match self.reason {
            RecoveryReason::Requested => "recover-requested",
            RecoveryReason::SeveralBillers => "recover-choose-biller",
            RecoveryReason::LegacyFailed => "recover-legacy-failed",
            RecoveryReason::UnknownBiller => "recover-unknown-biller",
            RecoveryReason::SearchResults => "recover-search-results",
            RecoveryReason::NoSearchResults => "recover-no-search-results",
        }
    }
}

/// Why the recovery page is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoveryReason {
    /// The customer opened it.
    Requested,
    /// The customer has several billers and must choose one (row 5).
    SeveralBillers,
    /// The legacy portal did not accept the username or password.
    LegacyFailed,
    /// The address names no biller that we know.
    UnknownBiller,
    /// A search found billers.
    SearchResults,
    /// A search found nothing.
    NoSearchResults,
}

/// Asks for the mail address or username whose sign-in links to mail.
#[derive(Clone, Debug, Template)]
#[template(path = "login/links.html")]
pub struct LinksPage {
    pub chrome: Chrome,
    pub username: String,
    pub error: Option<String>,
    /// The return target.
    pub return_to: Option<String>,
    /// The sign-in page.
    pub back_url: String,
}

/// Confirms the request for sign-in links. The page is the same whether or not the username exists.
#[derive(Clone, Debug, Template)]
#[template(path = "login/links_sent.html")]
pub struct LinksSentPage {
    pub chrome: Chrome,
    /// The form again, to try another address.
    pub again_url: String,
    /// The sign-in page.
    pub back_url: String,
}

/// Answers to common questions, and contacts.
#[derive(Clone, Debug, Template)]
#[template(path = "login/help.html")]
pub struct HelpPage {
    pub chrome: Chrome,
    /// The company's support, also if the page is about a biller.
    pub company: Contact,
    /// The form for sign-in links by mail; none if we cannot send mail.
    pub links_url: Option<String>,
    pub reset_url: String,
    /// The recovery page.
    pub recover_url: String,
    /// The sign-in page.
    pub back_url: String,
}
