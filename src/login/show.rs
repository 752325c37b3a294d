//! Pages as responses: the parts that all pages share, and the headers.

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;

use super::addresses;
use super::page_context::PageContext;
use super::pages::{Chrome, Contact, Link, OperatorText, OtherLanguage, PageLinks};
use crate::directory::Biller;
use crate::handoffs::{self, FlowContext};
use crate::i18n::Translator;
use crate::web::brand::Brand;
use crate::web::headers::PagePolicy;
use crate::web::language::{Language, PARAMETER, SamePage};
use crate::web::{HttpError, assets, paths};
use signpost_core::{KeyRing, Locale};

/// The shared parts. On a page about a biller the contact is the biller's own. Links take the flow along. The page shows the
/// reference code of the flow, or a new one if the flow has none.
pub(super) fn chrome(pages: &PageContext, language: &Language, flow: &FlowContext, biller: Option<&Biller>) -> Chrome {
    let help_url = match biller {
        Some(biller) => paths::with_query(paths::HELP, "biller", biller.slug.as_str()),
        None => paths::HELP.to_owned(),
    };
    Chrome {
        i18n: Translator::new(language.locale),
        other_languages: other_languages(language),
        company: pages.config.help.company.clone(),
        stylesheet: assets::STYLESHEET.path.clone(),
        logo: assets::LOGO.path.clone(),
        reference: if flow.reference.is_empty() { pages.new_code().to_string() } else { flow.reference.clone() },
        contact: biller
            .map_or_else(|| company(pages, language.locale), |biller| biller_contact(pages, biller, language.locale)),
        biller: biller.map(|biller| biller.name.clone()),
        brand: biller.map(Brand::for_biller).unwrap_or_default(),
        help_url,
        links: PageLinks {
            keys: pages.keys.clone(),
            flow: FlowContext { locale: Some(language.locale), ..flow.clone() },
            biller: biller.map(|biller| biller.slug.clone()),
            can_send_mail: pages.can_send_mail,
        },
    }
}

/// A link to a biller's sign-in, labelled with its name.
pub(super) fn biller_link(keys: &KeyRing, flow: &FlowContext, biller: &Biller) -> Link {
    Link { label: biller.name.clone(), url: addresses::sign_in(keys, &biller.slug, flow) }
}

fn other_languages(language: &Language) -> Vec<OtherLanguage> {
    let other_languages = Locale::ALL.into_iter().filter(|locale| *locale != language.locale);
    other_languages
        .map(|locale| {
            let with = |address: &str| paths::with_query(address, PARAMETER, locale.tag());
            let (address, form) = match language.same_page() {
                // An address without a path is that of the page itself. A path taken from the request might lead elsewhere.
                SamePage::Query(query) if query.is_empty() => (with("?"), None),
                SamePage::Query(query) => (with(&format!("?{query}")), None),
                SamePage::Form { action, fields } => (with(action), Some(fields.clone())),
                SamePage::At(address) => (with(address), None),
            };
            OtherLanguage { i18n: Translator::new(locale), address, form }
        })
        .collect()
}

/// The company's support.
pub(super) fn company(pages: &PageContext, locale: Locale) -> Contact {
    let help = &pages.config.help;
    Contact {
        name: help.company.clone(),
        phone: help.phone.clone(),
        email: help.email.clone(),
        hours: OperatorText::in_locale(help.hours.as_ref(), locale),
        alternative_payment: None,
    }
}

fn biller_contact(pages: &PageContext, biller: &Biller, locale: Locale) -> Contact {
    let support = &biller.settings.support;
    let alternative_payment = OperatorText::in_locale(support.alternative_payment.as_ref(), locale);
    if support.phone.is_none() && support.email.is_none() {
        return Contact { alternative_payment, ..company(pages, locale) };
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

/// A page whose forms post to us and may be redirected to these origins.
pub(super) fn form_page(
    status: StatusCode,
    template: &impl Template,
    form_targets: Vec<String>,
) -> Result<Response, HttpError> {
    let mut response = page(status, template)?;
    response.extensions_mut().insert(PagePolicy { form_targets, ..PagePolicy::default() });
    Ok(response)
}

/// A page with the username form, which may be redirected to the legacy login.
pub(super) fn lookup_page(
    pages: &PageContext,
    status: StatusCode,
    template: &impl Template,
) -> Result<Response, HttpError> {
    form_page(status, template, handoffs::legacy_origin(&pages.config).into_iter().collect())
}

/// A page without forms. As the response to the username form it still has one, which asks for the page in another language.
pub(super) fn answer_page(
    pages: &PageContext,
    language: &Language,
    status: StatusCode,
    template: &impl Template,
) -> Result<Response, HttpError> {
    match language.same_page() {
        SamePage::Form { .. } => lookup_page(pages, status, template),
        SamePage::Query(_) | SamePage::At(_) => page(status, template),
    }
}
