//! `/livez` and `/readyz`.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use crate::state::AppState;

/// Probes usually have a timeout of a few seconds.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(2);

/// Whether this instance can serve customers, by what it depends on.
#[derive(Serialize)]
pub(super) struct Readiness {
    status: &'static str,
    database: DatabaseCheck,
    key_ring: KeyRingCheck,
    /// For information: a biller whose identity provider is down does not make the instance unready. Null: unknown.
    issuers: Option<Vec<IssuerCheck>>,
    /// Why the kill switch file cannot be understood. It counts as `routing.invalid_kill_switch_file` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    kill_switch_file_error: Option<String>,
    shutting_down: bool,
}

#[derive(Serialize)]
struct DatabaseCheck {
    /// `up`, `down`, or `read_only`: sign-ins cannot be completed.
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema_version: Option<i64>,
    /// The schema that this program was built for.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_schema_version: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct KeyRingCheck {
    /// `stale`: the files cannot be read now, and the keys loaded before stay in use. A restart would fail.
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct IssuerCheck {
    biller: String,
    /// `down`: its circuit breaker is open.
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    setup_fault: Option<String>,
}

/// `GET /livez`: the process answers.
pub(super) async fn livez() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: 503 while the database is away or refuses writes, and after a shutdown has begun.
pub(super) async fn readyz(State(state): State<AppState>) -> (StatusCode, Json<Readiness>) {
    let database = database(&state).await;
    let is_up = database.error.is_none();
    let shutting_down = state.stopping.is_cancelled();
    let is_ready = is_up && !shutting_down;
    let readiness = Readiness {
        status: if is_ready { "ready" } else { "unready" },
        database,
        key_ring: key_ring(&state),
        issuers: if is_up { issuers(&state).await } else { None },
        kill_switch_file_error: state.routing.kill_switch.file_problem(),
        shutting_down,
    };
    (if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(readiness))
}

async fn database(state: &AppState) -> DatabaseCheck {
    let read = tokio::time::timeout(DATABASE_TIMEOUT, state.db.schema_versions()).await;
    let (status, versions, error) = match read {
        Ok(Ok(versions)) => match state.db.write_refusal() {
            None => ("up", Some(versions), None),
            Some(refusal) => ("read_only", Some(versions), Some(format!("writes are refused: {refusal}"))),
        },
        Ok(Err(error)) => ("down", None, Some(error.to_string())),
        Err(_) => ("down", None, Some(format!("no response within {} s", DATABASE_TIMEOUT.as_secs()))),
    };
    let (schema_version, expected_schema_version) = versions.unzip();
    DatabaseCheck { status, schema_version, expected_schema_version, error }
}

fn key_ring(state: &AppState) -> KeyRingCheck {
    match state.config.secrets.key_ring(&state.random) {
        Ok(_) => KeyRingCheck { status: "up", error: None },
        Err(problem) => KeyRingCheck { status: "stale", error: Some(problem) },
    }
}

async fn issuers(state: &AppState) -> Option<Vec<IssuerCheck>> {
    let billers = tokio::time::timeout(DATABASE_TIMEOUT, state.directory.billers()).await.ok()?.ok()?;
    let with_issuer = billers.iter().filter(|biller| biller.settings.oidc.is_some());
    let check = |biller: &std::sync::Arc<crate::directory::Biller>| IssuerCheck {
        biller: biller.slug.to_string(),
        status: if biller.health.is_down { "down" } else { "up" },
        setup_fault: biller.health.fault.clone(),
    };
    Some(with_issuer.map(check).collect())
}
