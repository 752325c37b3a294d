//! Pages for customers. One file per flow; `follow` makes HTTP of a decision, `show` makes pages.

mod callback;
mod callback_error;
mod date_time;
pub mod errors;
mod flow;
mod flow_token;
mod follow;
mod legacy_links;
mod links;
mod logout;
mod lookup;
pub mod pages;
mod preview;
mod recover;
mod redirect_loop;
mod reset;
mod show;
mod start;
mod verify;

pub use preview::preview;

use axum::Router;
use axum::routing::{MethodFilter, get, on};
use signpost_core::routes;

use crate::state::AppState;
use crate::web::routes::Routes;
use crate::web::{assets, brand, paths};

/// Answers of identity providers that come by form post: a browser brings them from another site, without our cookies.
pub fn cross_site_router() -> Router<AppState> {
    Routes::new(routes::gateway()).route(paths::CALLBACK, axum::routing::post(callback::form_post)).into_router()
}

/// Everything that customers can ask for.
pub fn router() -> Router<AppState> {
    Routes::new(routes::gateway())
        .route(paths::ROOT, get(lookup::form))
        .route(paths::LOGIN, get(lookup::form).post(lookup::submit))
        .route(paths::FORGET, axum::routing::post(lookup::forget))
        .route(paths::BILLER, get(start::biller_entry))
        .route(paths::GO, get(lookup::go))
        // `get` would answer HEAD as well, and a HEAD must not use a code up.
        .route(paths::CALLBACK, on(MethodFilter::GET, callback::finish).head(errors::method_not_allowed))
        .route(paths::LOGOUT, get(logout::confirm).post(logout::submit))
        .route(paths::SIGNED_OUT, get(logout::signed_out))
        .route(paths::RECOVER, get(recover::recover))
        .route(paths::LINKS, get(links::form).post(links::submit))
        .route(paths::LINKS_SENT, get(links::sent))
        .route(paths::RESET, get(reset::form).post(reset::submit))
        .route(paths::BILLER_RESET, get(reset::biller_form).post(reset::biller_submit))
        .route(paths::RESET_SENT, get(reset::sent))
        .route(paths::WELL_KNOWN_CHANGE_PASSWORD, get(reset::change_password))
        .route(paths::ERROR, get(errors::show))
        .route(paths::HELP, get(recover::help))
        .route(paths::BRAND, get(brand::get))
        .route(paths::STATIC, get(assets::get))
        .route(paths::VERIFY, get(verify::verify))
        .into_router()
        .fallback(legacy_links::legacy_path)
}
