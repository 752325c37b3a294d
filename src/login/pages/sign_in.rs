//! Pages on the way to a sign-in.

use askama::Template;

#[cfg(test)]
use super::sample::{self, Sample, render};
use super::{Chrome, Link};
use crate::web::paths;
#[cfg(test)]
use signpost_core::Locale;

/// Asks for the username and nothing else.
#[derive(Clone, Debug, Template)]
#[template(path = "login/login.html")]
pub struct LoginPage {
    pub chrome: Chrome,
    /// What the customer typed before. An error does not clear it.
    pub username: String,
    pub error: Option<String>,
    /// The return target.
    pub return_to: Option<String>,
    /// The customer asked this device to remember the biller.
    pub remember: bool,
    /// Links to the billers that this device remembers.
    pub suggestions: Vec<Link>,
    /// The customer has just cleared the billers of this device.
    pub forgotten: bool,
}

/// The bookmark notice: the biller has a sign-in address of its own (row 2).
#[derive(Clone, Debug, Template)]
#[template(path = "login/notice.html")]
pub struct NoticePage {
    pub chrome: Chrome,
    pub biller: String,
    /// The address to bookmark.
    pub address: String,
    pub continue_url: String,
    /// The old password still works. Otherwise the customer has to choose a new one.
    pub keeps_password: bool,
    /// The link "This isn't my biller".
    pub not_mine_url: String,
    /// This device has seen the full notice several times.
    pub is_short: bool,
}

/// For a customer who is signed in at several billers: asks which portal to open.
#[derive(Clone, Debug, Template)]
#[template(path = "login/choose.html")]
pub struct ChoosePage {
    pub chrome: Chrome,
    /// Links to the portals, in order of the billers' names.
    pub portals: Vec<Link>,
}

#[cfg(test)]
pub(super) fn login_sample(locale: Locale) -> LoginPage {
    LoginPage {
        chrome: sample::chrome(locale),
        username: "ana".into(),
        error: None,
        return_to: Some("bills".into()),
        remember: true,
        suggestions: vec![sample::link(sample::BILLER)],
        forgotten: true,
    }
}

#[cfg(test)]
pub(super) fn samples(locale: Locale) -> Vec<Sample> {
    let login = || login_sample(locale);
    let notice = NoticePage {
        chrome: sample::chrome(locale),
        biller: sample::BILLER.into(),
        address: "https://login.example.com/b/riverside-water".into(),
        continue_url: sample::biller_path(),
        keeps_password: true,
        not_mine_url: paths::RECOVER.into(),
        is_short: false,
    };
    vec![
        render(&login()),
        render(&LoginPage { error: Some("Enter your username".into()), ..login() }),
        render(&NoticePage { keeps_password: false, ..notice.clone() }),
        render(&NoticePage { is_short: true, ..notice.clone() }),
        render(&notice),
        render(&ChoosePage {
            chrome: sample::chrome(locale),
            portals: vec![sample::link(sample::BILLER), sample::link("Maple Electric")],
        }),
    ]
}
