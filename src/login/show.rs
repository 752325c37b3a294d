//! Pages as answers: what stands around each, and the headers it needs.

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;

use super::pages::{Chrome, Contact};
use crate::directory::Biller;
use crate::state::AppState;
use crate::web::headers::PageNeeds;
use crate::web::{Refusal, assets, paths};

/// What stands around a page; about a biller, its own people are the ones to ask.
pub(super) fn chrome(state: &AppState, code: &str, biller: Option<&Biller>) -> Chrome {
    let help_url = match biller {
        Some(biller) => paths::with_query(paths::HELP, "biller", biller.slug.as_str()),
        None => paths::HELP.to_owned(),
    };
    Chrome {
        company: state.config.help.company.clone(),
        stylesheet: assets::STYLESHEET.path.clone(),
        logo: assets::LOGO.path.clone(),
        reference: code.to_owned(),
        contact: biller.map_or_else(|| company(state), |biller| biller_contact(state, biller)),
        biller: biller.map(|biller| biller.name.clone()),
        help_url,
    }
}

/// The company's own people.
pub(super) fn company(state: &AppState) -> Contact {
    let help = &state.config.help;
    Contact {
        name: help.company.clone(),
        phone: help.phone.clone(),
        email: help.email.clone(),
        hours: help.hours.clone(),
        other_way_to_pay: None,
    }
}

fn biller_contact(state: &AppState, biller: &Biller) -> Contact {
    let support = &biller.settings.support;
    if support.phone.is_none() && support.email.is_none() {
        return Contact { other_way_to_pay: support.other_way_to_pay.clone(), ..company(state) };
    }
    Contact {
        name: biller.name.clone(),
        phone: support.phone.clone(),
        email: support.email.clone(),
        hours: support.hours.clone(),
        other_way_to_pay: support.other_way_to_pay.clone(),
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
    response.extensions_mut().insert(PageNeeds { form_targets });
    Ok(response)
}
