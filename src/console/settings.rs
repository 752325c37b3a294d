//! A biller's own settings, its look included. Where its people sign in is changed by two persons, as everywhere.

use std::collections::BTreeMap;

use axum::extract::{Multipart, Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::pages::{FormValues, SettingsPage};
use super::staff::Staff;
use super::{Console, billers, respond};
use crate::directory::import_billers::{BillerInput, UpsertError, WriteMode};
use crate::directory::{Biller, OidcSettings};
use crate::web::{HttpError, paths};
use signpost_core::decision::CiamState;
use signpost_core::text::sha256;
use signpost_core::{Locale, LocalizedText, Purpose};

/// The form's fields.
const FIELDS: [&str; 17] = [
    "name",
    "contact_email",
    "phone",
    "email",
    "hours_en",
    "hours_es",
    "alternative_payment_en",
    "alternative_payment_es",
    "accent",
    "accent_dark",
    "outage_policy",
    "when_suspended",
    "private",
    "hosts",
    "issuer",
    "client_id",
    "client_secret",
];

type Errors = Vec<(String, String)>;

/// What was submitted.
#[derive(Default)]
struct SubmittedForm {
    form: FormValues,
    version: String,
    remove_logo: bool,
    /// The bytes of a file, if one was chosen.
    logo: Vec<u8>,
}

/// `GET /billers/{slug}/settings`
pub(super) async fn form(
    State(console): State<Console>,
    staff: Staff,
    Path(slug): Path<String>,
) -> Result<Response, HttpError> {
    let biller = billers::find(&console, &slug).await?;
    page(&console, &staff, StatusCode::OK, &biller, current_form(&biller), Vec::new())
}

/// `POST /billers/{slug}/settings`: all of it, or nothing; and nothing over what somebody else has changed meanwhile.
pub(super) async fn save(
    State(console): State<Console>,
    staff: Staff,
    Path(slug): Path<String>,
    parts: Multipart,
) -> Result<Response, HttpError> {
    let biller = billers::find(&console, &slug).await?;
    let submitted = read(parts).await?;
    if submitted.version != form_version(&current_form(&biller)) {
        let text = "Somebody has changed the biller meanwhile: these are its settings now".to_owned();
        let errors = vec![("name".to_owned(), text)];
        return page(&console, &staff, StatusCode::CONFLICT, &biller, current_form(&biller), errors);
    }
    let input = biller_input(&console, &biller, &submitted)?;
    let requested =
        (hosts(&submitted.form), submitted.form.of("issuer").to_owned(), submitted.form.of("client_id").to_owned());
    let mut tx = console.app.db.begin().await?;
    match console
        .app
        .directory
        .upsert_biller_in(&mut tx, input, &console.import_context(&staff), WriteMode::Update)
        .await
    {
        Ok(saved) => {
            tx.commit().await?;
            let oidc = saved.settings.oidc.as_ref();
            let registration = oidc.map(|oidc| (oidc.issuer.clone(), oidc.client_id.clone())).unwrap_or_default();
            let is_complete = (saved.hosts, registration.0, registration.1) == requested;
            let done = if is_complete { "settings" } else { "pending" };
            Ok(Redirect::to(&format!("/billers/{}?done={done}", biller.slug)).into_response())
        }
        Err(UpsertError::Invalid(problems)) => {
            let errors =
                problems.iter().map(|problem| (form_field(problem.field), capitalize(&problem.text))).collect();
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
        match FIELDS.into_iter().find(|field| *field == name) {
            // A secret is taken as it is.
            Some(field @ "client_secret") => _ = submitted.form.0.insert(field, text),
            Some(field) => _ = submitted.form.0.insert(field, text.trim().to_owned()),
            None if name == "version" => submitted.version = text,
            None => submitted.remove_logo |= name == "remove_logo",
        }
    }
    Ok(submitted)
}

/// The settings as they stand in the form.
fn current_form(biller: &Biller) -> FormValues {
    let settings = &biller.settings;
    let support = &settings.support;
    let localized = |text: &Option<LocalizedText>, locale: Locale| {
        let text = text.as_ref().and_then(|text| text.resolve(locale)).filter(|(language, _)| *language == locale);
        text.map(|(_, text)| text.to_owned()).unwrap_or_default()
    };
    let to_text = |value: Value| value.as_str().unwrap_or_default().to_owned();
    let colours = settings.branding.colours;
    let oidc = settings.oidc.as_ref();
    FormValues(BTreeMap::from([
        ("name", biller.name.clone()),
        ("contact_email", settings.contact_email.clone().unwrap_or_default()),
        ("phone", support.phone.clone().unwrap_or_default()),
        ("email", support.email.clone().unwrap_or_default()),
        ("hours_en", localized(&support.hours, Locale::English)),
        ("hours_es", localized(&support.hours, Locale::Spanish)),
        ("alternative_payment_en", localized(&support.alternative_payment, Locale::English)),
        ("alternative_payment_es", localized(&support.alternative_payment, Locale::Spanish)),
        ("accent", colours.map(|colours| colours.accent.to_string()).unwrap_or_default()),
        ("accent_dark", colours.map(|colours| colours.accent_dark.to_string()).unwrap_or_default()),
        ("outage_policy", to_text(json!(settings.outage_policy))),
        ("when_suspended", to_text(json!(settings.when_suspended))),
        ("private", if settings.private { "on" } else { "" }.to_owned()),
        ("hosts", biller.hosts.join(", ")),
        ("issuer", oidc.map(|oidc| oidc.issuer.clone()).unwrap_or_default()),
        ("client_id", oidc.map(|oidc| oidc.client_id.clone()).unwrap_or_default()),
    ]))
}

/// Tells one state of the settings from another.
fn form_version(form: &FormValues) -> String {
    sha256(json!(form.0).to_string().as_bytes())
}

fn hosts(form: &FormValues) -> Vec<String> {
    form.of("hosts").split([',', ' ']).filter(|host| !host.is_empty()).map(str::to_lowercase).collect()
}

/// What is to be changed, as a file would say it.
fn biller_input(console: &Console, biller: &Biller, submitted: &SubmittedForm) -> Result<BillerInput, HttpError> {
    let form = &submitted.form;
    let mut support = Map::new();
    for name in ["phone", "email"] {
        if !form.of(name).is_empty() {
            support.insert(name.to_owned(), json!(form.of(name)));
        }
    }
    for (name, english, spanish) in
        [("hours", "hours_en", "hours_es"), ("alternative_payment", "alternative_payment_en", "alternative_payment_es")]
    {
        if !(form.of(english).is_empty() && form.of(spanish).is_empty()) {
            support.insert(name.to_owned(), json!({ "en": form.of(english), "es": form.of(spanish) }));
        }
    }
    let mut branding = json!({ "accent": form.of("accent"), "accent_dark": form.of("accent_dark") });
    if !submitted.logo.is_empty() {
        branding["logo"] = json!(STANDARD.encode(&submitted.logo));
    } else if submitted.remove_logo {
        branding["logo"] = json!("");
    }
    let mut row = json!({
        "slug": biller.slug, "name": form.of("name"), "contact_email": form.of("contact_email"), "support": support,
        "branding": branding, "outage_policy": form.of("outage_policy"), "when_suspended": form.of("when_suspended"),
        "private": form.of("private") == "on", "hosts": hosts(form),
    });
    if let Some(oidc) = &biller.settings.oidc {
        let is_same = oidc.issuer == form.of("issuer") && oidc.client_id == form.of("client_id");
        if !is_same || !form.of("client_secret").is_empty() {
            row["oidc"] = oidc_input(console, biller, oidc, form);
        }
    }
    // Only lists of choices can be wrong here, and the page offers none that are.
    serde_json::from_value(row).map_err(|_| HttpError::from_status(StatusCode::BAD_REQUEST))
}

/// The biller's registration with what was typed, and everything else of it as it is.
fn oidc_input(console: &Console, biller: &Biller, oidc: &OidcSettings, form: &FormValues) -> Value {
    let open = |sealed: &Option<String>| {
        let sealed = sealed.as_ref()?;
        console.app.keys.open::<String>(Purpose::Storage, biller.id.as_str(), sealed).ok()
    };
    let typed = Some(form.of("client_secret").to_owned()).filter(|secret| !secret.is_empty());
    json!({
        "issuer": form.of("issuer"), "client_id": form.of("client_id"),
        "client_secret": typed.or_else(|| open(&oidc.client_secret)),
        "second_client_secret": open(&oidc.second_client_secret),
        "token_auth": oidc.token_auth, "scopes": oidc.scopes, "bind_claim": oidc.bind_claim, "bind_to": oidc.bind_to,
        "id_token_algs": oidc.id_token_algs, "extra_hosts": oidc.extra_hosts, "prompt": oidc.authorization_params.prompt,
        "acr_values": oidc.authorization_params.acr_values, "max_age": oidc.authorization_params.max_age,
        "response_mode": if oidc.authorization_params.form_post { "form_post" } else { "query" },
    })
}

/// The form's field for one of a file.
fn form_field(name: &str) -> String {
    let name = name.strip_prefix("branding.").or_else(|| name.strip_prefix("oidc.")).unwrap_or(name);
    if FIELDS.contains(&name) || name == "logo" { name.to_owned() } else { "name".to_owned() }
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
    errors: Errors,
) -> Result<Response, HttpError> {
    let logo = biller.settings.branding.logo.as_ref();
    respond::page(console, Some(staff), status, |chrome| SettingsPage {
        chrome,
        slug: biller.slug.to_string(),
        name: biller.name.clone(),
        version: form_version(&current_form(biller)),
        form,
        logo: logo.map(|logo| (paths::brand_logo(&biller.slug, &logo.hash), logo.width, logo.height)),
        has_issuer: biller.settings.oidc.is_some(),
        is_migrated: matches!(biller.state, CiamState::Active | CiamState::Suspended),
        errors: errors.into(),
    })
}
