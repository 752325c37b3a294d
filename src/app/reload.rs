//! What a reload replaces: the state in effect and the routers that are built from it.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use super::assembly::{BuildError, reassemble};
use super::routers::{management_router, router, router_of_console};
use crate::config::{Config, Problems};
use crate::console::Console;
use crate::login;
use crate::state::{AppState, CurrentState, ReloadReport};
use crate::telemetry;
use crate::web::live_router::LiveRouter;
use crate::web::transport::{LiveTransport, Transport};

/// Reads the settings again.
pub(super) type Source = Arc<dyn Fn() -> Result<Config, Problems> + Send + Sync>;

type Changes = (Vec<&'static str>, Vec<&'static str>);

/// The running application.
pub(super) struct Live {
    pub(super) current: CurrentState,
    pub(super) public: LiveRouter,
    pub(super) management: LiveRouter,
    pub(super) transport: LiveTransport,
    console: Option<(Console, LiveRouter)>,
    /// What the setting stood for at the start: it may name a file that has another content now.
    database_url: Option<SecretString>,
}

impl Live {
    pub(super) fn new(state: &AppState, transport: Transport) -> Self {
        let console = Console::new(state, login::preview);
        Self {
            current: CurrentState::new(state),
            public: LiveRouter::new(router(state.clone())),
            management: LiveRouter::new(management_router(state.clone())),
            transport: LiveTransport::new(transport, state.metrics.refused_connections()),
            console: console.map(|console| {
                let router = router_of_console(&console);
                (console, LiveRouter::new(router))
            }),
            database_url: state.config.database.url.reveal().ok(),
        }
    }

    pub(super) fn console_router(&self) -> Option<LiveRouter> {
        self.console.as_ref().map(|(_, router)| router.clone())
    }

    /// Reads the settings again and applies all of them, or none.
    pub(super) async fn reload(&mut self, source: &Source) -> ReloadReport {
        let running = self.current.get();
        let read = {
            let source = source.clone();
            tokio::task::spawn_blocking(move || source()).await
        };
        let read = match read {
            Ok(read) => read.map_err(|problems| problems.0),
            Err(error) => Err(vec![error.to_string()]),
        };
        let applied = read.and_then(|config| self.apply(&running, config).map_err(|error| vec![error.to_string()]));
        running.metrics.record_reload(applied.is_ok());
        match applied {
            Ok((changed, needs_restart)) => {
                tracing::info!(
                    changed = changed.join(", "),
                    needs_restart = needs_restart.join(", "),
                    "the settings were reloaded"
                );
                let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
                ReloadReport::Applied { changed: owned(changed), needs_restart: owned(needs_restart) }
            }
            Err(problems) => {
                let reason = problems.join("; ");
                tracing::error!(reason, "the settings were not reloaded; the previous ones stay in effect");
                ReloadReport::Rejected { problems }
            }
        }
    }

    /// Everything that can fail comes before the first replacement. Returns the sections that differ from before, and the settings
    /// that differ and need a restart.
    fn apply(&mut self, running: &AppState, mut config: Config) -> Result<Changes, BuildError> {
        let mut needs_restart = config.keep_until_restart(&running.config);
        let database_url = config.database.url.reveal().ok();
        let is_same = |a: &SecretString, b: &SecretString| a.expose_secret() == b.expose_secret();
        let is_other_database =
            !database_url.as_ref().zip(self.database_url.as_ref()).is_some_and(|(a, b)| is_same(a, b));
        if is_other_database && !needs_restart.contains(&"database.url") {
            needs_restart.push("database.url");
        }
        let changed = config.changed_sections(&running.config);
        let transport = Transport::new(&config.server, &running.clock)?;
        let state = reassemble(running, config)?;
        if let Some((console, live)) = &mut self.console {
            // Its listener and its address stay, or the settings would have been rejected.
            if let Some(renewed) = Console::new(&state, login::preview) {
                *console = renewed.continuing(console);
                live.replace(router_of_console(console));
            }
        }
        self.public.replace(router(state.clone()));
        self.management.replace(management_router(state.clone()));
        self.transport.replace(transport);
        telemetry::set_filter(&state.config.log);
        state.traces.set_sample_ratio(state.config.traces.sample_ratio);
        self.current.replace(&state);
        Ok((changed, needs_restart))
    }
}
