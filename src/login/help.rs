//! The help page.

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use super::flow_query::FlowQuery;
use super::page_context::PageContext;
use super::pages::{Chrome, HelpPage};
use super::show;
use crate::directory::Directory;
use crate::web::HttpError;
use crate::web::language::Language;
use signpost_core::Slug;

/// `GET /help`. `?biller=` makes it the help page of a biller.
pub(super) async fn help(
    State(pages): State<PageContext>,
    State(directory): State<Directory>,
    Extension(language): Extension<Language>,
    FlowQuery { fields, flow }: FlowQuery,
) -> Result<Response, HttpError> {
    let language = language.or(flow.locale);
    let billers = directory.billers_or_last_known().await;
    let slug = fields.get("biller").and_then(|slug| Slug::parse(slug).ok());
    let biller = slug.and_then(|slug| billers.by_slug(&slug).cloned());
    let chrome = show::chrome(&pages, &language, &flow, biller.as_deref());
    // The page does not link to itself.
    let chrome = Chrome { help_url: String::new(), ..chrome };
    show::page(StatusCode::OK, &HelpPage { chrome, company: show::company(&pages, language.locale) })
}
