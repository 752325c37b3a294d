//! `signpost serve`

use std::path::Path;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::CliResult;
use crate::app::App;
use crate::db::Schema;
use crate::telemetry;
use signpost_core::{Clock, Random};

pub(super) async fn run(config: &Path) -> CliResult {
    let config = super::load(config)?;
    telemetry::init(&config.log);
    if config.oidc.allow_loopback_issuers {
        tracing::warn!("oidc.allow_loopback_issuers is on; turn it off in production");
    }
    let listen = config.server.listen;
    let app = App::build(config, Schema::Migrate, Clock::System, Random::system()).await?;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let console = app.state.config.console.listen;
    let app = app.with_console().await.context("cannot listen for the console (console.listen)")?;
    tracing::info!(%listen, ?console, "serving");
    app.serve(listener, shutdown_signal()?).await;
    tracing::info!("stopped");
    Ok(())
}

/// Cancelled by SIGTERM or SIGINT.
pub(super) fn shutdown_signal() -> Result<CancellationToken, std::io::Error> {
    let shutdown = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let trigger = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        trigger.cancel();
    });
    Ok(shutdown)
}
