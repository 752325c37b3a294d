//! Pages of the sign-out.

use askama::Template;

use super::Chrome;

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
    pub sign_in_url: String,
    /// Names of the billers where the customer is still signed in.
    pub remaining: Vec<String>,
}
