//! Pages as answers: what stands around each, and the headers it needs.

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;

use super::pages::{Chrome, Contact, OtherLanguage, OwnText};
use crate::directory::Biller;
use crate::state::AppState;
use crate::web::brand::Brand;
use crate::web::handoffs;
use crate::web::headers::PageNeeds;
use crate::web::language::{Language, PARAMETER, SamePage};
use crate::web::{Refusal, assets, paths};
use crate::words::Words;
use signpost_core::Locale;

/// What stands around a page; about a biller, its own people are the ones to ask.
pub(super) fn chrome(state: &AppState, language: &Language, code: &str, biller: Option<&Biller>) -> Chrome {
    let help_url = match biller {
        Some(biller) => paths::with_query(paths::HELP, "biller", biller.slug.as_str()),
        None => paths::HELP.to_owned(),
    };
    Chrome {
        words: Words::of(language.locale),
        others: others(language),
        company: state.config.help.company.clone(),
        stylesheet: assets::STYLESHEET.path.clone(),
        logo: assets::LOGO.path.clone(),
        reference: code.to_owned(),
        contact: biller
            .map_or_else(|| company(state, language.locale), |biller| biller_contact(state, biller, language.locale)),
        biller: biller.map(|biller| biller.name.clone()),
        brand: biller.map(Brand::of).unwrap_or_default(),
        help_url,
    }
}

/// The same page in the other languages.
fn others(language: &Language) -> Vec<OtherLanguage> {
    let others = Locale::ALL.into_iter().filter(|locale| *locale != language.locale);
    others
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
            OtherLanguage { words: Words::of(locale), address, form }
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
        hours: OwnText::on_page(help.hours.as_ref(), locale),
        other_way_to_pay: None,
    }
}

fn biller_contact(state: &AppState, biller: &Biller, locale: Locale) -> Contact {
    let support = &biller.settings.support;
    let other_way_to_pay = OwnText::on_page(support.other_way_to_pay.as_ref(), locale);
    if support.phone.is_none() && support.email.is_none() {
        return Contact { other_way_to_pay, ..company(state, locale) };
    }
    Contact {
        name: biller.name.clone(),
        phone: support.phone.clone(),
        email: support.email.clone(),
        hours: OwnText::on_page(support.hours.as_ref(), locale),
        other_way_to_pay,
    }
}

/// A page without forms.
pub(super) fn page(status: StatusCode, template: &impl Template) -> Result<Response, Refusal> {
    let html = template.render().map_err(|error| Refusal::internal(&error))?;
    Ok((status, Html(html)).into_response())
}

/// A page whose forms post to ourselves, and whose answer may lead to these origins.
pub(super) fn form_page(
    status: StatusCode,
    template: &impl Template,
    form_targets: Vec<String>,
) -> Result<Response, Refusal> {
    let mut response = page(status, template)?;
    response.extensions_mut().insert(PageNeeds { form_targets, ..PageNeeds::default() });
    Ok(response)
}

/// A page with the form of the look-up, which may lead to the legacy login.
pub(super) fn look_up_page(
    state: &AppState,
    status: StatusCode,
    template: &impl Template,
) -> Result<Response, Refusal> {
    form_page(status, template, handoffs::legacy_origin(state).into_iter().collect())
}

/// A page without forms; as the answer to the look-up it has one nevertheless, which asks for it in another language.
pub(super) fn answer_page(
    state: &AppState,
    language: &Language,
    status: StatusCode,
    template: &impl Template,
) -> Result<Response, Refusal> {
    match language.same_page() {
        SamePage::Form { .. } => look_up_page(state, status, template),
        SamePage::Query(_) | SamePage::At(_) => page(status, template),
    }
}
