//! Pages as answers: what stands around each, and the headers it needs.

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;

use super::pages::{Chrome, Contact, OperatorText, OtherLanguage};
use crate::directory::Biller;
use crate::i18n::Translator;
use crate::state::AppState;
use crate::web::brand::Brand;
use crate::web::handoffs;
use crate::web::headers::PagePolicy;
use crate::web::language::{Language, PARAMETER, SamePage};
use crate::web::{HttpError, assets, paths};
use signpost_core::Locale;

/// What stands around a page; about a biller, its own people are the ones to ask.
pub(super) fn chrome(state: &AppState, language: &Language, code: &str, biller: Option<&Biller>) -> Chrome {
    let help_url = match biller {
        Some(biller) => paths::with_query(paths::HELP, "biller", biller.slug.as_str()),
        None => paths::HELP.to_owned(),
    };
    Chrome {
        i18n: Translator::new(language.locale),
        other_languages: other_languages(language),
        company: state.config.help.company.clone(),
        stylesheet: assets::STYLESHEET.path.clone(),
        logo: assets::LOGO.path.clone(),
        reference: code.to_owned(),
        contact: biller
            .map_or_else(|| company(state, language.locale), |biller| biller_contact(state, biller, language.locale)),
        biller: biller.map(|biller| biller.name.clone()),
        brand: biller.map(Brand::for_biller).unwrap_or_default(),
        help_url,
    }
}

/// The same page in the other languages.
fn other_languages(language: &Language) -> Vec<OtherLanguage> {
    let other_languages = Locale::ALL.into_iter().filter(|locale| *locale != language.locale);
    other_languages
        .map(|locale| {
            let with = |address: &str| paths::with_query(address, PARAMETER, locale.tag());
            let (address, form) = match language.same_page() {
                // Without a path it is the page's own address, whatever that is: a path made of a request's might lead
                // elsewhere.
                SamePage::Query(query) if query.is_empty() => (with("?"), None),
                SamePage::Query(query) => (with(&format!("?{query}")), None),
                SamePage::Form { action, fields } => (with(action), Some(fields.clone())),
                SamePage::At(address) => (with(address), None),
            };
            OtherLanguage { i18n: Translator::new(locale), address, form }
        })
        .collect()
}

/// The company's own people.
pub(super) fn company(state: &AppState, locale: Locale) -> Contact {
    let help = &state.config.help;
    Contact {
        name: help.company.clone(),
        phone: help.phone.clone(),
        email: help.email.clone(),
        hours: OperatorText::in_locale(help.hours.as_ref(), locale),
        alternative_payment: None,
    }
}

fn biller_contact(state: &AppState, biller: &Biller, locale: Locale) -> Contact {
    let support = &biller.settings.support;
    let alternative_payment = OperatorText::in_locale(support.alternative_payment.as_ref(), locale);
    if support.phone.is_none() && support.email.is_none() {
        return Contact { alternative_payment, ..company(state, locale) };
    }
    Contact {
        name: biller.name.clone(),
        phone: support.phone.clone(),
        email: support.email.clone(),
        hours: OperatorText::in_locale(support.hours.as_ref(), locale),
        alternative_payment,
    }
}

/// A page without forms.
pub(super) fn page(status: StatusCode, template: &impl Template) -> Result<Response, HttpError> {
    let html = template.render().map_err(|error| HttpError::internal(&error))?;
    Ok((status, Html(html)).into_response())
}

/// A page whose forms post to ourselves, and whose answer may lead to these origins.
pub(super) fn form_page(
    status: StatusCode,
    template: &impl Template,
    form_targets: Vec<String>,
) -> Result<Response, HttpError> {
    let mut response = page(status, template)?;
    response.extensions_mut().insert(PagePolicy { form_targets, ..PagePolicy::default() });
    Ok(response)
}

/// A page with the form of the look-up, which may lead to the legacy login.
pub(super) fn lookup_page(
    state: &AppState,
    status: StatusCode,
    template: &impl Template,
) -> Result<Response, HttpError> {
    form_page(status, template, handoffs::legacy_origin(state).into_iter().collect())
}

/// A page without forms; as the answer to the look-up it has one nevertheless, which asks for it in another language.
pub(super) fn answer_page(
    state: &AppState,
    language: &Language,
    status: StatusCode,
    template: &impl Template,
) -> Result<Response, HttpError> {
    match language.same_page() {
        SamePage::Form { .. } => lookup_page(state, status, template),
        SamePage::Query(_) | SamePage::At(_) => page(status, template),
    }
}
