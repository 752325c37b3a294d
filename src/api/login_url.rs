//! `POST /api/v1/billers/{slug}/login-url/email`: the biller's contact is told where its people sign in from now on.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::require;
use super::jobs::not_found;
use super::json::read_json;
use super::problem::problem;
use crate::access::Scope;
use crate::mail::LoginAddressError;
use crate::state::AppState;
use crate::web::{HttpError, paths};
use signpost_core::{Locale, Slug};

/// How the mail is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginUrlEmail {
    /// Its language; English unless told.
    #[serde(default)]
    locale: Locale,
}

/// A mail that is on its way.
#[derive(Serialize, ToSchema)]
pub(super) struct QueuedEmail {
    /// Where it goes.
    recipient: String,
}

/// Mail the login address
///
/// The biller's contact is told where its people sign in from now on.
#[utoipa::path(
    post, path = paths::LOGIN_URL_EMAIL, operation_id = "emailLoginUrl", tag = "Billers",
    params(("slug" = Slug, Path)),
    request_body(content = LoginUrlEmail, example = json!({ "locale": "en" })),
    security(("key" = [Scope::BillersWrite.as_str()])),
    responses(
        (status = 202, description = "It is in the queue.", body = QueuedEmail),
        (status = 409, description = "`mail_not_configured`: mail is not set up.\n`invalid_state`: the biller was not moved.\n\
            `contact_email_missing`: it has no mail address to write to."),
    ),
)]
pub(super) async fn email(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<QueuedEmail>), HttpError> {
    let key = require(&state, &headers, Scope::BillersWrite).await?;
    let LoginUrlEmail { locale } = read_json(&headers, &body)?;
    let slug = Slug::parse(&slug).ok().filter(|slug| key.permits_biller(slug)).ok_or_else(not_found)?;
    let biller = state.directory.biller_by_slug(&slug).await?.ok_or_else(not_found)?;
    let recipient =
        state.mail.send_login_address(&biller, locale, &state.actor_context(key.actor())).await.map_err(http_error)?;
    tracing::info!(biller = %slug, key = key.id, "a biller's contact is mailed its login address");
    Ok((StatusCode::ACCEPTED, Json(QueuedEmail { recipient })))
}

fn http_error(error: LoginAddressError) -> HttpError {
    let code = match error {
        LoginAddressError::Db(error) => return error.into(),
        LoginAddressError::MailDisabled => "mail_not_configured",
        LoginAddressError::NotActive { .. } => "invalid_state",
        LoginAddressError::NoContact(_) => "contact_email_missing",
    };
    problem(StatusCode::CONFLICT, code, &error.to_string())
}
