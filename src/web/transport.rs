//! How the bytes of a listener's connections become HTTP: with or without the PROXY protocol and TLS. A reload and a new
//! certificate apply to new connections.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use ipnet::IpNet;

use super::tls::{Tls, TlsError};
use crate::config::Server;
use crate::telemetry::metrics::RefusedConnections;
use signpost_core::Clock;

const FILE_INTERVAL: Duration = Duration::from_millis(500);

/// The default is plain HTTP.
#[derive(Clone, Debug, Default)]
pub struct Transport {
    /// Who may connect, and begins each connection with a PROXY header. `None`: anyone, without one.
    pub(super) proxies: Option<Vec<IpNet>>,
    pub(super) tls: Option<Tls>,
}

impl Transport {
    /// The transport of the public listener.
    pub fn new(settings: &Server, clock: &Clock) -> Result<Self, TlsError> {
        let tls = Tls::load(settings)?;
        if let Some(problem) = tls.as_ref().and_then(|tls| tls.expiry_problem(clock.now())) {
            tracing::warn!("{problem}");
        }
        let proxies = settings.proxy_protocol.then(|| settings.trusted_proxies.clone());
        Ok(Self { proxies, tls })
    }
}

/// The transport of a listener. Connections keep the one that they began with. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct LiveTransport {
    current: Arc<ArcSwap<Transport>>,
    pub(super) refused: RefusedConnections,
}

impl LiveTransport {
    pub fn new(transport: Transport, refused: RefusedConnections) -> Self {
        Self { current: Arc::new(ArcSwap::from_pointee(transport)), refused }
    }

    pub fn replace(&self, transport: Transport) {
        self.current.store(Arc::new(transport));
    }

    pub(super) fn get(&self) -> Arc<Transport> {
        self.current.load_full()
    }

    /// Serves a new certificate when the files of the one in use change. Files that cannot be used leave it as it is.
    pub async fn follow_files(self, clock: Clock) {
        let mut rejected: Option<Rejected> = None;
        loop {
            tokio::time::sleep(FILE_INTERVAL).await;
            let before = self.get();
            let Some(tls) = before.tls.clone() else { continue };
            let renewed = match tokio::task::spawn_blocking(move || tls.renewed()).await {
                Ok(renewed) => renewed.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            match renewed {
                Ok(None) => rejected = None,
                Ok(Some(tls)) => {
                    rejected = None;
                    tls.log_renewal(clock.now());
                    let transport = Transport { tls: Some(tls), ..Transport::clone(&before) };
                    // A reload may have been faster.
                    self.current.compare_and_swap(&before, Arc::new(transport));
                }
                Err(problem) => rejected = Some(Rejected::note(rejected, problem)),
            }
        }
    }
}

/// Files that cannot be used. They are reported at their second sight: two files are seldom replaced at the same moment.
struct Rejected {
    problem: String,
    is_reported: bool,
}

impl Rejected {
    fn note(before: Option<Self>, problem: String) -> Self {
        let Some(mut known) = before.filter(|known| known.problem == problem) else {
            return Self { problem, is_reported: false };
        };
        if !known.is_reported {
            tracing::error!(problem = known.problem, "the certificate was not replaced; the previous one stays in use");
            known.is_reported = true;
        }
        known
    }
}
