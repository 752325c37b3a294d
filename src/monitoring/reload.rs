//! `POST /reload`

use std::net::IpAddr;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::state::{AppState, ReloadReport};
use crate::web::client::Peer;

/// Reads the settings again. Only for requests from this machine, whose operators can change the files.
pub(super) async fn reload(State(state): State<AppState>, peer: Option<Extension<Peer>>) -> Response {
    let peer = peer.and_then(|Extension(peer)| peer.ip());
    let is_local = peer.is_some_and(|peer| is_this_machine(peer, state.config.server.management_listen.ip()));
    if !is_local {
        return StatusCode::FORBIDDEN.into_response();
    }
    match state.reloads.request().await {
        Some(report @ ReloadReport::Applied { .. }) => Json(report).into_response(),
        Some(report @ ReloadReport::Rejected { .. }) => {
            (StatusCode::UNPROCESSABLE_ENTITY, Json(report)).into_response()
        }
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// A connection to an address of one's own machine comes from that address.
fn is_this_machine(peer: IpAddr, listen: IpAddr) -> bool {
    peer.is_loopback() || (peer == listen.to_canonical() && !peer.is_unspecified())
}
