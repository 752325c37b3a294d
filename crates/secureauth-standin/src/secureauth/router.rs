//! The routes.

use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::DATE;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::api::handler;
use super::config::IssuerState;
use super::oidc::{authorize, discovery, logout, pages, token};
use super::response::not_found;
use super::state::standin::SecureAuthStandIn;
use crate::html::{SECUREAUTH, STYLE_PATH, stylesheet};
use crate::web::no_store;

impl SecureAuthStandIn {
    pub fn router(&self) -> Router {
        let issuer = Router::new()
            .route("/", get(pages::account))
            .route("/.well-known/openid-configuration", get(discovery::configuration))
            .route("/.well-known/jwks.json", get(discovery::jwks))
            .route("/oauth2/authorize", get(authorize::sign_in_page).post(authorize::submit))
            .route("/oauth2/token", post(token::exchange))
            .route("/userinfo", get(token::userinfo).post(token::userinfo))
            .route("/oidc/logout", get(logout::end_session).post(logout::end_session));
        Router::new()
            .nest("/{tenant}/{organization}", issuer)
            .route("/{tenant}/{organization}/", get(pages::account))
            .route(STYLE_PATH, get(async || stylesheet(&SECUREAUTH)))
            .fallback(async || not_found("no such path"))
            .layer(from_fn_with_state(self.clone(), dispatch))
            .layer(from_fn_with_state(self.clone(), set_date))
            .with_state(self.clone())
    }
}

/// The `Date` of the stand-in's own clock, which tests may set.
async fn set_date(State(standin): State<SecureAuthStandIn>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let since = Duration::from_secs(u64::try_from(standin.now().seconds()).unwrap_or(0));
    if let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + since)) {
        response.headers_mut().insert(DATE, date);
    }
    response
}

/// Records the request and finds its organization. Answers 503 if the organization is down.
async fn dispatch(State(standin): State<SecureAuthStandIn>, mut request: Request, next: Next) -> Response {
    standin.record_request(&request);
    if request.uri().path() == STYLE_PATH {
        return next.run(request).await;
    }
    if handler::is_api(standin.tenant(), request.uri().path()) {
        return handler::handle(&standin, request).await;
    }
    let Some(issuer) = standin.issuer(request.uri().path()) else {
        return not_found("no such tenant or workspace");
    };
    if issuer.state() == IssuerState::Down {
        return no_store((StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable\n").into_response());
    }
    request.extensions_mut().insert(issuer);
    next.run(request).await
}
