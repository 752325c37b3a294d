//! The composition root: one way to build the application, for `serve`, `demo` and every test.

mod assembly;
mod background;
mod reload;
mod routers;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Problems};
use crate::db::Schema;
use crate::state::{AppState, CurrentState, ReloadQueue, ReloadReport, ReloadRequests};
use crate::web::listener::Listener;
use crate::web::live_router::LiveRouter;
use crate::web::serve::serve;
use crate::web::transport::{LiveTransport, Transport};
use assembly::Purpose;
use reload::{Live, Source};
use signpost_core::{Clock, Random};

pub use assembly::{BuildError, key_ring};
pub use background::sweep_once;
pub use routers::{console_router, management_router, router};

const MAX_MANAGEMENT_CONNECTIONS: usize = 100;
const MANAGEMENT_DRAIN: Duration = Duration::from_secs(1);

pub struct App {
    pub state: AppState,
    /// The console's listener, if the configuration has one.
    console: Option<TcpListener>,
    management: Option<TcpListener>,
    transport: Transport,
    reloads: ReloadQueue,
    source: Source,
    observer: Observer,
}

/// What a service manager is notified of.
#[derive(Clone, Copy, Debug)]
pub enum Lifecycle<'a> {
    /// Connections are accepted.
    Serving,
    Reloading,
    Reloaded(&'a ReloadReport),
    /// A shutdown begins.
    Stopping,
}

type Observer = Arc<dyn Fn(Lifecycle<'_>) + Send + Sync>;

/// Sockets that the service manager has bound. They replace the addresses of the settings.
#[derive(Debug, Default)]
pub struct PassedSockets {
    pub public: Option<Listener>,
    pub console: Option<TcpListener>,
    pub management: Option<TcpListener>,
}

/// An address of the settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({setting})")]
pub struct ListenError {
    setting: &'static str,
    address: SocketAddr,
    #[source]
    error: std::io::Error,
}

impl App {
    /// Reads the certificate, opens the database and creates the services.
    pub async fn build(config: Config, schema: Schema, clock: Clock, random: Random) -> Result<Self, BuildError> {
        let transport = Transport::new(&config.server, &clock)?;
        let (requests, reloads) = ReloadRequests::new();
        let read = config.clone();
        let state = assembly::assemble(config, schema, (clock, random), requests, Purpose::Serve).await?;
        let source: Source = Arc::new(move || Ok(read.clone()));
        Ok(Self { state, console: None, management: None, transport, reloads, source, observer: Arc::new(|_| {}) })
    }

    /// Opens the database and creates the services for a command, which serves no connections.
    pub async fn open(config: Config, schema: Schema, clock: Clock, random: Random) -> Result<AppState, BuildError> {
        let (requests, _) = ReloadRequests::new();
        assembly::assemble(config, schema, (clock, random), requests, Purpose::Command).await
    }

    /// Reloads read the settings from `source`. Without it, they read the files again that the settings name.
    #[must_use]
    pub fn reloading(self, source: impl Fn() -> Result<Config, Problems> + Send + Sync + 'static) -> Self {
        Self { source: Arc::new(source), ..self }
    }

    /// Notifies `observer` of what the process does.
    #[must_use]
    pub fn observed_by(self, observer: impl Fn(Lifecycle<'_>) + Send + Sync + 'static) -> Self {
        Self { observer: Arc::new(observer), ..self }
    }

    /// Also binds the addresses that customers do not use: of the management listener, and of the console if the configuration
    /// has one.
    pub async fn with_internal_listeners(self) -> Result<Self, ListenError> {
        self.with_listeners(PassedSockets::default()).await.map(|(app, _)| app)
    }

    /// The same with sockets of the service manager. Returns the one for customers, if it is among them.
    pub async fn with_listeners(mut self, passed: PassedSockets) -> Result<(Self, Option<Listener>), ListenError> {
        let config = &self.state.config;
        self.management = Some(match passed.management {
            Some(socket) => socket,
            None => bind("server.management_listen", config.server.management_listen).await?,
        });
        self.console = match (config.console.listen, passed.console) {
            (Some(_), Some(socket)) => Some(socket),
            (Some(address), None) => Some(bind("console.listen", address).await?),
            (None, _) => None,
        };
        Ok((self, passed.public))
    }

    /// The address of the console's listener, once it is bound.
    pub fn console_address(&self) -> Option<SocketAddr> {
        self.console.as_ref()?.local_addr().ok()
    }

    /// The address of the management listener, once it is bound.
    pub fn management_address(&self) -> Option<SocketAddr> {
        self.management.as_ref()?.local_addr().ok()
    }

    /// Serves until `stop`, then shuts down gracefully: `/readyz` answers 503 first, then the listeners close, and the management
    /// listener is the last one.
    pub async fn serve(self, listener: impl Into<Listener>, stop: CancellationToken) {
        let state = self.state;
        let mut live = Live::new(&state, self.transport);
        let current = live.current.clone();
        let observer = self.observer;
        let stop = after_notice(&current, stop, Arc::clone(&observer));
        let management = self.management.map(|listener| ManagementServer::start(listener, live.management.clone()));
        let background = background::start(&current, &stop);
        let max_connections = state.config.server.max_connections;
        let drain = move || Duration::from_secs(current.get().config.server.drain_seconds);
        if let (Some(listener), Some(router)) = (self.console, live.console_router()) {
            let plain = LiveTransport::default();
            background.spawn(serve(listener, router, plain, max_connections, drain.clone(), stop.clone()));
        }
        let (public, transport) = (live.public.clone(), live.transport.clone());
        background.spawn(background::run_until(stop.clone(), transport.clone().follow_files(state.clock.clone())));
        let (queue, source) = (self.reloads, self.source);
        let observed = Arc::clone(&observer);
        let stopping = state.stopping.clone();
        let reloads = tokio::spawn(queue.run(async move || {
            if stopping.is_cancelled() {
                return ReloadReport::Rejected { problems: vec!["a shutdown has begun".to_owned()] };
            }
            observed(Lifecycle::Reloading);
            let report = live.reload(&source).await;
            observed(Lifecycle::Reloaded(&report));
            report
        }));
        background.close();
        observer(Lifecycle::Serving);
        serve(listener, public, transport, max_connections, drain.clone(), stop).await;
        reloads.abort();
        if tokio::time::timeout(drain(), background.wait()).await.is_err() {
            tracing::warn!("the shutdown timeout has passed; unfinished work resumes after the next start");
        }
        state.decisions.flush().await;
        state.traces.shut_down().await;
        if let Some(management) = management {
            management.stop().await;
        }
        state.db.close().await;
    }
}

async fn bind(setting: &'static str, address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|error| ListenError { setting, address, error })
}

/// Turns readiness off at `stop`. Returns a token that is cancelled after the delay of the settings.
fn after_notice(current: &CurrentState, stop: CancellationToken, observer: Observer) -> CancellationToken {
    let (current, closing) = (current.clone(), CancellationToken::new());
    let later = closing.clone();
    tokio::spawn(async move {
        stop.cancelled().await;
        let state = current.get();
        state.stopping.cancel();
        observer(Lifecycle::Stopping);
        let seconds = state.config.server.shutdown_delay_seconds;
        tracing::info!(
            seconds,
            "the shutdown begins: /readyz answers 503, and connections are refused after the delay"
        );
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        later.cancel();
    });
    closing
}

/// The management listener while it serves.
struct ManagementServer {
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl ManagementServer {
    fn start(listener: TcpListener, router: LiveRouter) -> Self {
        let stop = CancellationToken::new();
        let (plain, drain) = (LiveTransport::default(), || MANAGEMENT_DRAIN);
        let serving = serve(listener, router, plain, MAX_MANAGEMENT_CONNECTIONS, drain, stop.clone());
        Self { stop, serving: tokio::spawn(serving) }
    }

    async fn stop(self) {
        self.stop.cancel();
        drop(self.serving.await);
    }
}
