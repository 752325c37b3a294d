//! Randomness as an argument.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Source of cryptographically secure random bytes.
#[derive(Clone, Debug, Default)]
pub struct Random(());

impl Random {
    pub fn system() -> Self {
        Self(())
    }

    /// # Panics
    /// When the operating system provides no randomness. Nothing safe can be done then.
    #[expect(clippy::expect_used, reason = "nothing safe can be done without randomness")]
    #[expect(clippy::disallowed_methods, reason = "the only place that reads system randomness")]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        SystemRandom::new().fill(&mut bytes).expect("the operating system gives random bytes");
        bytes
    }

    /// `N` random bytes as unpadded base64url text.
    pub fn token<const N: usize>(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes::<N>())
    }
}
