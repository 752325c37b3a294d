//! The identity management API: users, and the billers they belong to, for systems that own that list. In its words a team is
//! a biller. Mounted twice, so that scripts for the API whose shape it has need another base URL only.

pub(in crate::api) mod pages;
mod teams;
mod users;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::any;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::openapi::collect;
use super::problem::{self, problem};
use crate::access::ApiKey;
use crate::directory::{Billers, IdentityError};
use crate::state::AppState;
use crate::web::{Refusal, paths};
use signpost_core::BillerId;

/// Every route with its description.
pub(super) fn described() -> OpenApiRouter<AppState> {
    collect([
        routes!(users::list, users::create),
        routes!(users::one, users::change, users::delete),
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
    let routes = Router::from(described()).route("/{*rest}", any(problem::not_found));
    // The limit is a layer of the whole router.
    let routes = routes.layer(DefaultBodyLimit::disable());
    Router::new().nest(paths::IDENTITY, routes.clone()).nest(paths::POOLSIDE, routes)
}

/// The billers that a key is limited to; none: it reaches all.
fn reach(key: &ApiKey, billers: &Billers) -> Option<Vec<BillerId>> {
    let slugs = key.billers.as_ref()?;
    Some(slugs.iter().filter_map(|slug| billers.by_slug(slug)).map(|biller| biller.id.clone()).collect())
}

/// What is not there, and what a key does not reach.
fn unknown() -> Refusal {
    problem(StatusCode::NOT_FOUND, "not_found", "There is no such user or team.")
}

/// A refusal about one part of the body.
fn about(pointer: String, text: &str, refusal: Refusal) -> Refusal {
    Refusal { fields: [(pointer, text.to_owned())].into(), ..refusal }
}

/// Why nothing was changed; `list` says what part of the body a place in a list is.
fn refused(error: IdentityError, list: Option<&str>) -> Refusal {
    let conflict = |reason, detail| problem(StatusCode::CONFLICT, reason, detail);
    let at = |place: usize, text: &str, refusal: Refusal| match list {
        Some(list) => about(format!("#/{list}/{place}"), text, refusal),
        None => refusal,
    };
    match error {
        IdentityError::NoSuchUser(place) => at(place, "there is no such user", unknown()),
        IdentityError::OutOfReach => {
            let detail = "The user belongs to billers that this key does not reach.";
            problem(StatusCode::FORBIDDEN, "biller_out_of_reach", detail)
        }
        IdentityError::Deleted(place) => at(
            place,
            "the user is deleted",
            conflict("user_deleted", "A deleted user cannot be changed or be a member."),
        ),
        IdentityError::UsernameTaken(place) => {
            let detail = "The username is taken at a biller; nothing was changed.";
            let part = list.map_or_else(|| "#/username".to_owned(), |list| format!("#/{list}/{place}"));
            about(part, "somebody else there has the username", conflict("username_taken", detail))
        }
        IdentityError::EmailTaken(place) => {
            let refusal = conflict("email_taken", "The mail address is taken at a biller; nothing was changed.");
            let part = list.map_or_else(|| "#/email".to_owned(), |list| format!("#/{list}/{place}"));
            about(part, "somebody else there has the mail address", refusal)
        }
        IdentityError::BadUsername(why) => problem::wrong_fields([("username", why)]),
        IdentityError::Db(error) => error.into(),
    }
}
