//! The page of API keys.

use askama::Template;

use super::{Badge, Chrome};
use signpost_core::FieldErrors;

/// API keys of machine clients.
#[derive(Clone, Debug, Template)]
#[template(path = "console/keys.html")]
pub struct KeysPage {
    /// Around the content.
    pub chrome: Chrome,
    /// They, the good ones first.
    pub keys: Vec<KeyView>,
    /// A new one, as it was filled in.
    pub form: KeyForm,
    /// Scopes that can be chosen here.
    pub selectable_scopes: Vec<&'static str>,
    /// The key that was just made: shown this once.
    pub created_key: Option<String>,
    /// What was just done.
    pub done: Option<&'static str>,
    /// What is wrong with the form.
    pub errors: FieldErrors,
    /// The reader may make and end keys.
    pub can_operate: bool,
}

/// A key, without its secret.
#[derive(Clone, Debug)]
pub struct KeyView {
    /// The part that is no secret.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Whether it is accepted.
    pub state: Badge,
    /// It is accepted.
    pub is_active: bool,
    /// What it allows.
    pub scopes: String,
    /// The billers it is limited to.
    pub billers: String,
    /// When it ends.
    pub expires_at: String,
    /// When it was last used.
    pub last_used: String,
}

/// A key to be made.
#[derive(Clone, Debug, Default)]
pub struct KeyForm {
    /// What it is called.
    pub name: String,
    /// What it allows.
    pub scopes: Vec<&'static str>,
    /// The billers it is limited to.
    pub billers: String,
    /// Whose handoffs it may redeem.
    pub audience: String,
    /// When it ends.
    pub expires_at: String,
}

impl KeyForm {
    fn has(&self, scope: &str) -> bool {
        self.scopes.contains(&scope)
    }
}
