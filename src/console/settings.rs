//! The form with a biller's settings. Changes of where its users sign in need an approval, as everywhere.

use axum::extract::{Multipart, State};
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::extract::{Operator, PathBiller};
use super::pages::{FormValues, SettingsPage};
use super::staff::Staff;
use super::{Console, respond};
use crate::config::Secret;
use crate::directory::import_billers::{BillerRow, UpsertError, WriteMode};
use crate::directory::{Biller, BillerPatch, BrandingPatch, Colours, LogoSource, OidcSettings, Support};
use crate::web::{HttpError, paths};
use signpost_core::decision::CiamState;
use signpost_core::text::sha256;
use signpost_core::{FieldError, FieldErrors, Locale, LocalizedText};

/// A field of the form.
struct FormField {
    /// The field's name in the form. An error of the patch appears at the form's field of the same name.
    name: &'static str,
    /// What the form shows of a biller.
    current: fn(&Biller) -> String,
    /// What a submitted text changes.
    apply: fn(&mut BillerPatch, &str),
}

const fn field(name: &'static str, current: fn(&Biller) -> String, apply: fn(&mut BillerPatch, &str)) -> FormField {
    FormField { name, current, apply }
}

/// The fields of the form, without the logo. Each needs a line in `templates/console/settings.html`.
const FIELDS: &[FormField] = &[
    field("name", |b| b.name.clone(), |p, text| p.name = Some(text.into())),
    field("contact_email", |b| or_empty(&b.settings.contact_email), |p, text| p.contact_email = Some(text.into())),
    field("phone", |b| or_empty(&b.settings.support.phone), |p, text| support(p).phone = non_empty(text)),
    field("email", |b| or_empty(&b.settings.support.email), |p, text| support(p).email = non_empty(text)),
    field(
        "hours_en",
        |b| localized(&b.settings.support.hours, Locale::English),
        |p, text| set_localized(&mut support(p).hours, Locale::English, text),
    ),
    field(
        "hours_es",
        |b| localized(&b.settings.support.hours, Locale::Spanish),
        |p, text| set_localized(&mut support(p).hours, Locale::Spanish, text),
    ),
    field(
        "alternative_payment_en",
        |b| localized(&b.settings.support.alternative_payment, Locale::English),
        |p, text| set_localized(&mut support(p).alternative_payment, Locale::English, text),
    ),
    field(
        "alternative_payment_es",
        |b| localized(&b.settings.support.alternative_payment, Locale::Spanish),
        |p, text| set_localized(&mut support(p).alternative_payment, Locale::Spanish, text),
    ),
    field("accent", |b| colour(b, |c| c.accent.to_string()), |p, text| branding(p).accent = Some(text.into())),
    field(
        "accent_dark",
        |b| colour(b, |c| c.accent_dark.to_string()),
        |p, text| branding(p).accent_dark = Some(text.into()),
    ),
    field("outage_policy", |b| choice(b.settings.outage_policy), |p, text| p.outage_policy = chosen(text)),
    field("when_suspended", |b| choice(b.settings.when_suspended), |p, text| p.when_suspended = chosen(text)),
    field("private", |b| checkbox(b.settings.private), |p, text| p.private = Some(text == "on")),
    field("hosts", |b| b.hosts.join(", "), |p, text| p.hosts = Some(hosts(text))),
    field("issuer", |b| oidc(b, |oidc| &oidc.issuer), |p, text| set_oidc(p, |oidc| oidc.issuer = text.into())),
    field("client_id", |b| oidc(b, |oidc| &oidc.client_id), |p, text| set_oidc(p, |oidc| oidc.client_id = text.into())),
    field(
        "client_secret",
        |_| String::new(),
        |p, text| set_oidc(p, |oidc| oidc.client_secret = non_empty(text).map(|text| Secret::Inline(text.into()))),
    ),
];

fn or_empty(text: &Option<String>) -> String {
    text.clone().unwrap_or_default()
}

fn non_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn support(patch: &mut BillerPatch) -> &mut Support {
    patch.support.get_or_insert_default()
}

fn branding(patch: &mut BillerPatch) -> &mut BrandingPatch {
    patch.branding.get_or_insert_default()
}

fn localized(text: &Option<LocalizedText>, locale: Locale) -> String {
    let text = text.as_ref().and_then(|text| text.resolve(locale)).filter(|(language, _)| *language == locale);
    text.map(|(_, text)| text.to_owned()).unwrap_or_default()
}

fn set_localized(localized: &mut Option<LocalizedText>, locale: Locale, text: &str) {
    if !text.is_empty() {
        localized.get_or_insert_default().set(locale, text);
    }
}

fn colour(biller: &Biller, of: fn(Colours) -> String) -> String {
    biller.branding.colours.map(of).unwrap_or_default()
}

fn choice(value: impl Serialize) -> String {
    json!(value).as_str().unwrap_or_default().to_owned()
}

/// None for a text that is not one of the choices: the setting stays as it is.
fn chosen<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_value(json!(text)).ok()
}

fn checkbox(is_checked: bool) -> String {
    if is_checked { "on" } else { "" }.to_owned()
}

fn hosts(text: &str) -> Vec<String> {
    text.split([',', ' ']).filter(|host| !host.is_empty()).map(str::to_lowercase).collect()
}

fn oidc(biller: &Biller, of: fn(&OidcSettings) -> &String) -> String {
    biller.settings.oidc.as_ref().map(of).cloned().unwrap_or_default()
}

/// Without a registration the form has no fields for one.
fn set_oidc(patch: &mut BillerPatch, set: impl FnOnce(&mut OidcSettings)) {
    if let Some(oidc) = &mut patch.oidc {
        set(oidc);
    }
}

/// What was submitted.
#[derive(Default)]
struct SubmittedForm {
    form: FormValues,
    version: String,
    remove_logo: bool,
    /// Content of the chosen file, if any.
    logo: Vec<u8>,
}

/// `GET /billers/{slug}/settings`
pub(super) async fn form(
    State(console): State<Console>,
    Operator(staff): Operator,
    PathBiller(biller): PathBiller,
) -> Result<Response, HttpError> {
    page(&console, &staff, StatusCode::OK, &biller, current_form(&biller), FieldErrors::default())
}

/// `POST /billers/{slug}/settings`: saves everything or nothing, and never over another person's changes.
pub(super) async fn save(
    State(console): State<Console>,
    Operator(staff): Operator,
    PathBiller(biller): PathBiller,
    parts: Multipart,
) -> Result<Response, HttpError> {
    let submitted = read(parts).await?;
    if submitted.version != form_version(&current_form(&biller)) {
        let text = "The settings have changed since you opened this page. Review the current values and try again";
        let errors = FieldErrors::one("name", text);
        return page(&console, &staff, StatusCode::CONFLICT, &biller, current_form(&biller), errors);
    }
    let patch = patch(&biller, &submitted);
    let (hosts, oidc) = (patch.hosts.clone(), patch.oidc.clone());
    let row = BillerRow { slug: biller.slug.clone(), patch };
    let mut tx = console.app.db.begin().await?;
    let context = console.import_context(&staff);
    match console.app.directory.upsert_biller_in(&mut tx, row, &context, WriteMode::Update).await {
        Ok(saved) => {
            tx.commit().await?;
            let endpoint = |oidc: &OidcSettings| (oidc.issuer.clone(), oidc.client_id.clone());
            let has_oidc = oidc.is_none_or(|oidc| saved.settings.oidc.as_ref().map(endpoint) == Some(endpoint(&oidc)));
            let is_complete = has_oidc && hosts.as_ref() == Some(&saved.hosts);
            let done = if is_complete { "settings" } else { "pending" };
            Ok(Redirect::to(&format!("/billers/{}?done={done}", biller.slug)).into_response())
        }
        Err(UpsertError::Invalid(errors)) => {
            let errors = errors.iter().map(form_error).collect();
            page(&console, &staff, StatusCode::UNPROCESSABLE_ENTITY, &biller, submitted.form, errors)
        }
        Err(UpsertError::Directory(error)) => Err(error.into()),
        Err(UpsertError::SlugTaken | UpsertError::NotFound) => Err(HttpError::from_status(StatusCode::NOT_FOUND)),
    }
}

async fn read(mut parts: Multipart) -> Result<SubmittedForm, HttpError> {
    let mut submitted = SubmittedForm::default();
    while let Some(part) = parts.next_field().await.map_err(|error| HttpError::from_status(error.status()))? {
        let name = part.name().unwrap_or_default().to_owned();
        let bytes = part.bytes().await.map_err(|error| HttpError::from_status(error.status()))?;
        if name == "logo" {
            submitted.logo = bytes.to_vec();
            continue;
        }
        let text = String::from_utf8(bytes.to_vec()).map_err(|_| HttpError::from_status(StatusCode::BAD_REQUEST))?;
        match FIELDS.iter().find(|field| field.name == name) {
            // Spaces may be part of a secret.
            Some(FormField { name: name @ "client_secret", .. }) => _ = submitted.form.0.insert(name, text),
            Some(field) => _ = submitted.form.0.insert(field.name, text.trim().to_owned()),
            None if name == "version" => submitted.version = text,
            None => submitted.remove_logo |= name == "remove_logo",
        }
    }
    Ok(submitted)
}

/// The settings as the form shows them.
fn current_form(biller: &Biller) -> FormValues {
    FormValues(FIELDS.iter().map(|field| (field.name, (field.current)(biller))).collect())
}

/// Identifies a state of the settings.
fn form_version(form: &FormValues) -> String {
    sha256(json!(form.0).to_string().as_bytes())
}

fn patch(biller: &Biller, submitted: &SubmittedForm) -> BillerPatch {
    let mut patch = BillerPatch { oidc: biller.settings.oidc.clone(), ..BillerPatch::default() };
    for field in FIELDS {
        (field.apply)(&mut patch, submitted.form.of(field.name));
    }
    // Saving an unchanged registration would unpin its issuer.
    if patch.oidc == biller.settings.oidc {
        patch.oidc = None;
    }
    if !submitted.logo.is_empty() {
        branding(&mut patch).logo = Some(LogoSource::Base64(STANDARD.encode(&submitted.logo)));
    } else if submitted.remove_logo {
        branding(&mut patch).logo = Some(LogoSource::Base64(String::new()));
    }
    patch
}

/// An error at the form's field, or at the first field if the form has none for it.
fn form_error(error: &FieldError) -> FieldError {
    let name = error.field.rsplit('.').next().unwrap_or_default();
    if FIELDS.iter().any(|field| field.name == name) || name == "logo" {
        FieldError { field: name.to_owned(), message: capitalize(&error.message) }
    } else {
        FieldError { field: "name".to_owned(), message: capitalize(&error.to_string()) }
    }
}

fn capitalize(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn page(
    console: &Console,
    staff: &Staff,
    status: StatusCode,
    biller: &Biller,
    form: FormValues,
    errors: FieldErrors,
) -> Result<Response, HttpError> {
    let logo = biller.branding.logo.as_ref();
    respond::page(console, Some(staff), status, |chrome| SettingsPage {
        chrome,
        slug: biller.slug.to_string(),
        name: biller.name.clone(),
        version: form_version(&current_form(biller)),
        form,
        logo: logo.map(|logo| (paths::brand_logo(&biller.slug, &logo.hash), logo.width, logo.height)),
        has_issuer: biller.settings.oidc.is_some(),
        is_migrated: matches!(biller.state, CiamState::Active | CiamState::Suspended),
        errors,
    })
}
