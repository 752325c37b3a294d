//! Pages on the way to a sign-in.

use askama::Template;

use super::{Chrome, Link};

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
    pub reset_url: String,
    /// The form for sign-in links by mail; none if we cannot send mail.
    pub links_url: Option<String>,
    /// The recovery page.
    pub recover_url: String,
    pub help_url: String,
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
