//! Pages for customers who cannot sign in.

use askama::Template;

#[cfg(test)]
use super::sample::{self, Sample, render};
use super::{Chrome, Contact, Link};
use crate::web::paths;
#[cfg(test)]
use signpost_core::Locale;

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
}

/// Confirms the request for sign-in links. The page is the same whether or not the username exists.
#[derive(Clone, Debug, Template)]
#[template(path = "login/links_sent.html")]
pub struct LinksSentPage {
    pub chrome: Chrome,
}

/// Answers to common questions, and contacts.
#[derive(Clone, Debug, Template)]
#[template(path = "login/help.html")]
pub struct HelpPage {
    pub chrome: Chrome,
    /// The company's support, also if the page is about a biller.
    pub company: Contact,
}

#[cfg(test)]
pub(super) fn recover_sample(locale: Locale, reason: RecoveryReason) -> RecoverPage {
    RecoverPage {
        chrome: sample::chrome(locale),
        username: Some("ana".into()),
        return_to: Some("bills".into()),
        reason,
        suggestions: vec![sample::link(sample::BILLER)],
        search: Search {
            text: "river\"side".into(),
            results: vec![sample::link("Maple <Electric>")],
            ..Search::default()
        },
    }
}

#[cfg(test)]
pub(super) fn samples(locale: Locale) -> Vec<Sample> {
    let chrome = || sample::chrome(locale);
    let links = LinksPage { chrome: chrome(), username: "ana".into(), error: None, return_to: Some("bills".into()) };
    let mut samples = vec![
        render(&LinksPage { error: Some("Enter your username".into()), ..links.clone() }),
        render(&links),
        render(&LinksSentPage { chrome: chrome() }),
        render(&HelpPage { chrome: chrome(), company: chrome().contact }),
    ];
    let reasons = [
        RecoveryReason::Requested,
        RecoveryReason::SeveralBillers,
        RecoveryReason::LegacyFailed,
        RecoveryReason::UnknownBiller,
        RecoveryReason::SearchResults,
        RecoveryReason::NoSearchResults,
    ];
    samples.extend(reasons.map(|reason| render(&recover_sample(locale, reason))));
    samples
}
