//! Product > CIAM: moving a biller, and switching it off and on. Each is asked for on a page of its own before it is done.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;

use super::pages::CiamPage;
use super::staff::Staff;
use super::{Console, billers, forms, impact, show};
use crate::directory::{Biller, PasswordCarryOver};
use crate::enablement::{CONFIRM, CiamMode, EnableError, Order};
use crate::routing::Change;
use crate::web::Refusal;
use crate::web::fields::Fields;
use signpost_core::decision::CiamState;

const OFF: &str = "The biller's people go to the legacy login from the next request on. Its organization at SecureAuth is \
     deactivated; nothing is deleted, and it can be switched on again.";
const ON: &str = "Its organization at SecureAuth is activated again, and the biller's people go to its own sign-in from the \
     next request on.";

/// `GET /billers/{slug}/ciam`: asks.
pub(super) async fn ask(
    State(console): State<Console>,
    staff: Staff,
    Path(slug): Path<String>,
) -> Result<Response, Refusal> {
    let biller = billers::named(&console, &slug).await?;
    page(&console, &staff, StatusCode::OK, &biller, None).await
}

/// `POST /billers/{slug}/ciam`: does what was confirmed, if the biller is still as it was shown.
pub(super) async fn confirm(
    State(console): State<Console>,
    staff: Staff,
    Path(slug): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let fields = forms::read(&headers, &body)?;
    let biller = billers::named(&console, &slug).await?;
    let slug = &biller.slug;
    let (what, _) = offer(&biller);
    if fields.get("what") != Some(what) {
        let error = Some("The biller has changed meanwhile: look at what will happen now.".to_owned());
        return page(&console, &staff, StatusCode::CONFLICT, &biller, error).await;
    }
    let (enablement, by) = (&console.app.enablement, console.by(&staff));
    let done = match what {
        "enable" => enablement.start(slug, order(&fields), &by).await.map(|job| format!("/jobs/{}", job.id)),
        "suspend" => enablement.suspend(slug, &by).await.map(|()| format!("/billers/{slug}?done=suspended")),
        _ => enablement.resume(slug, &by).await.map(|()| format!("/billers/{slug}?done=resumed")),
    };
    match done {
        Ok(address) => Ok(Redirect::to(&address).into_response()),
        Err(EnableError::Directory(error)) => Err(error.into()),
        Err(error) => {
            let biller = billers::named(&console, slug.as_str()).await?;
            page(&console, &staff, StatusCode::CONFLICT, &biller, Some(error.to_string())).await
        }
    }
}

/// What is ordered by a form with mode and passwords.
pub(super) fn order(fields: &Fields) -> Order {
    let passwords = match fields.get("passwords") {
        Some("reset_required") => PasswordCarryOver::ResetRequired,
        _ => PasswordCarryOver::Imported,
    };
    Order { mode: fields.get("mode").and_then(CiamMode::parse).unwrap_or_default(), passwords }
}

/// What is wrong with moving a biller, where no form shows it.
pub(super) fn refused(error: EnableError) -> Refusal {
    let status = match error {
        EnableError::Directory(error) => return error.into(),
        EnableError::NoSuchBiller(_) => StatusCode::NOT_FOUND,
        EnableError::Call(_) => StatusCode::BAD_GATEWAY,
        _ => StatusCode::CONFLICT,
    };
    let mut refusal = Refusal::from_status(status);
    refusal.detail = Some(error.to_string());
    refusal
}

/// What can be done about the biller as it is.
fn offer(biller: &Biller) -> (&'static str, &'static str) {
    match biller.state {
        CiamState::Legacy | CiamState::Enabling => ("enable", CONFIRM),
        CiamState::Active => ("suspend", OFF),
        CiamState::Suspended => ("resume", ON),
    }
}

async fn page(
    console: &Console,
    staff: &Staff,
    status: StatusCode,
    biller: &Biller,
    error: Option<String>,
) -> Result<Response, Refusal> {
    let (what, text) = offer(biller);
    let state = if what == "suspend" { CiamState::Suspended } else { CiamState::Active };
    let change = Change { state: Some(state), rollout: None };
    let again = format!("/billers/{}/ciam", biller.slug);
    let impact = impact::preview(console, staff, biller, change, again).await?;
    let (slug, name) = (biller.slug.to_string(), biller.name.clone());
    show::page(console, Some(staff), status, |chrome| CiamPage { chrome, slug, name, what, text, impact, error })
}
