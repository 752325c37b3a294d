//! The help page.

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use super::flow_query::FlowQuery;
use super::page_context::PageContext;
use super::pages::{Chrome, HelpPage};
use super::{addresses, show};
use crate::directory::Directory;
use crate::handoffs::FlowContext;
use crate::web::language::Language;
use crate::web::{HttpError, paths};
use signpost_core::Slug;

/// `GET /help`. `?biller=` makes it the help page of a biller.
pub(super) async fn help(
    State(pages): State<PageContext>,
    State(directory): State<Directory>,
    Extension(language): Extension<Language>,
    FlowQuery { fields, flow }: FlowQuery,
) -> Result<Response, HttpError> {
    let language = language.or(flow.locale);
    let flow = FlowContext { locale: Some(language.locale), ..flow };
    let billers = directory.billers_or_last_known().await;
    let slug = fields.get("biller").and_then(|slug| Slug::parse(slug).ok());
    let biller = slug.and_then(|slug| billers.by_slug(&slug).cloned());
    let chrome = show::chrome(&pages, &language, pages.new_code().as_str(), biller.as_deref());
    let to = |path: &str| addresses::page(&pages.keys, path, &flow);
    let page = HelpPage {
        // The page does not link to itself.
        chrome: Chrome { help_url: String::new(), ..chrome },
        company: show::company(&pages, language.locale),
        links_url: addresses::links(&pages, &flow),
        recover_url: to(paths::RECOVER),
        reset_url: match &biller {
            Some(biller) => to(&paths::biller_reset(&biller.slug)),
            None => to(paths::RESET),
        },
        back_url: match &biller {
            Some(biller) => addresses::plain_sign_in(biller, flow.return_to.as_deref()),
            None => to(paths::LOGIN),
        },
    };
    show::page(StatusCode::OK, &page)
}
