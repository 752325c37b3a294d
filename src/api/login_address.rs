//! `POST /api/v1/billers/{slug}/login-address/mail`: the biller's contact is told where its people sign in from now on.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::require;
use super::jobs::unknown;
use super::json::read_json;
use super::problem::problem;
use crate::access::Scope;
use crate::mail::TellError;
use crate::state::AppState;
use crate::web::{Refusal, paths};
use signpost_core::{Locale, Slug};

/// How the mail is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginAddressMail {
    /// Its language; English unless told.
    #[serde(default)]
    locale: Locale,
}

/// A mail that is on its way.
#[derive(Serialize, ToSchema)]
pub(super) struct MailSent {
    /// Where it goes.
    sent_to: String,
}

/// Mail the login address
///
/// The biller's contact is told where its people sign in from now on.
#[utoipa::path(
    post, path = paths::LOGIN_ADDRESS_MAIL, operation_id = "mailLoginAddress", tag = "Billers",
    params(("slug" = Slug, Path)),
    request_body(content = LoginAddressMail, example = json!({ "locale": "en" })),
    security(("key" = [Scope::BillersWrite.as_str()])),
    responses(
        (status = 202, description = "It is in the queue.", body = MailSent),
        (status = 409, description = "`no_mail`: mail is not set up.\n`wrong_state`: the biller was not moved.\n\
            `no_contact`: it has no mail address to write to."),
    ),
)]
pub(super) async fn mail(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<MailSent>), Refusal> {
    let key = require(&state, &headers, Scope::BillersWrite).await?;
    let LoginAddressMail { locale } = read_json(&headers, &body)?;
    let slug = Slug::parse(&slug).ok().filter(|slug| key.reaches(slug)).ok_or_else(unknown)?;
    let biller = state.directory.named(&slug).await?.ok_or_else(unknown)?;
    let sent_to = state.mail.tell_login_address(&biller, locale, &state.by(key.actor())).await.map_err(refused)?;
    tracing::info!(biller = %slug, key = key.id, "a biller's contact is mailed its login address");
    Ok((StatusCode::ACCEPTED, Json(MailSent { sent_to })))
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
