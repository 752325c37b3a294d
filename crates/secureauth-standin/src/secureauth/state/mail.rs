//! Mails that the management API sends, and the codes in them.

use signpost_core::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailKind {
    /// To set a new password.
    Reset,
    /// To activate a new user, who sets a first password.
    Activation,
}

#[derive(Clone, Debug)]
pub struct Mail {
    pub kind: MailKind,
    /// The recipient's address.
    pub to: String,
    /// The pool's id.
    pub pool: String,
    /// The user's id.
    pub user: String,
    /// Valid together with the address, an identifier or the user's id.
    pub code: String,
    /// Valid alone.
    pub extended_code: String,
    /// `server_id` of the request.
    pub organization: Option<String>,
    pub sent: Timestamp,
}

/// What the code of a mail is valid for.
#[derive(Clone)]
pub(crate) struct MailCode {
    pub kind: MailKind,
    /// The pool's id.
    pub pool: String,
    /// The user's id.
    pub user: String,
    pub expires: Timestamp,
    /// An extended code identifies its user.
    pub extended: bool,
}

/// The user for whom the hosted page asks for a new password.
#[derive(Clone)]
pub(crate) struct Ticket {
    /// The pool's id.
    pub pool: String,
    /// The user's id.
    pub user: String,
}
