//! `signpost serve`

use std::path::Path;

use anyhow::Context;
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::field::display;

use super::{CliResult, service_manager};
use crate::app::App;
use crate::config::Config;
use crate::db::Schema;
use crate::state::ReloadRequests;
use crate::telemetry;
use crate::web::listener::Listener;
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
    let signals = Signals::listen()?;
    for file in config.exposed_files(path) {
        tracing::warn!(
            file = %file.path.display(),
            mode = format!("{:o}", file.mode),
            "others can read this file or its group can change it: `signpost doctor` has the command that protects it"
        );
    }
    if config.oidc.allow_loopback_issuers {
        tracing::warn!("oidc.allow_loopback_issuers is on; turn it off in production");
    }
    if config.security_txt.expires.is_some_and(|expires| expires < Clock::System.now()) {
        tracing::warn!("security_txt.expires has passed: researchers do not trust /.well-known/security.txt any more");
    }
    let (listen, socket_mode) = (config.server.listen.clone(), config.server.unix_socket_mode);
    let schema = if arguments.no_migrate { Schema::RequireCurrent } else { Schema::Migrate };
    let app = App::build(config, schema, Clock::System, Random::system()).await?;
    let (app, public) = app.with_listeners(service_manager::passed_sockets()?).await?;
    let listener = match public {
        Some(socket) => socket,
        None => Listener::bind(&listen, socket_mode)
            .await
            .with_context(|| format!("cannot listen on {listen} (server.listen)"))?,
    };
    let (console, management) = (app.console_address().map(display), app.management_address().map(display));
    tracing::info!(listen = %listener, console, management, "serving");
    service_manager::keep_watchdog_alive();
    let shutdown = signals.handle(app.state.reloads.clone());
    let path = path.to_owned();
    let app = app.reloading(move || Config::load(&path, std::env::vars())).observed_by(service_manager::notify);
    app.serve(listener, shutdown).await;
    tracing::info!("stopped");
    Ok(())
}

/// Signals of the process. From the moment that it listens, none of them ends the process by itself.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    pub(super) fn listen() -> Result<Self, std::io::Error> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// SIGHUP reloads the settings. SIGTERM and SIGINT cancel the returned token.
    pub(super) fn handle(mut self, reloads: ReloadRequests) -> CancellationToken {
        let shutdown = CancellationToken::new();
        tokio::spawn(async move {
            while self.hangup.recv().await.is_some() {
                // The log has the outcome.
                reloads.request().await;
            }
        });
        let trigger = shutdown.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
            }
            trigger.cancel();
        });
        shutdown
    }
}
