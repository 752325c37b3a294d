//! The route table of the console.

use std::sync::LazyLock;

use signpost_core::routes::Authentication::{None, Session};
use signpost_core::routes::Method::{Get, Post};
use signpost_core::routes::{Audience, Method, Route};

use super::{audit, controls, decisions, health, keys, sign_in, simulate, users, wizard};
use crate::web::paths;

pub(super) const BATCH: &str = "/simulate/batch";
pub(super) const BILLERS: &str = "/billers";
pub(super) const BILLER: &str = "/billers/{slug}";
pub(super) const CIAM: &str = "/billers/{slug}/ciam";
pub(super) const PAUSE: &str = "/billers/{slug}/pause";
pub(super) const READINESS: &str = "/billers/{slug}/readiness";
pub(super) const ROLLOUT: &str = "/billers/{slug}/rollout";
pub(super) const SECUREAUTH: &str = "/billers/{slug}/secureauth";
pub(super) const SETTINGS: &str = "/billers/{slug}/settings";
pub(super) const IMPACT_EVENTS: &str = "/impact/{id}/events";
pub(super) const JOB: &str = "/jobs/{id}";
pub(super) const JOB_EVENTS: &str = "/jobs/{id}/events";
pub(super) const CANCEL_JOB: &str = "/jobs/{id}/cancel";
pub(super) const NEW_KEY: &str = "/new-key";
pub(super) const REVOKE_KEY: &str = "/keys/{id}/revoke";
pub(super) const SET_KILL_SWITCH: &str = "/set-kill-switch";
pub(super) const CHANGE: &str = "/changes/{id}";
pub(super) const AUDIT_EXPORT: &str = "/audit/export";

/// The routes of the console.
pub fn all() -> &'static [Route] {
    &ALL
}

static ALL: LazyLock<Vec<Route>> = LazyLock::new(|| {
    let page = |path, methods: &[Method]| {
        let methods: Vec<_> = methods.iter().map(|method| (*method, Session)).collect();
        Route::new(path, Audience::Staff, &methods)
    };
    vec![
        page(paths::ROOT, &[Get]),
        page(simulate::SIMULATE, &[Get, Post]),
        page(BATCH, &[Get, Post]),
        page(decisions::DECISIONS, &[Get, Post]),
        page(users::USERS, &[Get, Post]),
        page(BILLERS, &[Get]),
        page(BILLER, &[Get]),
        page(wizard::WIZARD, &[Get, Post]),
        page(CIAM, &[Get, Post]),
        page(PAUSE, &[Post]),
        page(READINESS, &[Get]),
        page(ROLLOUT, &[Get, Post]),
        page(SECUREAUTH, &[Get, Post]),
        page(SETTINGS, &[Get, Post]),
        page(IMPACT_EVENTS, &[Get]),
        page(JOB, &[Get]),
        page(JOB_EVENTS, &[Get]),
        page(CANCEL_JOB, &[Post]),
        page(keys::KEYS, &[Get]),
        page(NEW_KEY, &[Post]),
        page(REVOKE_KEY, &[Post]),
        page(controls::KILL_SWITCH, &[Get]),
        page(SET_KILL_SWITCH, &[Post]),
        page(controls::CHANGES, &[Get]),
        page(CHANGE, &[Post]),
        page(health::HEALTH, &[Get]),
        page(audit::AUDIT, &[Get]),
        page(AUDIT_EXPORT, &[Post]),
        Route::new(sign_in::SIGN_IN, Audience::Staff, &[(Get, None)]),
        Route::new(sign_in::CALLBACK, Audience::Staff, &[(Get, None)]),
        Route::new(sign_in::SIGN_OUT, Audience::Staff, &[(Post, None)]),
        Route::new(paths::STATIC, Audience::Asset, &[(Get, None)]),
        Route::new(paths::BRAND, Audience::Asset, &[(Get, None)]),
    ]
});
