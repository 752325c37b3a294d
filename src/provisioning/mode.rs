//! What an operator chooses when a biller is enabled.

use crate::directory::PasswordCarryOver;
use signpost_core::decision::CiamMode;

#[derive(Clone, Copy, Debug, Default)]
pub struct EnablementOptions {
    pub mode: CiamMode,
    /// Whether password hashes are migrated.
    pub passwords: PasswordCarryOver,
}

/// The pool's first and second factors, as SecureAuth names them.
pub(super) fn mechanisms(mode: CiamMode) -> (&'static [&'static str], &'static [&'static str]) {
    match mode {
        CiamMode::Password => (&["password"], &[]),
        CiamMode::Mfa => (&["password"], &["email_otp", "totp"]),
        CiamMode::Sso => (&[], &[]),
    }
}
