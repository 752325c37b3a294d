//! Billers' client registrations, and probes of their issuers.

use std::time::Duration;

use futures_util::StreamExt;

use super::paths;
use crate::directory::{Biller, IssuerEndpoint, OidcSettings};
use crate::secureauth::{ProviderError, Registration};
use crate::state::AppState;

/// A biller's client registration and OIDC settings; none if the biller is not registered, or if its secret was sealed under a
/// key that is gone.
pub fn for_biller<'b>(state: &AppState, biller: &'b Biller) -> Option<(Registration, &'b OidcSettings)> {
    let registration = biller.registration(&state.keys, paths::redirect_uri(&state.config, &biller.slug))?;
    Some((registration, biller.settings.oidc.as_ref()?))
}

/// Fetches the metadata and keys of a biller's issuer.
///
/// # Errors
/// The error of the provider, or `None` if the biller is not registered.
pub async fn probe(state: &AppState, biller: &Biller) -> Result<(), Option<ProviderError>> {
    let Some((registration, _)) = for_biller(state, biller) else { return Err(None) };
    state.providers.probe(&registration).await.map_err(Some)
}

/// Probes the issuers of all active billers, a few at a time. One that does not answer is probed until its circuit opens.
pub async fn probe_all(state: &AppState) {
    let Ok(billers) = state.directory.billers().await else { return };
    let now = state.clock.now();
    // `probe_failing` covers those that are down already.
    let active = billers.iter().filter(|biller| biller.is_active(now) && !biller.health.is_down).cloned();
    futures_util::stream::iter(active)
        .for_each_concurrent(8, |biller| async move {
            for _ in 0..crate::directory::FAILURES_TO_OPEN {
                if probe_and_record(state, &biller).await {
                    return;
                }
            }
            tracing::warn!(biller = %biller.slug, "the issuer did not respond");
        })
        .await;
}

/// Probes the issuers of active billers that failed last time. One instance at a time probes an issuer.
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

/// Probes a biller's issuer and records the outcome. Returns whether it succeeded.
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

/// Records a failed call to a biller's issuer, if the issuer is to blame. A database error is logged only.
pub async fn record_issuer_failure(state: &AppState, biller: &Biller, endpoint: IssuerEndpoint, error: &ProviderError) {
    if error.is_issuer_failure() {
        let now = state.clock.now();
        log_write_error(state.directory.record_issuer_failure(biller, endpoint, error.reason(), now).await);
    }
}

/// Records a successful call to a biller's issuer, if it had failed before.
pub async fn record_issuer_success(state: &AppState, biller: &Biller, endpoint: IssuerEndpoint) {
    if biller.health.failures > 0 || biller.health.is_down {
        log_write_error(state.directory.record_issuer_success(biller, endpoint, state.clock.now()).await);
    }
}

fn log_write_error(written: Result<(), crate::directory::DirectoryError>) {
    if let Err(error) = written {
        tracing::warn!(error = %error, "issuer health could not be recorded");
    }
}
