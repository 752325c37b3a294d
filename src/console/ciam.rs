//! Product > CIAM: enable, suspend and resume a biller. Each has a confirmation page.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;

use super::pages::CiamPage;
use super::staff::Staff;
use super::{Console, billers, forms, impact, respond};
use crate::directory::{Biller, PasswordCarryOver};
use crate::provisioning::{CONFIRM_MESSAGE, CiamMode, EnablementOptions, ProvisioningError};
use crate::routing::ProposedChange;
use crate::web::HttpError;
use crate::web::fields::Fields;
use signpost_core::decision::CiamState;

const SUSPEND_TEXT: &str = "The biller's people go to the legacy login from the next request on. Its organization at SecureAuth is \
     deactivated; nothing is deleted, and it can be switched on again.";
const RESUME_TEXT: &str = "Its organization at SecureAuth is activated again, and the biller's people go to its own sign-in from the \
     next request on.";

/// `GET /billers/{slug}/ciam`: asks.
pub(super) async fn form(
    State(console): State<Console>,
    staff: Staff,
    Path(slug): Path<String>,
) -> Result<Response, HttpError> {
    let biller = billers::find(&console, &slug).await?;
    page(&console, &staff, StatusCode::OK, &biller, None).await
}

/// `POST /billers/{slug}/ciam`: does what was confirmed, if the biller is still as it was shown.
pub(super) async fn submit(
    State(console): State<Console>,
    staff: Staff,
    Path(slug): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, HttpError> {
    let fields = forms::read(&headers, &body)?;
    let biller = billers::find(&console, &slug).await?;
    let slug = &biller.slug;
    let (action, _) = available_action(&biller);
    if fields.get("action") != Some(action) {
        let error = Some("The biller has changed meanwhile: look at what will happen now.".to_owned());
        return page(&console, &staff, StatusCode::CONFLICT, &biller, error).await;
    }
    let (provisioning, actor) = (&console.app.provisioning, console.actor_context(&staff));
    let done = match action {
        "enable" => {
            provisioning.start(slug, parse_options(&fields), &actor).await.map(|job| format!("/jobs/{}", job.id))
        }
        "suspend" => provisioning.suspend(slug, &actor).await.map(|()| format!("/billers/{slug}?done=suspended")),
        _ => provisioning.resume(slug, &actor).await.map(|()| format!("/billers/{slug}?done=resumed")),
    };
    match done {
        Ok(address) => Ok(Redirect::to(&address).into_response()),
        Err(ProvisioningError::Directory(error)) => Err(error.into()),
        Err(error) => {
            let biller = billers::find(&console, slug.as_str()).await?;
            page(&console, &staff, StatusCode::CONFLICT, &biller, Some(error.to_string())).await
        }
    }
}

/// What is ordered by a form with mode and passwords.
pub(super) fn parse_options(fields: &Fields) -> EnablementOptions {
    let passwords = match fields.get("passwords") {
        Some("reset_required") => PasswordCarryOver::ResetRequired,
        _ => PasswordCarryOver::Imported,
    };
    EnablementOptions { mode: fields.get("mode").and_then(CiamMode::parse).unwrap_or_default(), passwords }
}

/// What can be done about the biller as it is.
fn available_action(biller: &Biller) -> (&'static str, &'static str) {
    match biller.state {
        CiamState::Legacy | CiamState::Enabling => ("enable", CONFIRM_MESSAGE),
        CiamState::Active => ("suspend", SUSPEND_TEXT),
        CiamState::Suspended => ("resume", RESUME_TEXT),
    }
}

async fn page(
    console: &Console,
    staff: &Staff,
    status: StatusCode,
    biller: &Biller,
    error: Option<String>,
) -> Result<Response, HttpError> {
    let (action, text) = available_action(biller);
    let state = if action == "suspend" { CiamState::Suspended } else { CiamState::Active };
    let change = ProposedChange { state: Some(state), rollout: None };
    let refresh_url = format!("/billers/{}/ciam", biller.slug);
    let impact = impact::preview(console, staff, biller, change, refresh_url).await?;
    let (slug, name) = (biller.slug.to_string(), biller.name.clone());
    respond::page(console, Some(staff), status, |chrome| CiamPage { chrome, slug, name, action, text, impact, error })
}
