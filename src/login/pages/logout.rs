//! Pages of the sign-out.

use askama::Template;

use super::Chrome;
#[cfg(test)]
use super::sample::{self, Sample, render};
use crate::web::paths;
#[cfg(test)]
use signpost_core::Locale;

/// Asks before signing out.
#[derive(Clone, Debug, Template)]
#[template(path = "login/logout.html")]
pub struct LogoutPage {
    pub chrome: Chrome,
    /// Where the customer is signed in.
    pub billers: Vec<SignedInBiller>,
}

#[derive(Clone, Debug)]
pub struct SignedInBiller {
    pub name: String,
    pub slug: String,
}

/// Confirms the sign-out and lists where the customer is still signed in.
#[derive(Clone, Debug, Template)]
#[template(path = "login/signed_out.html")]
pub struct SignedOutPage {
    pub chrome: Chrome,
    /// The biller that the customer signed out of.
    pub biller: Option<String>,
    /// The biller whose identity provider took no part: the customer may still be signed in there.
    pub unconfirmed: Option<String>,
    /// Names of the billers where the customer is still signed in.
    pub remaining: Vec<String>,
}

#[cfg(test)]
pub(super) fn samples(locale: Locale) -> Vec<Sample> {
    let chrome = || sample::chrome(locale);
    let biller = SignedInBiller { name: sample::BILLER.into(), slug: "riverside-water".into() };
    vec![
        render(&LogoutPage { chrome: chrome(), billers: vec![biller] }),
        render(&SignedOutPage {
            chrome: chrome(),
            biller: None,
            unconfirmed: None,
            remaining: vec![sample::BILLER.into()],
        }),
        render(&SignedOutPage {
            chrome: chrome(),
            biller: Some(sample::BILLER.into()),
            unconfirmed: Some(sample::BILLER.into()),
            remaining: vec![],
        }),
    ]
}
