//! `signpost serve`

use std::path::Path;

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::CliResult;
use crate::app::App;
use crate::db::Schema;
use crate::telemetry;
use signpost_core::{Clock, Random};

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Leave the database schema as it is, and fail if this version needs a newer one
    #[arg(long)]
    no_migrate: bool,
}

pub(super) async fn run(path: &Path, arguments: &Serve) -> CliResult {
    let config = super::load(path)?;
    telemetry::init(&config.log);
    for file in config.exposed_files(path) {
        tracing::warn!(
            file = %file.path.display(),
            mode = format!("{:o}", file.mode),
            "others can read this file or its group can change it: `signpost doctor` has the command that protects it"
        );
    }
    let shutdown = shutdown_signal()?;
    if config.oidc.allow_loopback_issuers {
        tracing::warn!("oidc.allow_loopback_issuers is on; turn it off in production");
    }
    if config.security_txt.expires.is_some_and(|expires| expires < Clock::System.now()) {
        tracing::warn!("security_txt.expires has passed: researchers do not trust /.well-known/security.txt any more");
    }
    let listen = config.server.listen;
    let schema = if arguments.no_migrate { Schema::RequireCurrent } else { Schema::Migrate };
    let app = App::build(config, schema, Clock::System, Random::system()).await?;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let console = app.state.config.console.listen;
    let app = app.with_internal_listeners().await?;
    tracing::info!(%listen, ?console, management = ?app.management_address(), "serving");
    app.serve(listener, shutdown).await;
    tracing::info!("stopped");
    Ok(())
}

/// Cancelled by SIGTERM or SIGINT. SIGHUP, which would end the process at once, only logs a line.
pub(super) fn shutdown_signal() -> Result<CancellationToken, std::io::Error> {
    let shutdown = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            tracing::warn!("SIGHUP is ignored: reloading is not supported yet. Restart Signpost to apply settings");
        }
    });
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
