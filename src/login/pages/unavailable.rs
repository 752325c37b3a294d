//! Pages that say that something does not work.

use askama::Template;

#[cfg(test)]
use super::sample::{self, Sample, render};
use super::{Chrome, Link, OperatorText};
use crate::web::paths;
#[cfg(test)]
use signpost_core::Locale;

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

#[cfg(test)]
pub(super) fn samples(locale: Locale) -> Vec<Sample> {
    let chrome = || sample::chrome(locale);
    let (biller, retry_url) = (sample::BILLER.to_owned(), sample::biller_path());
    let outage = OutagePage { chrome: chrome(), biller, retry_url: retry_url.clone(), until: None, pay: None };
    let hold = HoldPage { chrome: chrome(), biller: None, retry_url, pay: None };
    let until = Some("Saturday, November 28, 2026, 6:00 am (UTC)".to_owned());
    let pay = chrome().contact.alternative_payment;
    vec![
        render(&OutagePage { until, ..outage.clone() }),
        render(&outage),
        render(&HoldPage { biller: Some(sample::BILLER.into()), pay, ..hold.clone() }),
        render(&hold),
        render(&ErrorPage {
            chrome: chrome(),
            title: "Not here".into(),
            text: "Go on.".into(),
            links: vec![sample::link("Sign in"), sample::link("Find my biller")],
        }),
    ]
}
