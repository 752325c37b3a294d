//! `POST /api/v1/billers/{slug}/login-address/mail`: the biller's contact is told where its people sign in from now on.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::require;
use super::jobs::unknown;
use super::problem::{problem, read_json};
use crate::access::Scope;
use crate::kernel::{Locale, Slug};
use crate::mail::TellError;
use crate::state::AppState;
use crate::web::Refusal;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    /// The mail's language.
    #[serde(default)]
    locale: Locale,
}

/// 202: the mail is in the queue.
pub(super) async fn mail(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let key = require(&state, &headers, Scope::BillersWrite).await?;
    let Request { locale } = read_json(&headers, &body)?;
    let slug = Slug::parse(&slug).ok().filter(|slug| key.reaches(slug)).ok_or_else(unknown)?;
    let biller = state.directory.named(&slug).await?.ok_or_else(unknown)?;
    let to = state.mail.tell_login_address(&biller, locale, &state.by(key.actor())).await.map_err(refused)?;
    tracing::info!(biller = %slug, key = key.id, "a biller's contact is mailed its login address");
    Ok((StatusCode::ACCEPTED, Json(json!({ "sent_to": to }))))
}

fn refused(error: TellError) -> Refusal {
    let code = match error {
        TellError::Db(error) => return error.into(),
        TellError::Off => "no_mail",
        TellError::NotMoved { .. } => "wrong_state",
        TellError::NoContact(_) => "no_contact",
    };
    problem(StatusCode::CONFLICT, code, &error.to_string())
}
