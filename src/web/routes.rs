//! Builds routers that serve exactly the routes of a table.

use axum::Router;
use axum::routing::{MethodRouter, any};
use signpost_core::routes::Route;

use super::HttpError;

/// A router whose every path is in a table of routes.
#[derive(Debug)]
pub struct Routes<S> {
    table: &'static [Route],
    router: Router<S>,
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    pub fn new(table: &'static [Route]) -> Self {
        Self { table, router: Router::new() }
    }

    /// # Panics
    /// The path is not in the table.
    #[must_use]
    pub fn route(self, path: &str, handlers: MethodRouter<S>) -> Self {
        assert!(self.table.iter().any(|route| route.path == path), "{path} is missing in the route table");
        Self { router: self.router.route(path, handlers), ..self }
    }

    /// Answers every path below `prefix` that has no route, before layers and fallbacks of other routers see it.
    #[must_use]
    pub fn not_found_below(self, prefix: &str) -> Self {
        let handler = any(async || HttpError::from_status(http::StatusCode::NOT_FOUND));
        Self { router: self.router.route(&format!("{prefix}/{{*rest}}"), handler), ..self }
    }

    #[must_use]
    pub fn merge(self, other: Router<S>) -> Self {
        Self { router: self.router.merge(other), ..self }
    }

    pub fn into_router(self) -> Router<S> {
        self.router
    }
}
