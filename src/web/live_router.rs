//! Routers that a reload replaces.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;

/// The router of a listener. Requests that have begun keep the one that they began with. Clones share it.
#[derive(Clone, Debug)]
pub struct LiveRouter(Arc<ArcSwap<Router>>);

impl LiveRouter {
    pub fn new(router: Router) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(router)))
    }

    pub fn replace(&self, router: Router) {
        self.0.store(Arc::new(router));
    }

    pub(super) fn get(&self) -> Router {
        Router::clone(&self.0.load())
    }
}
