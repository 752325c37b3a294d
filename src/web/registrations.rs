//! A biller's registration at its issuer, made from its record.

use futures_util::StreamExt;
use secrecy::SecretString;

use super::paths;
use crate::directory::{Biller, OidcSettings, TokenAuth};
use crate::kernel::Purpose;
use crate::secureauth::Registration;
use crate::state::AppState;

/// A biller's registration with what binds its users; none when the biller has none, or its secret was sealed under a key
/// that is gone.
pub fn of<'b>(state: &AppState, biller: &'b Biller) -> Option<(Registration, &'b OidcSettings)> {
    let oidc = biller.settings.oidc.as_ref()?;
    let secret: String = state
        .keys
        .open(Purpose::Storage, biller.id.as_str(), &oidc.client_secret)
        .inspect_err(|_| tracing::error!(biller = %biller.slug, "client secret cannot be opened with the present keys"))
        .ok()?;
    let registration = Registration {
        issuer: oidc.issuer.clone(),
        client_id: oidc.client_id.clone(),
        client_secret: SecretString::from(secret),
        secret_in_form: oidc.token_auth == TokenAuth::ClientSecretPost,
        redirect_uri: paths::redirect_uri(&state.config, &biller.slug),
        scopes: oidc.scopes.clone(),
        id_token_algs: oidc.id_token_algs.clone(),
        extra_hosts: oidc.extra_hosts.clone(),
    };
    Some((registration, oidc))
}

/// Asks a biller's issuer for its documents, and writes down how that went.
///
/// # Errors
/// The reason, in a word.
pub async fn probe(state: &AppState, biller: &Biller) -> Result<(), &'static str> {
    let Some((registration, _)) = of(state, biller) else { return Err("no_registration") };
    let answer = state.providers.probe(&registration).await;
    note(state, biller, answer.as_ref().err()).await;
    answer.map_err(|error| error.reason())
}

/// Asks the issuers of all active billers, a few at a time; one that does not answer is asked until it counts as down.
pub async fn probe_all(state: &AppState) {
    let Ok(billers) = state.directory.billers().await else { return };
    let now = state.clock.now();
    let active = billers.iter().filter(|biller| biller.is_active(now)).cloned();
    futures_util::stream::iter(active)
        .for_each_concurrent(8, |biller| async move {
            for _ in 0..crate::directory::FAILURES_TO_OPEN {
                if probe(state, &biller).await.is_ok() {
                    return;
                }
            }
            tracing::warn!(biller = %biller.slug, "issuer does not answer");
        })
        .await;
}

/// Writes down how a call of ours to a biller's issuer went. Trouble in writing is logged and changes nothing else.
pub async fn note(state: &AppState, biller: &Biller, error: Option<&crate::secureauth::ProviderError>) {
    let now = state.clock.now();
    let written = match error {
        Some(error) if error.counts_against_issuer() => {
            state.directory.issuer_failed(&biller.id, error.reason(), now).await
        }
        None if biller.health.failures > 0 || biller.health.is_down => {
            state.directory.issuer_answered(&biller.id, now).await
        }
        _ => Ok(()),
    };
    if let Err(error) = written {
        tracing::warn!(error = %error, "issuer health could not be written");
    }
}
