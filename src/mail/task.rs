//! Tasks of the queue, and how they fail.

use serde::{Deserialize, Serialize};

use crate::access::Requester;
use crate::directory::{DirectoryError, UserContact};
use crate::provisioning::ProvisioningError;
use crate::secureauth::management::CallError;
use signpost_core::{Locale, Slug, UserId};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum QueuedTask {
    /// Mail a user their sign-in links.
    SignInLinks {
        input: String,
        #[serde(default)]
        requester: Requester,
        locale: Locale,
    },
    /// Find out where a user's password is kept, and start a reset there.
    PasswordReset {
        input: String,
        slug: Option<Slug>,
        #[serde(default)]
        requester: Requester,
        locale: Locale,
    },
    /// Ask SecureAuth to send its reset mail.
    SecureauthReset(UserContact),
    Email(Email),
}

impl QueuedTask {
    /// Whether it concerns the user with this id, or one of these lower-case usernames and mail addresses.
    pub(super) fn concerns(&self, user: Option<&UserId>, names: &[String]) -> bool {
        let is_named = |text: &str| names.contains(&text.trim().to_lowercase());
        match self {
            Self::SignInLinks { input, .. } | Self::PasswordReset { input, .. } => is_named(input),
            Self::SecureauthReset(contact) => user == Some(&contact.user) || is_named(&contact.email),
            Self::Email(email) => is_named(&email.to),
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::SignInLinks { .. } => "sign_in_links",
            Self::PasswordReset { .. } => "password_reset",
            Self::SecureauthReset(_) => "secureauth_reset",
            Self::Email(_) => "email",
        }
    }
}

/// A rendered mail.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Email {
    pub to: String,
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// Why a task failed. The text goes to the log: it holds no name and no address.
#[derive(Debug)]
pub(super) enum TaskError {
    Retry(String),
    Permanent(String),
}

impl From<DirectoryError> for TaskError {
    fn from(error: DirectoryError) -> Self {
        Self::Retry(error.to_string())
    }
}

impl From<ProvisioningError> for TaskError {
    fn from(error: ProvisioningError) -> Self {
        match error {
            ProvisioningError::Call(CallError::Rejected(rejection)) => {
                Self::Permanent(format!("secureauth {} {}", rejection.status, rejection.code))
            }
            ProvisioningError::Call(_) | ProvisioningError::Directory(_) => Self::Retry(error.to_string()),
            _ => Self::Permanent(error.to_string()),
        }
    }
}
