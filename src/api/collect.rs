//! Collects operations with their descriptions.

use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use crate::state::AppState;

/// # Panics
/// In debug builds: two different schemas have the same name, and the description would show one of them for both.
pub(super) fn collect_routes<const N: usize>(all: [UtoipaMethodRouter<AppState>; N]) -> OpenApiRouter<AppState> {
    all.into_iter().fold(OpenApiRouter::default(), |router, routes| {
        let known = router.get_openapi().components.as_ref();
        for (name, schema) in &routes.0 {
            let other = known.and_then(|known| known.schemas.get(name)).filter(|other| *other != schema);
            debug_assert!(other.is_none(), "two schemas are called {name}");
        }
        router.routes(routes)
    })
}
