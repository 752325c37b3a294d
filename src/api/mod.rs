//! JSON for machines: `/api/v1`. Errors are problem details (RFC 9457). A route is registered together with its description.

mod audit;
mod auth;
mod backchannel_logout;
mod biller_requests;
mod biller_responses;
mod billers;
mod ciam;
mod decisions;
mod docs;
mod handoffs;
mod health;
mod idempotency;
pub mod identity;
mod impact;
mod jobs;
mod json;
mod keys;
mod kill_switch;
mod login_url;
pub mod openapi;
mod passwords;
mod pending_changes;
pub mod problem;
mod readiness;
mod simulations;

use axum::Router;
use axum::extract::State;
use axum::routing::{any, get, post};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::openapi::collect_routes;
use crate::state::AppState;
use crate::web::paths;

/// Every route of `/api/v1` with its description.
fn api_routes() -> OpenApiRouter<AppState> {
    standard_routes().merge(slow_routes())
}

/// Those that go through the whole directory.
fn slow_routes() -> OpenApiRouter<AppState> {
    collect_routes([routes!(impact::preview)])
}

fn standard_routes() -> OpenApiRouter<AppState> {
    collect_routes([
        routes!(handoffs::redeem),
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

/// What machines can ask for and takes minutes where the directory is large.
pub fn slow_router() -> Router<AppState> {
    Router::from(slow_routes())
}

/// Everything else that machines can ask for. What follows standards of its own, and the description itself, is not described.
pub fn router() -> Router<AppState> {
    Router::from(standard_routes())
        .route(paths::BACKCHANNEL_LOGOUT, post(backchannel_logout::receive))
        .route(paths::JWKS, get(public_keys))
        .route(paths::OPENAPI, get(docs::document))
        .route(paths::API_DOCS, get(docs::page))
        .route("/api/{*rest}", any(problem::not_found))
}

/// The public halves of our signing keys (RFC 7517, section 5), for providers that check our assertions.
async fn public_keys(State(state): State<AppState>) -> axum::Json<serde_json::Value> {
    axum::Json(state.keys.public_keys())
}
