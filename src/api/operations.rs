//! The operations of `/api/v1`, with their descriptions.

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::collect::collect_routes;
use super::{
    audit, billers, ciam, decisions, handoffs, health, impact, jobs, keys, kill_switch, login_url, passwords,
    pending_changes, readiness, simulations,
};
use crate::state::AppState;

/// Operations that read the whole directory, and have more time for that.
pub(super) fn slow_routes() -> OpenApiRouter<AppState> {
    collect_routes([routes!(impact::preview)])
}

/// Operations that customers wait for.
pub(super) fn customer_routes() -> OpenApiRouter<AppState> {
    collect_routes([routes!(handoffs::redeem)])
}

pub(super) fn standard_routes() -> OpenApiRouter<AppState> {
    collect_routes([
        routes!(kill_switch::get, kill_switch::put),
        routes!(billers::list, billers::create),
        routes!(billers::get, billers::update),
        routes!(readiness::get),
        routes!(login_url::email),
        routes!(ciam::put),
        routes!(pending_changes::list),
        routes!(pending_changes::decide),
        routes!(jobs::get),
        routes!(jobs::events),
        routes!(passwords::change),
        routes!(passwords::request_reset),
        routes!(simulations::simulate),
        routes!(decisions::get),
        routes!(audit::list),
        routes!(health::get),
        routes!(keys::list, keys::create),
        routes!(keys::revoke),
    ])
}
