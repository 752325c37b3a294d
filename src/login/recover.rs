//! The recovery page. It is the same whether or not the username exists.

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use http::StatusCode;

use super::flow_query::FlowQuery;
use super::page_context::PageContext;
use super::pages::{RecoverPage, RecoveryReason, Search};
use super::show;
use super::username_form::sanitize;
use crate::directory::{Billers, Directory};
use crate::handoffs::FlowContext;
use crate::i18n::Translator;
use crate::web::HttpError;
use crate::web::device::Device;
use crate::web::language::Language;

/// `GET /recover`. `?q=` searches for a biller by its name.
pub(super) async fn recover(
    State(pages): State<PageContext>,
    State(directory): State<Directory>,
    Extension(language): Extension<Language>,
    FlowQuery { fields, flow }: FlowQuery,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let language = language.or(flow.locale);
    let reason = if flow.failed { RecoveryReason::LegacyFailed } else { RecoveryReason::Requested };
    let flow = FlowContext { reference: pages.new_code().to_string(), ..flow };
    let billers = directory.billers_or_last_known().await;
    let links =
        FlowContext { locale: Some(language.locale), biller: None, remember: fields.has("remember"), ..flow.clone() };
    let remembered = Device::from_headers(&pages.keys, &headers).billers(&billers);
    let mut page = page(&pages, &language, &flow, reason);
    page.suggestions = remembered.iter().map(|biller| show::biller_link(&pages.keys, &links, biller)).collect();
    page.search.remember = links.remember;
    if let Some(text) = fields.get("q") {
        search(&pages, &mut page, &links, &billers, sanitize(text.trim()));
    }
    show::lookup_page(&pages, StatusCode::OK, &page)
}

fn search(pages: &PageContext, page: &mut RecoverPage, links: &FlowContext, billers: &Billers, text: String) {
    if text.is_empty() {
        page.search.error = Some(Translator::new(links.locale.unwrap_or_default()).t("recover-search-empty"));
        return;
    }
    let found = billers.search(&text);
    page.search.results = found.iter().map(|biller| show::biller_link(&pages.keys, links, biller)).collect();
    page.reason =
        if page.search.results.is_empty() { RecoveryReason::NoSearchResults } else { RecoveryReason::SearchResults };
    page.search.text = text;
}

/// The page without suggestions and search results. The flow brings the reference code.
pub(super) fn page(
    pages: &PageContext,
    language: &Language,
    flow: &FlowContext,
    reason: RecoveryReason,
) -> RecoverPage {
    RecoverPage {
        chrome: show::chrome(pages, language, flow, None),
        reason,
        suggestions: Vec::new(),
        search: Search { token: flow.seal_recovery(&pages.keys), ..Search::default() },
        username: flow.name.clone(),
        return_to: flow.return_to.clone(),
    }
}
