//! The management listener: probes for orchestrators and load balancers, metrics for Prometheus, and reloads for the machine's
//! operators. It answers for any `Host` and needs no credentials, so it must not be reachable from the public network.

mod gauges;
mod probes;
mod reload;
mod scrape;

use axum::Router;
use axum::routing::{get, post};
use signpost_core::{paths, routes};
use tower_http::csrf::CsrfLayer;

use crate::state::AppState;
use crate::web::routes::Routes;
use scrape::Scraper;

pub fn router(state: &AppState) -> Router {
    let scrape = Routes::new(routes::management())
        .route(paths::METRICS, get(scrape::metrics))
        .into_router()
        .with_state(Scraper::new(state.clone()));
    Routes::new(routes::management())
        .route(paths::LIVEZ, get(probes::livez))
        .route(paths::READYZ, get(probes::readyz))
        .route(paths::RELOAD, post(reload::reload).layer(CsrfLayer::new()))
        .into_router()
        .with_state(state.clone())
        .merge(scrape)
}
