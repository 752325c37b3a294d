//! JSON for machines: `/api/v1`. Errors are problem details (RFC 9457).

mod auth;
mod handoffs;
pub mod problem;

use axum::Router;
use axum::routing::post;

use crate::state::AppState;
use crate::web::paths;

/// Everything that machines can ask for.
pub fn router() -> Router<AppState> {
    Router::new()
        .route(paths::REDEEM, post(handoffs::redeem))
        .route("/api/{*rest}", axum::routing::any(problem::not_found))
}
