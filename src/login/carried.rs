//! What somebody has told us so far and takes along from page to page, sealed in `?t=`: the name typed, the return target, the
//! language. Nothing of it needs a cookie, and none of it grows old.

use crate::state::AppState;
use crate::web::fields::Fields;
use crate::web::handoffs::RecoverToken;
use crate::web::paths;
use signpost_core::{Locale, Purpose, TypedName};

/// Room for the longest username, slug and return target, so that addresses on pages that are one for everybody have one length.
const PADDED: usize = 1024;

/// What an address takes along.
pub(super) fn open(state: &AppState, query: Option<&str>) -> Option<RecoverToken> {
    let fields = Fields::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    state.keys.open(Purpose::Recover, "", fields.get("t")?).ok()
}

/// Of somebody on a page in this language.
pub(super) fn luggage(locale: Locale, name: Option<&TypedName>, return_to: Option<String>) -> RecoverToken {
    let name = name.map(|name| name.typed().to_owned());
    RecoverToken { locale: Some(locale), name, return_to, ..RecoverToken::default() }
}

/// The address of a page, with what is to be taken along; bare when that is nothing.
pub(super) fn address(state: &AppState, path: &str, carried: &RecoverToken) -> String {
    if carried.name.is_none() && carried.return_to.is_none() {
        return path.to_owned();
    }
    let carried = RecoverToken { failed: false, ..carried.clone() };
    paths::with_query(path, "t", &state.keys.seal(Purpose::Recover, "", &carried))
}

/// The same, of one length whatever the name is.
pub(super) fn padded_address(state: &AppState, path: &str, carried: &RecoverToken) -> String {
    paths::with_query(path, "t", &state.keys.seal_padded(Purpose::Recover, "", carried, PADDED))
}
