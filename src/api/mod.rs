//! JSON for machines: `/api/v1`, and the identity management API. Errors are problem documents (RFC 9457).

mod access;
mod audit;
mod auth;
mod backchannel_logout;
mod biller_requests;
mod biller_responses;
mod billers;
mod ciam;
mod collect;
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
mod operations;
mod pagination;
mod passwords;
mod pending_changes;
pub mod problem;
mod readiness;
mod simulations;

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use signpost_core::{KeyRing, routes};

use crate::state::AppState;
use crate::web::paths;
use crate::web::routes::Routes;

/// Response bodies that the command line prints as well.
pub(crate) mod responses {
    pub(crate) use super::biller_responses::{BillerDetails, BillerList, BillerResponse};
    pub(crate) use super::identity::User;
    pub(crate) use super::jobs::JobResponse;
    pub(crate) use super::keys::{ApiKeyList, ApiKeyResponse, CreatedApiKey};
    pub(crate) use super::kill_switch::KillSwitch;
    pub(crate) use super::pending_changes::{PendingChangeList, PendingChangeResponse};
}

/// Operations that take minutes where the directory is large.
pub fn slow_router() -> Router<AppState> {
    Router::from(operations::slow_routes())
}

/// Operations of portals that customers wait for.
pub fn customer_router() -> Router<AppState> {
    Router::from(operations::customer_routes())
}

/// All other operations, and routes that standards describe.
pub fn router() -> Router<AppState> {
    Routes::new(routes::gateway())
        .route(paths::BACKCHANNEL_LOGOUT, post(backchannel_logout::receive))
        .route(paths::JWKS, get(public_keys))
        .route(paths::OPENAPI, get(docs::document))
        .route(paths::API_DOCS, get(docs::page))
        .not_found_below(paths::API)
        .into_router()
        .merge(Router::from(operations::standard_routes()))
}

/// The public halves of our signing keys (RFC 7517, section 5), for identity providers that verify our client assertions.
async fn public_keys(State(keys): State<KeyRing>) -> axum::Json<serde_json::Value> {
    axum::Json(keys.public_keys())
}
