//! How the users of a migrated biller sign in.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::directory::PasswordCarryOver;

/// How the users of a migrated biller sign in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CiamMode {
    /// With a password at SecureAuth.
    #[default]
    Password,
    /// With a password and a second factor at SecureAuth.
    Mfa,
    /// At the biller's own identity provider.
    Sso,
}

impl CiamMode {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Mfa => "mfa",
            Self::Sso => "sso",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Password, Self::Mfa, Self::Sso].into_iter().find(|mode| mode.as_str() == text)
    }

    /// The pool's first and second factors, as SecureAuth names them.
    pub(super) fn mechanisms(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Password => (&["password"], &[]),
            Self::Mfa => (&["password"], &["email_otp", "totp"]),
            Self::Sso => (&[], &[]),
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub struct EnablementOptions {
    pub mode: CiamMode,
    /// Whether password hashes are migrated.
    pub passwords: PasswordCarryOver,
}
