//! JSON for machines: `/api/v1`. Errors are problem details (RFC 9457).

mod audit;
mod auth;
mod backchannel_logout;
mod billers;
mod changes;
mod ciam;
mod decisions;
mod handoffs;
mod health;
pub mod identity;
mod impact;
mod jobs;
mod keys;
mod kill_switch;
mod login_address;
mod passwords;
pub mod problem;
mod readiness;
mod repeats;
mod simulations;

use axum::Router;
use axum::extract::State;
use axum::routing::{delete, get, post, put};

use crate::state::AppState;
use crate::web::paths;

/// Everything that machines can ask for.
pub fn router() -> Router<AppState> {
    Router::new()
        .route(paths::REDEEM, post(handoffs::redeem))
        .route(paths::BACKCHANNEL_LOGOUT, post(backchannel_logout::receive))
        .route(paths::KILL_SWITCH, get(kill_switch::get).put(kill_switch::put))
        .route(paths::CIAM, put(ciam::put))
        .route(paths::BILLERS, get(billers::list).post(billers::create))
        .route(paths::ONE_BILLER, get(billers::one).patch(billers::change))
        .route(paths::CHANGES, get(changes::list))
        .route(paths::CHANGE, post(changes::decide))
        .route(paths::READINESS, get(readiness::card))
        .route(paths::LOGIN_ADDRESS_MAIL, post(login_address::mail))
        .route(paths::JOB, get(jobs::job))
        .route(paths::JOB_EVENTS, get(jobs::events))
        .route(paths::CHANGE_PASSWORD, post(passwords::change))
        .route(paths::RESET_REQUEST, post(passwords::request_reset))
        .route(paths::SIMULATIONS, post(simulations::ask))
        .route(paths::IMPACT, post(impact::preview))
        .route(paths::DECISION, get(decisions::look_up))
        .route(paths::HEALTH, get(health::show))
        .route(paths::AUDIT, get(audit::list))
        .route(paths::API_KEYS, get(keys::list).post(keys::create))
        .route(paths::API_KEY, delete(keys::revoke))
        .route(paths::KEYS, get(public_keys))
        .route("/api/{*rest}", axum::routing::any(problem::not_found))
}

/// The public halves of our signing keys (RFC 7517, section 5), for providers that check our assertions.
async fn public_keys(State(state): State<AppState>) -> axum::Json<serde_json::Value> {
    axum::Json(state.keys.public_keys())
}
