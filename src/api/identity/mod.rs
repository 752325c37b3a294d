//! The identity management API: users, and the billers they belong to, for systems that own that list. In its words a team is
//! a biller. Mounted twice, so that scripts for the API whose shape it has need another base URL only.

pub(in crate::api) mod pagination;
mod teams;
mod users;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::any;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::openapi::collect_routes;
use super::problem::{self, problem};
use crate::access::ApiKey;
use crate::directory::{Billers, IdentityError};
use crate::state::AppState;
use crate::web::{HttpError, paths};
use signpost_core::BillerId;

/// Every route with its description.
pub(super) fn api_routes() -> OpenApiRouter<AppState> {
    collect_routes([
        routes!(users::list, users::create),
        routes!(users::get, users::update, users::delete),
        routes!(users::teams),
        routes!(teams::list),
        routes!(teams::members),
        routes!(teams::set),
        routes!(teams::add),
        routes!(teams::remove),
    ])
}

/// Both mounts.
pub fn router() -> Router<AppState> {
    let routes = Router::from(api_routes()).route("/{*rest}", any(problem::not_found));
    // The limit is a layer of the whole router.
    let routes = routes.layer(DefaultBodyLimit::disable());
    Router::new().nest(paths::IDENTITY, routes.clone()).nest(paths::POOLSIDE, routes)
}

/// The billers that a key is limited to; none: it reaches all.
fn biller_scope(key: &ApiKey, billers: &Billers) -> Option<Vec<BillerId>> {
    let slugs = key.billers.as_ref()?;
    Some(slugs.iter().filter_map(|slug| billers.by_slug(slug)).map(|biller| biller.id.clone()).collect())
}

/// What is not there, and what a key does not reach.
fn not_found() -> HttpError {
    problem(StatusCode::NOT_FOUND, "not_found", "There is no such user or team.")
}

/// A refusal about one part of the body.
fn with_field_error(pointer: String, text: &str, error: HttpError) -> HttpError {
    HttpError { fields: [(pointer, text.to_owned())].into(), ..error }
}

/// Why nothing was changed; `list` says what part of the body a index in a list is.
fn http_error(error: IdentityError, list: Option<&str>) -> HttpError {
    let conflict = |reason, detail| problem(StatusCode::CONFLICT, reason, detail);
    let at = |index: usize, text: &str, error: HttpError| match list {
        Some(list) => with_field_error(format!("#/{list}/{index}"), text, error),
        None => error,
    };
    match error {
        IdentityError::UserNotFound(index) => at(index, "there is no such user", not_found()),
        IdentityError::OutOfScope => {
            let detail = "The user belongs to billers that this key does not reach.";
            problem(StatusCode::FORBIDDEN, "biller_not_in_scope", detail)
        }
        IdentityError::Deleted(index) => at(
            index,
            "the user is deleted",
            conflict("user_deleted", "A deleted user cannot be changed or be a member."),
        ),
        IdentityError::UsernameTaken(index) => {
            let detail = "The username is taken at a biller; nothing was changed.";
            let part = list.map_or_else(|| "#/username".to_owned(), |list| format!("#/{list}/{index}"));
            with_field_error(part, "somebody else there has the username", conflict("username_taken", detail))
        }
        IdentityError::EmailTaken(index) => {
            let error = conflict("email_taken", "The mail address is taken at a biller; nothing was changed.");
            let part = list.map_or_else(|| "#/email".to_owned(), |list| format!("#/{list}/{index}"));
            with_field_error(part, "somebody else there has the mail address", error)
        }
        IdentityError::InvalidUsername(why) => problem::validation_failed([("username", why)]),
        IdentityError::Db(error) => error.into(),
    }
}
