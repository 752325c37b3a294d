//! `POST /backchannel-logout/{slug}`: an issuer reports that a user signed out there (OpenID Connect Back-Channel Logout 1.0,
//! section 2.5).

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRef, State};
use http::{HeaderMap, StatusCode, header};

use super::problem::{not_found, problem};
use crate::config::Config;
use crate::directory::Directory;
use crate::handoffs::{ConsumedTokens, TokenKind};
use crate::secureauth::Providers;
use crate::sessions::{BillerSessions, SessionFilter};
use crate::state::AppState;
use crate::web::extract::BillerPath;
use crate::web::fields::Fields;
use crate::web::{HttpError, registrations};
use signpost_core::KeyRing;
use signpost_core::text::sha256;

/// What the handler uses.
#[derive(Clone)]
pub(super) struct LogoutServices {
    config: Arc<Config>,
    keys: KeyRing,
    directory: Directory,
    providers: Providers,
    biller_sessions: BillerSessions,
    consumed_tokens: ConsumedTokens,
}

impl FromRef<AppState> for LogoutServices {
    fn from_ref(state: &AppState) -> Self {
        Self {
            config: Arc::clone(&state.config),
            keys: state.keys.clone(),
            directory: state.directory.clone(),
            providers: state.providers.clone(),
            biller_sessions: state.biller_sessions.clone(),
            consumed_tokens: state.consumed_tokens(),
        }
    }
}

/// Ends the sessions that the logout token names. Answers 400 to a token that is used, altered, expired or another client's.
pub(super) async fn receive(
    State(services): State<LogoutServices>,
    BillerPath(slug): BillerPath,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, HttpError> {
    let reject = |reason: &'static str| problem(StatusCode::BAD_REQUEST, reason, "The logout token was rejected.");
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !media.starts_with("application/x-www-form-urlencoded") {
        return Err(reject("unsupported_media_type"));
    }
    let fields = Fields::parse(&body).map_err(|_| reject("malformed_request"))?;
    let token = fields.get("logout_token").ok_or_else(|| reject("logout_token_missing"))?;
    let billers = services.directory.billers().await?;
    let biller = billers.by_slug(&slug).cloned().ok_or_else(not_found)?;
    let (registration, _) = registrations::for_biller(&services.keys, &services.config, &biller)
        .ok_or_else(|| reject("client_not_registered"))?;
    let read = services.providers.logout_token(&registration, token).await.map_err(|error| {
        // Nothing is known about the token.
        if error.allows_cached_documents() {
            tracing::warn!(biller = %biller.slug, reason = error.reason(), "a logout token could not be checked");
            let detail = "The keys of the identity provider cannot be read now. Send the token again.";
            return HttpError { retry_after: 5, ..problem(StatusCode::SERVICE_UNAVAILABLE, error.reason(), detail) };
        }
        tracing::warn!(biller = %biller.slug, reason = error.reason(), "a logout token was rejected");
        reject(error.reason())
    })?;
    let issuer = registration.issuer.as_str();
    let filter = match (&read.sid, &read.subject) {
        (Some(sid), subject) => SessionFilter::Sid { issuer, sid, subject: subject.as_deref() },
        (None, Some(subject)) => SessionFilter::Subject { issuer, subject },
        (None, None) => return Err(reject("subject_missing")),
    };
    let id = sha256(format!("{}\n{}", biller.id, read.id).as_bytes());
    let consumed = &services.consumed_tokens;
    if consumed.contains(TokenKind::Logout, &id).await? {
        return Err(reject("already_used"));
    }
    // Consumed last: after a crash in between, the issuer sends the token again, and ending sessions twice is harmless.
    let ended = services.biller_sessions.end(&biller.id, filter).await?;
    consumed.consume(TokenKind::Logout, &id).await?;
    tracing::info!(biller = %biller.slug, ended, "the issuer ended sessions");
    Ok(StatusCode::OK)
}
