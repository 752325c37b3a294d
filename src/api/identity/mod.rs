//! The identity management API: users, and the billers they belong to, for the systems that own that data. It calls a biller a team.
//! It is mounted twice, so that scripts for the API whose shape it has need another base URL only.

mod errors;
mod teams;
mod users;

pub(crate) use users::User;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRef};
use axum::routing::any;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::collect::collect_routes;
use super::problem;
use crate::api::idempotency::Idempotency;
use crate::api::pagination::Cursors;
use crate::db::Db;
use crate::directory::Directory;
use crate::state::AppState;
use crate::web::paths;

/// The routes with their descriptions, relative to a mount.
pub(super) fn described_routes() -> OpenApiRouter<AppState> {
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
    // `app` limits the body of the whole router instead.
    let routes = Router::from(described_routes()).layer(DefaultBodyLimit::disable());
    let routes = routes.fallback(any(async || problem::not_found()));
    Router::new().nest(paths::IDENTITY, routes.clone()).nest(paths::POOLSIDE, routes)
}

/// What the operations on users and teams use.
#[derive(Clone)]
struct Identity {
    directory: Directory,
    db: Db,
    idempotency: Idempotency,
    cursors: Cursors,
}

impl FromRef<AppState> for Identity {
    fn from_ref(state: &AppState) -> Self {
        Self {
            directory: state.directory.clone(),
            db: state.db.clone(),
            idempotency: Idempotency::from_ref(state),
            cursors: Cursors::from_ref(state),
        }
    }
}
