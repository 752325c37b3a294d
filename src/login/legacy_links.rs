//! Deep links of the legacy site, as `[[legacy_paths]]` maps them. Every other address is unknown.

use axum::Extension;
use axum::extract::{FromRef, Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::{Method, StatusCode};

use super::follow::decide_and_follow;
use super::login_request::LoginRequest;
use super::page_context::PageContext;
use super::{addresses, entry, redirect_loop};
use crate::handoffs::FlowContext;
use crate::routing::{public_host, resolve_entry_point};
use crate::state::AppState;
use crate::web::device::Device;
use crate::web::fields::Fields;
use crate::web::language::{Language, PARAMETER};
use crate::web::{HttpError, paths};
use signpost_core::Slug;
use signpost_core::decision::EntryPoint;
use signpost_core::routes::{self, Audience};

/// The fallback of the router.
pub(super) async fn legacy_path(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    request: Request,
) -> Result<Response, HttpError> {
    let not_found = || HttpError::from_status(StatusCode::NOT_FOUND);
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(not_found());
    }
    let (path, query) = (request.uri().path(), request.uri().query());
    if let Some(path) = canonical_path(path) {
        return Ok(Redirect::permanent(&paths::with_raw_query(path, query)).into_response());
    }
    let billers = state.directory.last_known_billers();
    let found =
        resolve_entry_point(&state.config, &billers, &public_host(&state.config), path, query).ok_or_else(not_found)?;
    let fields = Fields::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let named = fields.return_target();
    let return_to = found.return_to.as_deref().or(named);
    match found.entry {
        EntryPoint::Shared => {
            let mut target = paths::LOGIN.to_owned();
            let pages = PageContext::from_ref(&state);
            let return_to = return_to.filter(|requested| pages.resolve_return_to(Some(requested)).is_some());
            for (name, value) in [("return_to", return_to), (PARAMETER, fields.get(PARAMETER))] {
                target = value.map_or(target.clone(), |value| paths::with_query(&target, name, value));
            }
            Ok(Redirect::to(&target).into_response())
        }
        EntryPoint::Named { slug, via } => {
            let return_to = PageContext::from_ref(&state).resolve_return_to(return_to);
            let portal_state = entry::portal_state(&fields);
            let flow = FlowContext { locale: Some(language.locale), return_to, portal_state, ..FlowContext::default() };
            let headers = request.headers();
            let again = || addresses::sign_in(&state.keys, &slug, &flow);
            redirect_loop::check(&state.keys, state.clock.now(), headers, &slug, again)?;
            let device = Device::from_headers(&state.keys, headers);
            let login_request = LoginRequest::new(EntryPoint::Named { slug, via }, language, flow, device);
            decide_and_follow(&state, headers, login_request).await
        }
    }
}

/// Our path, if it was typed with a slash at the end or with a slug in capitals.
fn canonical_path(path: &str) -> Option<String> {
    let plain = path.trim_end_matches('/');
    if let Some(named) =
        routes::find(plain).filter(|route| [paths::BILLER, paths::BILLER_RESET].contains(&&*route.path))
    {
        let slug = Slug::parse(&plain.split('/').nth(2)?.to_ascii_lowercase()).ok()?;
        return Some(if named.path == paths::BILLER { paths::biller(&slug) } else { paths::biller_reset(&slug) });
    }
    let route = routes::find(plain).filter(|route| {
        let is_page = route.audience == Audience::Customer && route.authentication(routes::Method::Get).is_some();
        is_page && !route.has_parameters()
    });
    route.map(|route| route.path.to_string())
}
