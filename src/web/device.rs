//! Three sealed cookies of a device: the billers that the customer asked it to remember, how many times it has shown the
//! bookmark notice, and hashes of usernames that signed in on it, to which no limit of strangers applies. None holds a username. A cookie that does not open counts as absent.

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;

use super::cookies;
use crate::directory::{Biller, Billers};
use signpost_core::text::hash64;
use signpost_core::{BillerId, KeyRing, Purpose};

const BILLERS: &str = "__Host-b";
const NOTICES: &str = "__Host-n";
const SIGN_INS: &str = "__Host-u";
/// One more replaces the least recently used.
pub const MAX_REMEMBERED_BILLERS: usize = 5;
const MAX_SIGN_INS: usize = 10;
/// A device shows the notice in full this many times, and in short after that.
pub const FULL_NOTICE_COUNT: u8 = 3;
const COOKIE_MAX_AGE: Duration = Duration::from_secs(180 * 24 * 3600);

/// The state that a device keeps for us.
#[derive(Clone, Debug, Default)]
pub struct Device {
    billers: Vec<BillerId>,
    notices: u8,
    /// Hashes of usernames, most recent first.
    sign_ins: Vec<u64>,
}

impl Device {
    pub fn from_headers(keys: &KeyRing, headers: &HeaderMap) -> Self {
        let billers = cookies::get(headers, BILLERS)
            .and_then(|cookie| keys.open::<Vec<BillerId>>(Purpose::Device, BILLERS, cookie.value()).ok());
        let notices =
            cookies::get(headers, NOTICES).and_then(|cookie| keys.open(Purpose::Device, NOTICES, cookie.value()).ok());
        let sign_ins = cookies::get(headers, SIGN_INS)
            .and_then(|cookie| keys.open(Purpose::Device, SIGN_INS, cookie.value()).ok());
        Self {
            billers: billers.unwrap_or_default(),
            notices: notices.unwrap_or_default(),
            sign_ins: sign_ins.unwrap_or_default(),
        }
    }

    /// The remembered billers that still exist, most recently used first.
    pub fn billers(&self, all: &Billers) -> Vec<Arc<Biller>> {
        self.billers.iter().filter_map(|id| all.by_id(id)).cloned().collect()
    }

    /// The `Set-Cookie` line that remembers one more biller.
    pub fn remember(&self, keys: &KeyRing, biller: &Biller) -> String {
        let others = self.billers.iter().filter(|id| **id != biller.id);
        let billers: Vec<&BillerId> = std::iter::once(&biller.id).chain(others).take(MAX_REMEMBERED_BILLERS).collect();
        cookies::set(BILLERS, keys.seal(Purpose::Device, BILLERS, &billers), COOKIE_MAX_AGE)
    }

    /// Whether this username signed in here before.
    pub fn has_signed_in(&self, username: &str) -> bool {
        self.sign_ins.contains(&hash64(username.as_bytes()))
    }

    /// The `Set-Cookie` line that remembers a sign-in with this username.
    pub fn record_sign_in(&self, keys: &KeyRing, username: &str) -> String {
        let new = hash64(username.as_bytes());
        let others = self.sign_ins.iter().copied().filter(|hash| *hash != new);
        let sign_ins: Vec<u64> = std::iter::once(new).chain(others).take(MAX_SIGN_INS).collect();
        cookies::set(SIGN_INS, keys.seal(Purpose::Device, SIGN_INS, &sign_ins), COOKIE_MAX_AGE)
    }

    /// Whether the short notice is enough.
    pub fn has_seen_notice(&self) -> bool {
        self.notices >= FULL_NOTICE_COUNT
    }

    /// The `Set-Cookie` line that counts one more notice; none once the short notice is enough.
    pub fn count_notice(&self, keys: &KeyRing) -> Option<String> {
        let counted = self.notices.saturating_add(1);
        let line = || cookies::set(NOTICES, keys.seal(Purpose::Device, NOTICES, &counted), COOKIE_MAX_AGE);
        (!self.has_seen_notice()).then(line)
    }

    /// The `Set-Cookie` lines that remove all cookies.
    pub fn forget() -> [String; 3] {
        [BILLERS, NOTICES, SIGN_INS].map(cookies::remove)
    }
}
