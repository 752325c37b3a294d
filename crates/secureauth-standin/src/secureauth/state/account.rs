//! A user as the hosted sign-in page and the ID token see one.

use serde_json::{Map, Value};

use crate::secureauth::config::IdpUser;

/// A user who can sign in: one of the configuration, or one of a connected pool.
#[derive(Clone)]
pub(crate) struct Account {
    pub user: IdpUser,
    /// The subject is a hash of it.
    pub key: String,
    pub email_verified: bool,
    /// The authentication context, from which claims take their values.
    pub context: Map<String, Value>,
}

impl Account {
    /// A user of the configuration.
    pub(crate) fn new(user: &IdpUser) -> Self {
        let context = [
            ("username", &user.username),
            ("preferred_username", &user.username),
            ("name", &user.name),
            ("email", &user.email),
        ];
        Self {
            user: user.clone(),
            key: user.username.to_lowercase(),
            email_verified: true,
            context: context.map(|(name, value)| (name.to_owned(), value.as_str().into())).into_iter().collect(),
        }
    }
}
