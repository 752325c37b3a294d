//! `POST /api/v1/billers/{slug}/login-url/email`: mails the login URL to the biller's contact.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::find_biller;
use super::auth::ApiKeyFor;
use super::json::JsonBody;
use super::problem::problem;
use crate::access::{Scope, scope};
use crate::directory::Directory;
use crate::mail::{LoginAddressError, Mail};
use crate::web::extract::BillerPath;
use crate::web::{HttpError, paths};
use signpost_core::{Locale, Slug};

/// Options of the mail.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginUrlEmail {
    /// The language of the mail. Default: English.
    #[serde(default)]
    locale: Locale,
}

/// A queued mail.
#[derive(Serialize, ToSchema)]
pub(super) struct QueuedEmail {
    /// The address that the mail goes to.
    recipient: String,
}

/// Email the login URL
///
/// Tells the biller's contact where its customers sign in after the migration.
#[utoipa::path(
    post, path = paths::LOGIN_URL_EMAIL, operation_id = "emailLoginUrl", tag = "Billers",
    params(("slug" = Slug, Path)),
    request_body(content = LoginUrlEmail, example = json!({ "locale": "en" })),
    security(("key" = [Scope::BillersWrite.as_str()])),
    responses(
        (status = 202, description = "The mail is queued.", body = QueuedEmail),
        (status = 409, description = "`mail_not_configured`: mail is not configured.\n`invalid_state`: the biller is not migrated.\n\
            `contact_email_missing`: the biller has no contact address."),
    ),
)]
pub(super) async fn email(
    key: ApiKeyFor<scope::BillersWrite>,
    State(directory): State<Directory>,
    State(mail): State<Mail>,
    BillerPath(slug): BillerPath,
    JsonBody(LoginUrlEmail { locale }): JsonBody<LoginUrlEmail>,
) -> Result<(StatusCode, Json<QueuedEmail>), HttpError> {
    let biller = find_biller(&directory, &key, &slug).await?;
    let recipient = mail.send_login_address(&biller, locale, key.actor_context()).await.map_err(http_error)?;
    tracing::info!(biller = %slug, key = key.id, "queued a mail with the login URL");
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
