//! Addresses of our own pages, with the flow context sealed into them.

use crate::handoffs::FlowContext;
use crate::web::paths;
use signpost_core::{KeyRing, Slug};

/// A page of no biller. The address is bare if the flow has neither a username nor a return target.
pub(super) fn page(keys: &KeyRing, path: &str, flow: &FlowContext) -> String {
    if flow.name.is_none() && flow.return_to.is_none() {
        return path.to_owned();
    }
    let flow = FlowContext { failed: false, ..flow.clone() };
    paths::with_query(path, "t", &flow.seal_recovery(keys))
}

/// Like [`page`], with one length for every username.
pub(super) fn padded_page(keys: &KeyRing, path: &str, flow: &FlowContext) -> String {
    paths::with_query(path, "t", &flow.seal_recovery_padded(keys))
}

/// Starts the flow at a biller, after a click of the customer.
pub(super) fn sign_in(keys: &KeyRing, slug: &Slug, flow: &FlowContext) -> String {
    hint(keys, &paths::biller(slug), slug, &FlowContext { restarts: 0, ..flow.clone() })
}

/// Starts the flow again without a click. Restarts are counted, so that they end.
pub(super) fn restart(keys: &KeyRing, slug: &Slug, flow: &FlowContext) -> String {
    let restarts = flow.restarts.saturating_add(1);
    hint(keys, &paths::biller(slug), slug, &FlowContext { restarts, ..flow.clone() })
}

/// Continues to the portal of a biller where the customer is signed in.
pub(super) fn portal(keys: &KeyRing, slug: &Slug, flow: &FlowContext) -> String {
    hint(keys, &paths::go(slug), slug, &FlowContext { restarts: 0, ..flow.clone() })
}

fn hint(keys: &KeyRing, path: &str, slug: &Slug, flow: &FlowContext) -> String {
    paths::with_query(path, "h", &flow.seal_hint(keys, slug))
}

/// A biller's sign-in with no more than a return target.
pub(super) fn plain_sign_in(slug: &Slug, return_to: Option<&str>) -> String {
    let path = paths::biller(slug);
    return_to.map_or_else(|| path.clone(), |return_to| paths::with_query(&path, "return_to", return_to))
}
