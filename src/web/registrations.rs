//! Billers' client registrations, and probes of their issuers.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use url::{Origin, Url};

use super::paths;
use crate::config::Config;
use crate::db::is_logged;
use crate::directory::{Biller, IssuerEndpoint, OidcSettings};
use crate::secureauth::{ProviderError, Registration};
use crate::state::AppState;
use crate::telemetry::Condition;
use crate::telemetry::traces::NewSpan;
use signpost_core::KeyRing;

/// The pause between probes of an issuer that fails while an instance starts.
const PROBE_PAUSE: Duration = Duration::from_secs(2);

/// How many other issuers are asked when one cannot be reached, and for how long. The customer waits.
const MAX_COMPARED_ISSUERS: usize = 3;
const COMPARISON_TIMEOUT: Duration = Duration::from_secs(1);

/// A biller's client registration and OIDC settings; none if the biller is not registered, or if its secret was sealed under a
/// key that is gone.
pub fn for_biller<'b>(keys: &KeyRing, config: &Config, biller: &'b Biller) -> Option<(Registration, &'b OidcSettings)> {
    let registration = biller.registration(keys, paths::redirect_uri(config, &biller.slug))?;
    Some((registration, biller.settings.oidc.as_ref()?))
}

/// The setup fault of a registered biller whose client secrets no key of the ring opens.
pub const SECRET_UNREADABLE: &str = "client_secret_unreadable";

/// Records that a biller's client secrets cannot be opened. Returns false if the biller is not registered at all.
pub async fn record_unreadable_secret(state: &AppState, biller: &Biller) -> bool {
    if biller.settings.oidc.is_none() {
        return false;
    }
    record_setup_fault(state, biller, SECRET_UNREADABLE).await;
    true
}

/// Fetches the metadata and keys of a biller's issuer.
///
/// # Errors
/// The error of the provider, or `None` if the biller is not registered.
pub async fn probe(state: &AppState, biller: &Biller) -> Result<(), Option<ProviderError>> {
    let Some((registration, _)) = for_biller(&state.keys, &state.config, biller) else { return Err(None) };
    let span = || NewSpan::step("probe issuer").with("signpost.biller", biller.slug.as_str().to_owned());
    state.traces.task(span, state.providers.probe(&registration)).await.map_err(Some)
}

/// Probes the issuers of all active billers, a few at a time. Those that fail are probed again after a pause, until their circuit
/// breakers open. If no issuer can be reached at all, the network of this instance may be down, and nothing is recorded: the
/// circuit breakers belong to all instances.
pub async fn probe_all(state: &AppState) {
    let Ok(billers) = state.directory.billers().await else { return };
    let now = state.clock.now();
    // `probe_failing` covers those that are down already.
    let mut left: Vec<_> =
        billers.iter().filter(|biller| biller.is_active(now) && !biller.health.is_down).cloned().collect();
    let mut is_online = false;
    for round in 0..crate::directory::FAILURES_TO_OPEN {
        if left.is_empty() {
            return;
        }
        if round > 0 {
            let jitter = u64::from(u16::from_be_bytes(state.random.bytes())) % 1000;
            tokio::time::sleep(PROBE_PAUSE + Duration::from_millis(jitter)).await;
        }
        let probes = left.into_iter().map(|biller| async move { (probe(state, &biller).await, biller) });
        let probed: Vec<_> = futures_util::stream::iter(probes).buffer_unordered(8).collect().await;
        is_online |= probed.iter().any(|(outcome, _)| is_answer(outcome));
        left = Vec::new();
        for (outcome, biller) in probed {
            match outcome {
                Ok(()) => record_issuer_success(state, &biller, IssuerEndpoint::Metadata).await,
                Err(Some(error)) => {
                    if is_online {
                        record_failure(state, &biller, IssuerEndpoint::Metadata, &error).await;
                    }
                    left.push(biller);
                }
                Err(None) => {}
            }
        }
    }
    for biller in &left {
        tracing::warn!(biller = %biller.slug, "the issuer did not respond");
    }
    if !is_online && !left.is_empty() {
        state.reachability.record_isolation();
    }
}

fn is_answer(outcome: &Result<(), Option<ProviderError>>) -> bool {
    match outcome {
        Ok(()) => true,
        Err(error) => error.as_ref().is_some_and(|error| !error.is_unreachable()),
    }
}

/// Whether this instance reaches an issuer on another host, so that the one it does not reach is to blame. `None`: there is no
/// other host.
async fn reaches_another_issuer(state: &AppState, failing: &Biller) -> Option<bool> {
    let billers = state.directory.billers_or_last_known().await;
    let now = state.clock.now();
    let mut origins: HashSet<_> = issuer_origin(failing).into_iter().collect();
    let others: Vec<_> = billers
        .iter()
        .filter(|biller| biller.is_active(now) && !biller.health.is_down)
        .filter(|biller| issuer_origin(biller).is_some_and(|origin| origins.insert(origin)))
        .filter_map(|biller| for_biller(&state.keys, &state.config, biller))
        .take(MAX_COMPARED_ISSUERS)
        .collect();
    if others.is_empty() {
        return None;
    }
    let mut probes: FuturesUnordered<_> =
        others.iter().map(|(registration, _)| state.providers.probe_discovery(registration)).collect();
    let answered = async {
        while let Some(outcome) = probes.next().await {
            if !outcome.is_err_and(|error| error.is_unreachable()) {
                return true;
            }
        }
        false
    };
    Some(tokio::time::timeout(COMPARISON_TIMEOUT, answered).await.unwrap_or(false))
}

fn issuer_origin(biller: &Biller) -> Option<Origin> {
    Some(Url::parse(&biller.settings.oidc.as_ref()?.issuer).ok()?.origin())
}

/// Probes the issuers of active billers that failed last time. One instance at a time probes an issuer.
pub async fn probe_failing(state: &AppState) {
    let Ok(billers) = state.directory.billers().await else { return };
    let now = state.clock.now();
    let until = now.plus(Duration::from_secs(state.config.oidc.probe_seconds));
    let failing = billers.iter().filter(|biller| biller.health.failures > 0 && biller.is_active(now)).cloned();
    futures_util::stream::iter(failing)
        .for_each_concurrent(8, |biller| async move {
            // A failure of this instance does not count then: the turn is left to another one.
            if state.reachability.is_isolated() {
                probe_and_record(state, &biller).await;
                return;
            }
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

/// Records that every sign-in at a biller fails because it is set up wrong. A database error is logged only.
pub async fn record_setup_fault(state: &AppState, biller: &Biller, fault: &str) {
    if biller.health.fault.as_deref() != Some(fault) {
        log_write_error(state.directory.record_setup_fault(biller, fault, state.clock.now()).await);
    }
}

/// Records that a sign-in at a biller met no setup fault, if one was recorded before.
pub async fn clear_setup_fault(state: &AppState, biller: &Biller) {
    if biller.health.fault.is_some() {
        log_write_error(state.directory.clear_setup_fault(biller).await);
    }
}

/// Records a failed call to a biller's issuer, if the issuer is to blame, or the setup fault that it shows. The circuit breakers
/// belong to all instances: one that reaches no issuer at all does not open them. A database error is logged only.
pub async fn record_issuer_failure(state: &AppState, biller: &Biller, endpoint: IssuerEndpoint, error: &ProviderError) {
    if !error.is_unreachable() {
        state.reachability.record_response();
        record_failure(state, biller, endpoint, error).await;
        return;
    }
    match reaches_another_issuer(state, biller).await {
        Some(true) => state.reachability.record_response(),
        Some(false) => return state.reachability.record_isolation(),
        None if state.reachability.is_isolated() => return,
        None => {}
    }
    let earlier = state.reachability.failures(&biller.id);
    let Some(failures) = record_failure(state, biller, endpoint, error).await else { return };
    state.reachability.record_failure(&biller.id);
    // Another instance has had a success meanwhile, which resets the count.
    if failures <= earlier {
        state.reachability.record_isolation();
    }
}

/// Returns how many failures in a row all instances have recorded.
async fn record_failure(
    state: &AppState,
    biller: &Biller,
    endpoint: IssuerEndpoint,
    error: &ProviderError,
) -> Option<i64> {
    if let Some(fault) = error.setup_fault() {
        record_setup_fault(state, biller, fault).await;
    }
    if !error.is_issuer_failure() {
        return None;
    }
    let now = state.clock.now();
    match state.directory.record_issuer_failure(biller, endpoint, error.reason(), now).await {
        Ok(failures) => {
            log_write_error(Ok(()));
            Some(failures)
        }
        Err(error) => {
            log_write_error(Err(error));
            None
        }
    }
}

/// Records a successful call to a biller's issuer, if it had failed before.
pub async fn record_issuer_success(state: &AppState, biller: &Biller, endpoint: IssuerEndpoint) {
    state.reachability.record_response();
    if biller.health.failures > 0 || biller.health.is_down {
        log_write_error(state.directory.record_issuer_success(biller, endpoint, state.clock.now()).await);
    }
}

fn log_write_error(written: Result<(), crate::directory::DirectoryError>) {
    static UNWRITTEN: Condition = Condition::new();
    match written {
        Ok(()) => {
            if let Some(lasted) = UNWRITTEN.ends() {
                tracing::info!(seconds = lasted.as_secs(), "issuer health is recorded again");
            }
        }
        Err(error) if is_logged(&error) || !UNWRITTEN.begins() => {}
        Err(error) => tracing::warn!(error = %error, "issuer health could not be recorded"),
    }
}
