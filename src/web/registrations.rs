//! A biller's registration at its issuer, made from its record.

use std::time::Duration;

use futures_util::StreamExt;

use super::paths;
use crate::directory::{Biller, IssuerEndpoint, OidcSettings};
use crate::secureauth::{ProviderError, Registration};
use crate::state::AppState;

/// A biller's registration with what binds its users; none when the biller has none, or its secret was sealed under a key
/// that is gone.
pub fn for_biller<'b>(state: &AppState, biller: &'b Biller) -> Option<(Registration, &'b OidcSettings)> {
    let registration = biller.registration(&state.keys, paths::redirect_uri(&state.config, &biller.slug))?;
    Some((registration, biller.settings.oidc.as_ref()?))
}

/// Asks a biller's issuer for its documents.
///
/// # Errors
/// What went wrong; no registration is `None`.
pub async fn probe(state: &AppState, biller: &Biller) -> Result<(), Option<ProviderError>> {
    let Some((registration, _)) = for_biller(state, biller) else { return Err(None) };
    state.providers.probe(&registration).await.map_err(Some)
}

/// Asks the issuers of all active billers, a few at a time; one that does not answer is asked until it counts as down.
pub async fn probe_all(state: &AppState) {
    let Ok(billers) = state.directory.billers().await else { return };
    let now = state.clock.now();
    // Those that are down already are looked after by `probe_failing`.
    let active = billers.iter().filter(|biller| biller.is_active(now) && !biller.health.is_down).cloned();
    futures_util::stream::iter(active)
        .for_each_concurrent(8, |biller| async move {
            for _ in 0..crate::directory::FAILURES_TO_OPEN {
                if probe_and_record(state, &biller).await {
                    return;
                }
            }
            tracing::warn!(biller = %biller.slug, "issuer does not answer");
        })
        .await;
}

/// Asks those issuers of active billers that failed lately, each by one instance at a time.
pub async fn probe_failing(state: &AppState) {
    let Ok(billers) = state.directory.billers().await else { return };
    let now = state.clock.now();
    let until = now.plus(Duration::from_secs(state.config.oidc.probe_seconds));
    let failing = billers.iter().filter(|biller| biller.health.failures > 0 && biller.is_active(now)).cloned();
    futures_util::stream::iter(failing)
        .for_each_concurrent(8, |biller| async move {
            match state.directory.claim_probe(&biller, now, until).await {
                Ok(true) => drop(probe_and_record(state, &biller).await),
                Ok(false) => {}
                Err(error) => log_write_error(Err(error)),
            }
        })
        .await;
}

/// Asks a biller's issuer and writes down how that went; answers whether it is well.
pub async fn probe_and_record(state: &AppState, biller: &Biller) -> bool {
    match probe(state, biller).await {
        Ok(()) => record_issuer_success(state, biller, IssuerEndpoint::Metadata).await,
        Err(Some(error)) => {
            record_issuer_failure(state, biller, IssuerEndpoint::Metadata, &error).await;
            return false;
        }
        Err(None) => return false,
    }
    true
}

/// Writes down that a call of ours to a biller's issuer failed, if that counts against it. Trouble in writing is logged and
/// changes nothing else.
pub async fn record_issuer_failure(state: &AppState, biller: &Biller, endpoint: IssuerEndpoint, error: &ProviderError) {
    if error.is_issuer_failure() {
        let now = state.clock.now();
        log_write_error(state.directory.record_issuer_failure(biller, endpoint, error.reason(), now).await);
    }
}

/// Writes down that a biller's issuer answered, if there was anything against it.
pub async fn record_issuer_success(state: &AppState, biller: &Biller, endpoint: IssuerEndpoint) {
    if biller.health.failures > 0 || biller.health.is_down {
        log_write_error(state.directory.record_issuer_success(biller, endpoint, state.clock.now()).await);
    }
}

fn log_write_error(written: Result<(), crate::directory::DirectoryError>) {
    if let Err(error) = written {
        tracing::warn!(error = %error, "issuer health could not be written");
    }
}
