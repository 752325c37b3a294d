//! Old addresses of the legacy site, as `[[legacy_paths]]` maps them; everything else does not exist.

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::{Method, StatusCode};

use super::follow::{Visitor, decide_and_follow};
use crate::decision::Entry;
use crate::kernel::Slug;
use crate::routing::{Arrival, address, public_host};
use crate::state::AppState;
use crate::web::language::Language;
use crate::web::{Refusal, paths};

/// Any address that no route has.
pub(super) async fn old_address(
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    request: Request,
) -> Result<Response, Refusal> {
    let not_found = || Refusal::from_status(StatusCode::NOT_FOUND);
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(not_found());
    }
    let (path, query) = (request.uri().path(), request.uri().query());
    if let Some(slug) = path.strip_prefix("/b/").and_then(|rest| Slug::parse(rest.trim_end_matches('/')).ok()) {
        return Ok(Redirect::permanent(&paths::biller(&slug)).into_response());
    }
    let billers = state.directory.last_known_billers();
    let found = address(&state.config, &billers, &public_host(&state.config), path, query).ok_or_else(not_found)?;
    let return_to = found.return_to.as_deref();
    match found.entry {
        Entry::Shared => {
            let target =
                return_to.map_or_else(|| paths::LOGIN.to_owned(), |r| paths::with_query(paths::LOGIN, "return_to", r));
            Ok(Redirect::to(&target).into_response())
        }
        entry @ Entry::Named { .. } => {
            let return_to = return_to.and_then(|asked| state.config.return_to.resolve(asked));
            let arrival = Arrival { entry, name: None, remembered: Vec::new() };
            decide_and_follow(&state, request.headers(), arrival, Visitor { return_to, ..Visitor::new(language) }).await
        }
    }
}
