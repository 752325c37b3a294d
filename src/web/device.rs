//! What a device keeps for us: billers, if the person asked for that, and how often the bookmark notice was shown, which is a
//! number alone. Both are sealed; what does not open is nothing. Usernames are in neither.

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;

use super::cookies;
use crate::directory::{Biller, Billers};
use crate::state::AppState;
use signpost_core::{BillerId, Purpose};

/// The billers that this device remembers.
const BILLERS: &str = "__Host-b";
/// How often the bookmark notice was shown.
const NOTICES: &str = "__Host-n";
/// At most so many billers; the one that was not used for longest goes.
pub const MAX_REMEMBERED_BILLERS: usize = 5;
/// So often the notice is shown in full.
pub const FULL_NOTICE_COUNT: u8 = 3;
const COOKIE_MAX_AGE: Duration = Duration::from_secs(180 * 24 * 3600);

/// What a device keeps.
#[derive(Clone, Debug, Default)]
pub struct Device {
    billers: Vec<BillerId>,
    notices: u8,
}

impl Device {
    /// Of the browser that sent these headers.
    pub fn from_headers(state: &AppState, headers: &HeaderMap) -> Self {
        let billers = cookies::get(headers, BILLERS)
            .and_then(|cookie| state.keys.open::<Vec<BillerId>>(Purpose::Device, BILLERS, cookie.value()).ok());
        let notices = cookies::get(headers, NOTICES)
            .and_then(|cookie| state.keys.open(Purpose::Device, NOTICES, cookie.value()).ok());
        Self { billers: billers.unwrap_or_default(), notices: notices.unwrap_or_default() }
    }

    /// The remembered billers that there are, the last used first.
    pub fn billers(&self, all: &Billers) -> Vec<Arc<Biller>> {
        self.billers.iter().filter_map(|id| all.by_id(id)).cloned().collect()
    }

    /// The line that remembers one more.
    pub fn remember(&self, state: &AppState, biller: &Biller) -> String {
        let others = self.billers.iter().filter(|id| **id != biller.id);
        let billers: Vec<&BillerId> = std::iter::once(&biller.id).chain(others).take(MAX_REMEMBERED_BILLERS).collect();
        cookies::set(BILLERS, state.keys.seal(Purpose::Device, BILLERS, &billers), COOKIE_MAX_AGE)
    }

    /// Whether the notice was shown often enough to be short now.
    pub fn has_seen_notice(&self) -> bool {
        self.notices >= FULL_NOTICE_COUNT
    }

    /// The line that counts one more notice, as long as counting matters.
    pub fn count_notice(&self, state: &AppState) -> Option<String> {
        let counted = self.notices.saturating_add(1);
        let line = || cookies::set(NOTICES, state.keys.seal(Purpose::Device, NOTICES, &counted), COOKIE_MAX_AGE);
        (!self.has_seen_notice()).then(line)
    }

    /// The lines that forget everything.
    pub fn forget() -> [String; 2] {
        [cookies::remove(BILLERS), cookies::remove(NOTICES)]
    }
}
