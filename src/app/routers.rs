//! The router of each listener.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use axum::{Router, middleware};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::csrf::CsrfLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

use crate::config::Config;
use crate::state::AppState;
use crate::telemetry::metrics::Listener;
use crate::web::{admission, headers, language, layers, session_cookie};
use crate::{api, console, login, monitoring};
use signpost_core::routes::{self, ErrorFormat};

/// Enough for a list of about 200,000 users.
const MAX_IDENTITY_BODY: usize = 8 * 1024 * 1024;
/// Customers do not wait longer, whatever hangs; then they get a page that says how to go on.
const MAX_CUSTOMER_WAIT: Duration = Duration::from_secs(4);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// For requests that read the whole directory, which may hold several million users.
const SLOW_REQUEST_TIMEOUT: Duration = Duration::from_secs(120);

/// Every route of the public listener, with its layers.
pub fn router(state: AppState) -> Router {
    let within = |limit| TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, limit);
    let slow =
        api::slow_router().layer((within(SLOW_REQUEST_TIMEOUT), RequestBodyLimitLayer::new(admission::MAX_BODY)));
    let customers = login::router().layer((
        middleware::from_fn(session_cookie::require_single),
        CsrfLayer::new(),
        middleware::from_fn(language::remember),
    ));
    let identity =
        api::identity::router().layer((within(REQUEST_TIMEOUT), RequestBodyLimitLayer::new(MAX_IDENTITY_BODY)));
    customers
        .merge(login::cross_site_router())
        .merge(api::customer_router())
        .layer(within(customer_timeout(&state.config)))
        .merge(api::router().layer(within(REQUEST_TIMEOUT)))
        .layer(middleware::from_fn_with_state(state.clone(), admission::admit))
        .merge(identity)
        .merge(slow)
        // The outermost layer first. Each call of `layer` would cost a copy of all inner ones with every request.
        .layer((
            middleware::from_fn_with_state(state.clone(), frame),
            CatchPanicLayer::new(),
            middleware::from_fn_with_state(state.clone(), layers::host),
        ))
        .with_state(state)
}

/// A call to an identity provider has all the time that it may take.
fn customer_timeout(config: &Config) -> Duration {
    MAX_CUSTOMER_WAIT.max(Duration::from_secs(config.oidc.timeout_seconds + 1))
}

/// Every route of the management listener. Probes write no log lines, and any `Host` is answered.
pub fn management_router(state: AppState) -> Router {
    monitoring::router(&state).layer((
        middleware::from_fn_with_state(state, management_frame),
        CatchPanicLayer::new(),
        TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_TIMEOUT),
        middleware::from_fn(layers::local_path),
    ))
}

/// Around every request of the public listener: headers, request log, language and errors.
async fn frame(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let rendered =
        async |request| language::detect(request, async |request| render_errors(&state, request, next).await).await;
    let logged = async |request| layers::log(&state, Listener::Public, request, rendered).await;
    headers::set(&state.config, request, logged).await
}

/// Around every request of the console.
async fn console_frame(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let respond = async |request| next.run(request).await;
    let logged = async |request| layers::log(&state, Listener::Console, request, respond).await;
    headers::set(&state.config, request, logged).await
}

/// Around every request of the management listener.
async fn management_frame(State(state): State<AppState>, request: Request, next: Next) -> Response {
    headers::set(&state.config, request, async |request| next.run(request).await).await
}

/// The console with its layers. `None`: the configuration has no console.
pub fn console_router(state: &AppState) -> Option<Router> {
    Some(router_of_console(&console::Console::new(state, login::preview)?))
}

pub(super) fn router_of_console(console: &console::Console) -> Router {
    console::router(console).layer(middleware::from_fn_with_state(console.app.clone(), console_frame))
}

/// Renders errors for their audience: problem details for machines, pages for people.
async fn render_errors(state: &AppState, request: Request, next: Next) -> Response {
    match routes::error_format(request.uri().path()) {
        ErrorFormat::Problem => api::problem::render(request, next).await,
        ErrorFormat::Page => login::errors::render(state, request, next).await,
    }
}
