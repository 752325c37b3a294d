//! A migrated biller's settings at SecureAuth: drift, and sync of our values.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;

use super::extract::{Operator, PathBiller, find_biller};
use super::pages::{FormValues, SecureauthPage};
use super::staff::Staff;
use super::{Console, respond};
use crate::directory::Biller;
use crate::provisioning::{CiamMode, ProvisioningError};
use crate::secureauth::management::{PasswordPolicy, Strength};
use crate::web::HttpError;
use crate::web::extract::{Form, Query};
use crate::web::fields::Fields;
use signpost_core::FieldErrors;

/// `GET /billers/{slug}/secureauth`: asks SecureAuth now.
pub(super) async fn show(
    State(console): State<Console>,
    staff: Staff,
    PathBiller(biller): PathBiller,
    Query(fields): Query,
) -> Result<Response, HttpError> {
    let done = match fields.get("done") {
        Some("saved") => Some("Settings saved and synced."),
        Some("synced") => Some("Settings synced."),
        _ => None,
    };
    let form = current_form(&biller);
    page(&console, &staff, StatusCode::OK, &biller, (form, done, FieldErrors::default())).await
}

/// `POST /billers/{slug}/secureauth`: keeps what is wanted, if that was sent, and brings it there.
pub(super) async fn submit(
    State(console): State<Console>,
    Operator(staff): Operator,
    PathBiller(biller): PathBiller,
    Form(fields): Form,
) -> Result<Response, HttpError> {
    let (provisioning, actor) = (&console.app.provisioning, console.actor_context(&staff));
    let is_save = fields.get("action") == Some("save");
    let form = submitted_form(&fields);
    if is_save {
        let mode = fields.get("mode").and_then(CiamMode::parse).filter(|mode| *mode != CiamMode::Sso);
        let requested = match parse_policy(&form) {
            Ok(policy) => (mode, policy),
            Err(errors) => {
                let shown = (form, None, errors);
                return page(&console, &staff, StatusCode::UNPROCESSABLE_ENTITY, &biller, shown).await;
            }
        };
        provisioning
            .save_settings(&biller.slug, requested, &actor)
            .await
            .map_err(super::provisioning_error::http_error)?;
    }
    match provisioning.sync_settings(&biller.slug, &actor).await {
        Ok(()) => {
            let done = if is_save { "saved" } else { "synced" };
            Ok(Redirect::to(&format!("/billers/{}/secureauth?done={done}", biller.slug)).into_response())
        }
        Err(ProvisioningError::Directory(error)) => Err(error.into()),
        Err(error) => {
            let kept = if is_save { "Saved in Signpost, but not synced" } else { "Settings not synced" };
            let biller = find_biller(&console, &biller.slug).await?;
            let form = current_form(&biller);
            let shown = (form, None, FieldErrors::one("kept", format!("{kept}: {error}")));
            let is_theirs = matches!(error, ProvisioningError::Call(_) | ProvisioningError::ResourceMissing { .. });
            let status = if is_theirs { StatusCode::BAD_GATEWAY } else { StatusCode::CONFLICT };
            page(&console, &staff, status, &biller, shown).await
        }
    }
}

/// What is wanted, as it stands in the form.
fn current_form(biller: &Biller) -> FormValues {
    let policy = biller.settings.password_policy;
    let numbers = policy.counts().map(|(field, _, number)| (field, number.map(|n| n.to_string()).unwrap_or_default()));
    let mut form = BTreeMap::from(numbers);
    let mode = biller.ciam_mode.unwrap_or_default();
    form.insert("mode", mode.as_str().to_owned());
    form.insert("strength", policy.strength.map_or("", Strength::as_str).to_owned());
    FormValues(form)
}

fn submitted_form(fields: &Fields) -> FormValues {
    let names = PasswordPolicy::default().counts().map(|(field, ..)| field).into_iter().chain(["mode", "strength"]);
    FormValues(names.map(|name| (name, fields.get(name).unwrap_or_default().trim().to_owned())).collect())
}

/// The policy that was typed.
fn parse_policy(form: &FormValues) -> Result<PasswordPolicy, FieldErrors> {
    let mut errors = FieldErrors::default();
    let mut number = |field: &str| match form.of(field) {
        "" => None,
        text => {
            let number = text.parse().ok();
            if number.is_none() {
                errors.push(field, format!("{text} is not a number"));
            }
            number
        }
    };
    let policy = PasswordPolicy {
        min_length: number("min_length"),
        capital_letters: number("capital_letters"),
        lowercase_letters: number("lowercase_letters"),
        digits: number("digits"),
        special_characters: number("special_characters"),
        not_used_since: number("not_used_since"),
        strength: Strength::parse(form.of("strength")),
    };
    policy.problems().into_iter().for_each(|(field, text)| errors.push(field, text));
    if errors.is_empty() { Ok(policy) } else { Err(errors) }
}

async fn page(
    console: &Console,
    staff: &Staff,
    status: StatusCode,
    biller: &Biller,
    (form, done, errors): (FormValues, Option<&'static str>, FieldErrors),
) -> Result<Response, HttpError> {
    let (kept, load_error) = match console.app.provisioning.remote_settings(biller).await {
        Ok(kept) => (kept, None),
        Err(ProvisioningError::Directory(error)) => return Err(error.into()),
        Err(error) => (Vec::new(), Some(format!("Cannot load the SecureAuth settings: {error}."))),
    };
    let has_passwords = form.of("mode") != CiamMode::Sso.as_str() && !kept.is_empty();
    let numbers = PasswordPolicy::default().counts().map(|(field, label, _)| (field, label)).to_vec();
    let strengths = Strength::ALL.map(|strength| {
        let word = strength.as_str();
        (word, word.replace('_', " "), word == form.of("strength"))
    });
    respond::page(console, Some(staff), status, |chrome| SecureauthPage {
        chrome,
        slug: biller.slug.to_string(),
        name: biller.name.clone(),
        has_drift: kept.iter().any(|line| !line.is_in_sync()),
        lines: kept
            .into_iter()
            .map(|line| {
                let is_in_sync = line.is_in_sync();
                (line.name, line.expected, line.actual, is_in_sync)
            })
            .collect(),
        load_error,
        has_passwords,
        strengths: strengths.to_vec(),
        form,
        numbers,
        done,
        errors,
        can_operate: staff.can_operate(),
    })
}
