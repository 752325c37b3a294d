//! The pages that customers see. Each is one struct with its template in `templates/login` or `templates/error`. Handlers fill in
//! the structs; the wording lives in the templates and in `locales/`. No page has a script or an inline style: the content
//! security policy allows neither.

mod chrome;
mod logout;
mod recovery;
mod reset;
#[cfg(test)]
mod sample;
mod sign_in;
#[cfg(test)]
mod tests;
mod unavailable;

pub use chrome::{Chrome, Contact, Link, OperatorText, OtherLanguage, PageLinks};
pub use logout::{LogoutPage, SignedInBiller, SignedOutPage};
pub use recovery::{HelpPage, LinksPage, LinksSentPage, RecoverPage, RecoveryReason, Search};
pub use reset::{ExternalPasswordPage, ResetPage, ResetSentPage};
pub use sign_in::{ChoosePage, LoginPage, NoticePage};
pub use unavailable::{ErrorPage, HoldPage, OutagePage};
