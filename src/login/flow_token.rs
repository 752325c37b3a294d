//! What somebody has told us so far and takes along from page to page, sealed in `?t=`: the name typed, the return target, the
//! language. Nothing of it needs a cookie, and none of it grows old.

use crate::state::AppState;
use crate::web::fields::Fields;
use crate::web::handoffs::FlowToken;
use crate::web::paths;
use signpost_core::{Locale, Purpose, UsernameInput};

/// Room for the longest username, slug and return target, so that addresses on pages that are one for everybody have one length.
const PADDED_LENGTH: usize = 1024;

/// What an address takes along.
pub(super) fn open(state: &AppState, query: Option<&str>) -> Option<FlowToken> {
    let fields = Fields::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    state.keys.open(Purpose::Recovery, "", fields.get("t")?).ok()
}

/// Of somebody on a page in this language.
pub(super) fn new(locale: Locale, name: Option<&UsernameInput>, return_to: Option<String>) -> FlowToken {
    let name = name.map(|name| name.raw().to_owned());
    FlowToken { locale: Some(locale), name, return_to, ..FlowToken::default() }
}

/// The address of a page, with what is to be taken along; bare when that is nothing.
pub(super) fn address(state: &AppState, path: &str, flow_token: &FlowToken) -> String {
    if flow_token.name.is_none() && flow_token.return_to.is_none() {
        return path.to_owned();
    }
    let flow_token = FlowToken { failed: false, ..flow_token.clone() };
    paths::with_query(path, "t", &state.keys.seal(Purpose::Recovery, "", &flow_token))
}

/// The same, of one length whatever the name is.
pub(super) fn padded_address(state: &AppState, path: &str, flow_token: &FlowToken) -> String {
    paths::with_query(path, "t", &state.keys.seal_padded(Purpose::Recovery, "", flow_token, PADDED_LENGTH))
}
