//! "Email me my username and sign-in links": `/recover/links`. The response is the same for every username. A worker looks up
//! the user later.

use axum::Extension;
use axum::extract::{FromRequestParts, State};
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, StatusCode};

use super::flow_query::FlowQuery;
use super::page_context::PageContext;
use super::pages::{LinksPage, LinksSentPage};
use super::username_form::{Origin, check_mail_limit, sanitize, username_error};
use super::{addresses, show};
use crate::handoffs::FlowContext;
use crate::i18n::Translator;
use crate::mail::Mail;
use crate::state::AppState;
use crate::web::client::ClientAddress;
use crate::web::device::Device;
use crate::web::extract::Form;
use crate::web::language::Language;
use crate::web::{HttpError, paths};
use signpost_core::UsernameInput;
use signpost_core::username::UsernameError;

/// Mail, if a mail server is configured. Without one the pages do not exist.
pub(super) struct EnabledMail(Mail);

impl FromRequestParts<AppState> for EnabledMail {
    type Rejection = HttpError;

    async fn from_request_parts(_: &mut Parts, state: &AppState) -> Result<Self, HttpError> {
        match state.mail.is_enabled() {
            true => Ok(Self(state.mail.clone())),
            false => Err(HttpError::from_status(StatusCode::NOT_FOUND)),
        }
    }
}

/// `GET /recover/links`
pub(super) async fn form(
    _: EnabledMail,
    State(pages): State<PageContext>,
    Extension(language): Extension<Language>,
    FlowQuery { flow, .. }: FlowQuery,
) -> Result<Response, HttpError> {
    let language = language.or(flow.locale);
    show::form_page(StatusCode::OK, &page(&pages, &language, flow), Vec::new())
}

/// `POST /recover/links`
pub(super) async fn submit(
    EnabledMail(mail): EnabledMail,
    State(pages): State<PageContext>,
    State(state): State<AppState>,
    Extension(language): Extension<Language>,
    ClientAddress(client): ClientAddress,
    headers: HeaderMap,
    Form(fields): Form,
) -> Result<Response, HttpError> {
    let language = language.for_form(paths::LINKS, &fields, &["username", "return_to"]);
    let return_to = pages.resolve_return_to(fields.get("return_to"));
    let flow = FlowContext { locale: Some(language.locale), return_to, ..FlowContext::default() };
    let typed = fields.get("username").unwrap_or_default();
    let name = match UsernameInput::parse(typed) {
        Ok(name) => name,
        Err(error) => {
            let error = match error {
                UsernameError::Empty => Translator::new(language.locale).t("links-empty"),
                other => username_error(&language, other),
            };
            let flow = FlowContext { name: Some(sanitize(typed)), ..flow };
            let page = LinksPage { error: Some(error), ..page(&pages, &language, flow) };
            return show::form_page(StatusCode::BAD_REQUEST, &page, Vec::new());
        }
    };
    let with_way_on = |error: HttpError| {
        let flow = FlowContext { name: Some(name.raw().to_owned()), ..flow.clone() };
        error
            .with_link("action-try-again", addresses::padded_page(&pages.keys, paths::LINKS, &flow))
            .in_locale(language.locale)
    };
    let device = Device::from_headers(&pages.keys, &headers);
    let requester = check_mail_limit(&state, Origin { client, device: &device }, &name).await.map_err(with_way_on)?;
    mail.enqueue_sign_in_links(&name, requester, language.locale).await.map_err(|error| with_way_on(error.into()))?;
    // The flow leaves out the username, so that the page is the same for every username.
    sent_page(&pages, language, &flow)
}

/// `GET /recover/links/sent`: the confirmation again, in another language. Nothing is sent again.
pub(super) async fn sent(
    _: EnabledMail,
    State(pages): State<PageContext>,
    Extension(language): Extension<Language>,
    FlowQuery { flow, .. }: FlowQuery,
) -> Result<Response, HttpError> {
    sent_page(&pages, language, &flow)
}

fn sent_page(pages: &PageContext, language: Language, flow: &FlowContext) -> Result<Response, HttpError> {
    let language = language.at(addresses::page(&pages.keys, paths::LINKS_SENT, flow));
    let chrome = show::chrome(pages, &language, flow, None);
    show::page(StatusCode::OK, &LinksSentPage { chrome })
}

fn page(pages: &PageContext, language: &Language, flow: FlowContext) -> LinksPage {
    LinksPage {
        chrome: show::chrome(pages, language, &flow, None),
        error: None,
        username: flow.name.unwrap_or_default(),
        return_to: flow.return_to,
    }
}
