//! Pages for customers. A file per page or flow; `follow` turns a decision into a response, `decision_pages` has its pages, and
//! `show` renders.

mod addresses;
mod authorization_request;
mod begin;
mod callback;
mod callback_error;
mod date_time;
mod decision_pages;
mod decision_record;
mod entry;
pub mod errors;
mod flow_query;
mod follow;
mod help;
mod legacy_links;
mod links;
mod login_request;
mod logout;
mod lookup;
mod page_context;
pub mod pages;
mod portal;
mod preview;
mod recover;
mod redirect_loop;
mod reset;
mod show;
mod signed_in;
mod username_form;
mod verify;

pub use preview::preview;

use axum::routing::{MethodFilter, get, on};
use axum::{Router, middleware};
use signpost_core::routes;

use crate::state::AppState;
use crate::web::routes::Routes;
use crate::web::{assets, brand, fetch_metadata, paths, site_files};

/// Form posts of identity providers. They come from another site, without our cookies.
pub fn cross_site_router() -> Router<AppState> {
    Routes::new(routes::gateway()).route(paths::CALLBACK, axum::routing::post(callback::form_post)).into_router()
}

/// Every other route of customers.
pub fn router() -> Router<AppState> {
    Routes::new(routes::gateway())
        .route(paths::ROOT, get(lookup::form))
        .route(paths::LOGIN, get(lookup::form).post(lookup::submit))
        .route(paths::FORGET, axum::routing::post(lookup::forget))
        .route(paths::BILLER, get(entry::biller_entry))
        .route(paths::GO, get(portal::go))
        // `get` would also answer HEAD, and a HEAD must not consume a code.
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
        .route(paths::HELP, get(help::help))
        .route(paths::BRAND, get(brand::get))
        .route(paths::STATIC, get(assets::get))
        .route(paths::ROBOTS, get(site_files::robots))
        .route(paths::FAVICON, get(site_files::favicon))
        .route(paths::TOUCH_ICON, get(site_files::touch_icon))
        .route(paths::PRECOMPOSED_TOUCH_ICON, get(site_files::touch_icon))
        .route(paths::SECURITY_TXT, get(site_files::security_txt))
        .route(paths::VERIFY, get(verify::verify))
        .into_router()
        .fallback(legacy_links::legacy_path)
        .layer(middleware::from_fn(fetch_metadata::require_navigation_of_forms))
}
