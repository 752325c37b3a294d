//! Product > CIAM: enable, suspend and resume a biller. Each has a confirmation page.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;

use super::extract::{Operator, PathBiller, find_biller};
use super::pages::CiamPage;
use super::staff::Staff;
use super::{Console, impact, respond};
use crate::directory::{Biller, PasswordCarryOver};
use crate::provisioning::{CONFIRM_MESSAGE, CiamMode, EnablementOptions, ProvisioningError};
use crate::routing::ProposedChange;
use crate::web::HttpError;
use crate::web::extract::Form;
use crate::web::fields::Fields;
use signpost_core::decision::CiamState;

const SUSPEND_TEXT: &str = "Users of this biller will sign in at the legacy login. Its SecureAuth organization will be deactivated. \
     Nothing is deleted, and you can resume the biller later.";
const RESUME_TEXT: &str =
    "The SecureAuth organization will be reactivated, and users of this biller will sign in there again.";

/// `GET /billers/{slug}/ciam`: asks.
pub(super) async fn form(
    State(console): State<Console>,
    Operator(staff): Operator,
    PathBiller(biller): PathBiller,
) -> Result<Response, HttpError> {
    page(&console, &staff, StatusCode::OK, &biller, None).await
}

/// `POST /billers/{slug}/ciam`: does what was confirmed, if the biller is still as it was shown.
pub(super) async fn submit(
    State(console): State<Console>,
    Operator(staff): Operator,
    PathBiller(biller): PathBiller,
    Form(fields): Form,
) -> Result<Response, HttpError> {
    let slug = &biller.slug;
    let (action, _) = available_action(&biller);
    if fields.get("action") != Some(action) {
        let error =
            Some("The biller has changed since you opened this page. Review the action and try again.".to_owned());
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
            let biller = find_biller(&console, slug).await?;
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

/// The action that the state of the biller allows.
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
