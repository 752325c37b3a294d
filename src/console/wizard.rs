//! The biller wizard: a new biller, which can be enabled in the same step.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;

use super::extract::Operator;
use super::pages::{WizardForm, WizardPage};
use super::staff::Staff;
use super::{Console, ciam, respond};
use crate::directory::import_billers::{BillerRow, UpsertError, WriteMode};
use crate::directory::{BillerPatch, PasswordCarryOver, Support};
use crate::provisioning::CONFIRM_MESSAGE;
use crate::web::HttpError;
use crate::web::extract::Form;
use crate::web::fields::Fields;
use signpost_core::{FieldError, FieldErrors, Locale, LocalizedText, Slug};

/// The wizard.
pub(super) const WIZARD: &str = "/new-biller";

/// `GET /new-biller`
pub(super) async fn form(State(console): State<Console>, Operator(staff): Operator) -> Result<Response, HttpError> {
    page(&console, &staff, StatusCode::OK, WizardForm::default(), FieldErrors::default(), None)
}

/// `POST /new-biller`: validates the form, confirms the enablement if requested, then creates the biller.
pub(super) async fn submit(
    State(console): State<Console>,
    Operator(staff): Operator,
    Form(fields): Form,
) -> Result<Response, HttpError> {
    let form = parse_form(&fields);
    let input = match biller_row(&form) {
        Ok(input) => input,
        Err(errors) => return page(&console, &staff, StatusCode::UNPROCESSABLE_ENTITY, form, errors, None),
    };
    let slug = input.slug.clone();
    let is_confirmed = !form.ciam || fields.has("confirmed");
    if form.ciam && !console.app.provisioning.is_configured() {
        let errors = FieldErrors::one("ciam", "Cannot enable CIAM: the configuration has no [secureauth] section");
        return page(&console, &staff, StatusCode::UNPROCESSABLE_ENTITY, form, errors, None);
    }
    let mut tx = console.app.db.begin().await?;
    match console
        .app
        .directory
        .upsert_biller_in(&mut tx, input, &console.import_context(&staff), WriteMode::Create)
        .await
    {
        Ok(_) if is_confirmed => tx.commit().await?,
        // Nothing is written before it is confirmed.
        Ok(_) => return page(&console, &staff, StatusCode::OK, form, FieldErrors::default(), Some(CONFIRM_MESSAGE)),
        Err(error) => {
            let errors = form_errors(error)?;
            return page(&console, &staff, StatusCode::UNPROCESSABLE_ENTITY, form, errors, None);
        }
    }
    if !form.ciam {
        return Ok(Redirect::to(&format!("/billers/{slug}?done=created")).into_response());
    }
    // From here on the biller is there: what fails is tried again from its own page.
    let started =
        console.app.provisioning.start(&slug, ciam::parse_options(&fields), &console.actor_context(&staff)).await;
    let job = started.map_err(super::provisioning_error::http_error)?;
    Ok(Redirect::to(&format!("/jobs/{}", job.id)).into_response())
}

fn parse_form(fields: &Fields) -> WizardForm {
    let text = |name: &str| fields.get(name).unwrap_or_default().trim().to_owned();
    WizardForm {
        name: text("name"),
        slug: text("slug"),
        hosts: text("hosts"),
        phone: text("phone"),
        email: text("email"),
        hours: text("hours"),
        ciam: fields.has("ciam"),
        mode: text("mode"),
        passwords: text("passwords"),
    }
}

fn biller_row(form: &WizardForm) -> Result<BillerRow, FieldErrors> {
    let mut errors = FieldErrors::default();
    if form.name.is_empty() {
        errors.push("name", "Enter the name that customers see");
    }
    let slug = errors.check("slug", Slug::parse(&form.slug).map_err(|error| format!("Invalid slug: {error}")));
    let Some(slug) = slug.filter(|_| errors.is_empty()) else { return Err(errors) };
    let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let mut hours = LocalizedText::default();
    hours.set(Locale::English, &form.hours);
    let hosts = form.hosts.split([',', ' ']).filter(|host| !host.is_empty()).map(str::to_owned).collect();
    let patch = BillerPatch {
        name: text(&form.name),
        hosts: Some(hosts),
        support: Some(Support {
            phone: text(&form.phone),
            email: text(&form.email),
            hours: text(&form.hours).map(|_| hours),
            alternative_payment: None,
        }),
        passwords: (form.passwords == "reset_required").then_some(PasswordCarryOver::ResetRequired),
        ..BillerPatch::default()
    };
    Ok(BillerRow { slug, patch })
}

fn form_errors(error: UpsertError) -> Result<FieldErrors, HttpError> {
    match error {
        UpsertError::SlugTaken => Ok(FieldErrors::one("slug", "Another biller already uses this slug")),
        UpsertError::NotFound => Err(HttpError::from_status(StatusCode::NOT_FOUND)),
        UpsertError::Directory(error) => Err(error.into()),
        UpsertError::Invalid(errors) => Ok(errors
            .iter()
            .map(|error| {
                let field = if error.field.starts_with("hosts") { "hosts" } else { "name" };
                FieldError { field: field.to_owned(), message: error.to_string() }
            })
            .collect()),
    }
}

fn page(
    console: &Console,
    staff: &Staff,
    status: StatusCode,
    form: WizardForm,
    errors: FieldErrors,
    confirm: Option<&'static str>,
) -> Result<Response, HttpError> {
    let can_enable = console.app.provisioning.is_configured();
    respond::page(console, Some(staff), status, |chrome| WizardPage { chrome, form, errors, confirm, can_enable })
}
