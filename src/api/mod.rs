//! JSON for machines: `/api/v1`. Errors are problem details (RFC 9457). A route is registered together with its description.

mod audit;
mod auth;
mod backchannel_logout;
mod biller_answers;
mod biller_requests;
mod billers;
mod changes;
mod ciam;
mod decisions;
mod docs;
mod handoffs;
mod health;
pub mod identity;
mod impact;
mod jobs;
mod json;
mod keys;
mod kill_switch;
mod login_address;
pub mod openapi;
mod passwords;
pub mod problem;
mod readiness;
mod repeats;
mod simulations;

use axum::Router;
use axum::extract::State;
use axum::routing::{any, get, post};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::openapi::collect;
use crate::state::AppState;
use crate::web::paths;

/// Every route of `/api/v1` with its description.
fn described() -> OpenApiRouter<AppState> {
    usual().merge(lengthy())
}

/// Those that go through the whole directory.
fn lengthy() -> OpenApiRouter<AppState> {
    collect([routes!(impact::preview)])
}

fn usual() -> OpenApiRouter<AppState> {
    collect([
        routes!(handoffs::redeem),
        routes!(kill_switch::get, kill_switch::put),
        routes!(billers::list, billers::create),
        routes!(billers::one, billers::change),
        routes!(readiness::card),
        routes!(login_address::mail),
        routes!(ciam::put),
        routes!(changes::list),
        routes!(changes::decide),
        routes!(jobs::job),
        routes!(jobs::events),
        routes!(passwords::change),
        routes!(passwords::request_reset),
        routes!(simulations::ask),
        routes!(decisions::look_up),
        routes!(audit::list),
        routes!(health::show),
        routes!(keys::list, keys::create),
        routes!(keys::revoke),
    ])
}

/// What machines can ask for and takes minutes where the directory is large.
pub fn lengthy_router() -> Router<AppState> {
    Router::from(lengthy())
}

/// Everything else that machines can ask for. What follows standards of its own, and the description itself, is not described.
pub fn router() -> Router<AppState> {
    Router::from(usual())
        .route(paths::BACKCHANNEL_LOGOUT, post(backchannel_logout::receive))
        .route(paths::KEYS, get(public_keys))
        .route(paths::OPENAPI, get(docs::document))
        .route(paths::API_DOCS, get(docs::page))
        .route("/api/{*rest}", any(problem::not_found))
}

/// The public halves of our signing keys (RFC 7517, section 5), for providers that check our assertions.
async fn public_keys(State(state): State<AppState>) -> axum::Json<serde_json::Value> {
    axum::Json(state.keys.public_keys())
}
