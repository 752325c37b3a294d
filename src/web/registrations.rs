//! A biller's registration at its issuer, made from its record.

use futures_util::StreamExt;
use secrecy::SecretString;

use super::paths;
use crate::directory::{Biller, Call, OidcSettings, TokenAuth};
use crate::kernel::Purpose;
use crate::secureauth::{ClientAuth, ProviderError, Registration};
use crate::state::AppState;

/// A biller's registration with what binds its users; none when the biller has none, or its secret was sealed under a key
/// that is gone.
pub fn of<'b>(state: &AppState, biller: &'b Biller) -> Option<(Registration, &'b OidcSettings)> {
    let oidc = biller.settings.oidc.as_ref()?;
    let open = |sealed: &String| state.keys.open::<String>(Purpose::Storage, biller.id.as_str(), sealed);
    let secrets = [&oidc.client_secret, &oidc.second_client_secret]
        .into_iter()
        .flatten()
        .filter_map(|sealed| open(sealed).map(SecretString::from).ok());
    let auth: Vec<ClientAuth> = match oidc.token_auth {
        TokenAuth::ClientSecretBasic => secrets.map(ClientAuth::Basic).collect(),
        TokenAuth::ClientSecretPost => secrets.map(ClientAuth::Post).collect(),
        TokenAuth::PrivateKeyJwt => vec![ClientAuth::PrivateKey(state.keys.signing_key())],
    };
    if auth.is_empty() {
        tracing::error!(biller = %biller.slug, "no client secret can be opened with the present keys");
        return None;
    }
    let registration = Registration {
        issuer: oidc.issuer.clone(),
        client_id: oidc.client_id.clone(),
        auth,
        redirect_uri: paths::redirect_uri(&state.config, &biller.slug),
        scopes: oidc.scopes.clone(),
        id_token_algs: oidc.id_token_algs.clone(),
        extra_hosts: oidc.extra_hosts.clone(),
        wishes: oidc.wishes.clone(),
    };
    Some((registration, oidc))
}

/// Asks a biller's issuer for its documents.
///
/// # Errors
/// What went wrong; no registration is `None`.
pub async fn probe(state: &AppState, biller: &Biller) -> Result<(), Option<ProviderError>> {
    let Some((registration, _)) = of(state, biller) else { return Err(None) };
    state.providers.probe(&registration).await.map_err(Some)
}

/// Asks the issuers of all active billers, a few at a time; one that does not answer is asked until it counts as down.
pub async fn probe_all(state: &AppState) {
    let Ok(billers) = state.directory.billers().await else { return };
    let now = state.clock.now();
    let active = billers.iter().filter(|biller| biller.is_active(now)).cloned();
    futures_util::stream::iter(active)
        .for_each_concurrent(8, |biller| async move {
            for _ in 0..crate::directory::FAILURES_TO_OPEN {
                if probe_and_note(state, &biller).await {
                    return;
                }
            }
            tracing::warn!(biller = %biller.slug, "issuer does not answer");
        })
        .await;
}

/// Asks a biller's issuer and writes down how that went; answers whether it is well.
pub async fn probe_and_note(state: &AppState, biller: &Biller) -> bool {
    match probe(state, biller).await {
        Ok(()) => note_answer(state, biller, Call::Documents).await,
        Err(Some(error)) => {
            note_failure(state, biller, Call::Documents, &error).await;
            return false;
        }
        Err(None) => return false,
    }
    true
}

/// Writes down that a call of ours to a biller's issuer failed, if that counts against it. Trouble in writing is logged and
/// changes nothing else.
pub async fn note_failure(state: &AppState, biller: &Biller, call: Call, error: &ProviderError) {
    if error.counts_against_issuer() {
        let now = state.clock.now();
        log_trouble(state.directory.issuer_failed(biller, call, error.reason(), now).await);
    }
}

/// Writes down that a biller's issuer answered, if there was anything against it.
pub async fn note_answer(state: &AppState, biller: &Biller, call: Call) {
    if biller.health.failures > 0 || biller.health.is_down {
        log_trouble(state.directory.issuer_answered(biller, call, state.clock.now()).await);
    }
}

fn log_trouble(written: Result<(), crate::directory::DirectoryError>) {
    if let Err(error) = written {
        tracing::warn!(error = %error, "issuer health could not be written");
    }
}
