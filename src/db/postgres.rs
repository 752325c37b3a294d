//! A pool of PostgreSQL connections with a circuit breaker.
//!
//! A pool waits for a connection as long as it may, also if every attempt is refused at once. After an outage of
//! [`ACQUIRE_TIMEOUT`] the breaker opens, and statements fail at once. A task connects at short intervals, and the first
//! success closes the breaker. A shorter outage, such as a restart, costs only a wait.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool, Postgres};
use tokio::sync::{Mutex, watch};

use super::connection::{ACQUIRE_TIMEOUT, Checked};
use super::error::{DbError, classify, is_connection_failure};
use super::write_health::WriteHealth;
use crate::telemetry::metrics::{PoolWait, PoolWaits};

/// What the server calls our connections, unless the URL names them.
pub(super) const APPLICATION_NAME: &str = "signpost";
/// Failed probes in a row after which the breaker opens.
const FAILURES_TO_OPEN: u32 = 3;
const PROBE_INTERVAL: Duration = Duration::from_millis(200);
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// A connection that was idle for longer is tested before its use. A test costs a round trip.
const MAX_UNTESTED_IDLE: Duration = Duration::from_secs(1);
/// After a connection failure, every connection is tested for this long: others may have broken as well.
const TEST_AFTER_FAILURE: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub struct PostgresPool {
    pub pool: PgPool,
    /// Why the database is away, while the breaker is open.
    outage: watch::Sender<Option<Arc<str>>>,
    is_probing: Arc<AtomicBool>,
    last_failure: Arc<std::sync::Mutex<Option<Instant>>>,
    /// Held while a request finds out why the pool timed out.
    diagnosis: Arc<Mutex<()>>,
    pub(super) waits: PoolWaits,
    pub(super) write_health: WriteHealth,
    wait: PoolWait,
}

impl PostgresPool {
    /// Connects once, so that the error names its cause.
    pub(super) async fn connect(url: &str, connections: u32) -> Result<Self, DbError> {
        let mut options: PgConnectOptions = url.parse()?;
        if options.get_application_name().is_none() {
            options = options.application_name(APPLICATION_NAME);
        }
        wait_for_server(&options).await?;
        let last_failure = Arc::<std::sync::Mutex<Option<Instant>>>::default();
        let failed = Arc::clone(&last_failure);
        let has_failed = move || {
            let at = *failed.lock().unwrap_or_else(PoisonError::into_inner);
            at.is_some_and(|at| at.elapsed() < TEST_AFTER_FAILURE)
        };
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(move |connection, metadata| {
                let is_suspect = metadata.idle_for > MAX_UNTESTED_IDLE || has_failed();
                Box::pin(async move { if is_suspect { connection.ping().await.map(|()| true) } else { Ok(true) } })
            });
        let (outage, _) = watch::channel(None);
        let waits = PoolWaits::default();
        Ok(Self {
            wait: waits.of("postgres"),
            waits,
            write_health: WriteHealth::default(),
            pool: pool.connect_lazy_with(options),
            outage,
            is_probing: Arc::default(),
            last_failure,
            diagnosis: Arc::default(),
        })
    }

    pub(super) async fn acquire(&self) -> Result<Checked<Postgres>, DbError> {
        self.wait.measure(self.acquire_or_fail()).await
    }

    /// A connection for a statement that writes by itself. Such a statement cannot be repeated: if its connection breaks, it may
    /// have been committed. So the connection is tested first.
    pub(super) async fn acquire_tested(&self) -> Result<Checked<Postgres>, DbError> {
        let mut connection = self.acquire().await?;
        let tested = connection.executor()?.ping().await;
        match connection.check(tested) {
            Ok(()) => Ok(connection),
            Err(error) => {
                self.report(error);
                self.acquire().await
            }
        }
    }

    async fn acquire_or_fail(&self) -> Result<Checked<Postgres>, DbError> {
        tokio::select! {
            biased;
            away = self.opened() => Err(away),
            acquired = self.acquire_patiently() => match acquired {
                Ok(connection) => Ok(Checked::new(connection)),
                Err(error @ sqlx::Error::PoolTimedOut) => {
                    self.report(classify(error));
                    Err(self.why_timed_out().await)
                }
                Err(error) => Err(self.report(classify(error))),
            },
        }
    }

    /// The pool connects again after a refusal, but not if a connection breaks while it is opened, as one does whose proxy has no
    /// server.
    async fn acquire_patiently(&self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        let started = Instant::now();
        loop {
            match self.pool.acquire().await {
                Err(error) if is_interrupted(&error) && started.elapsed() < ACQUIRE_TIMEOUT => {
                    tokio::time::sleep(PROBE_INTERVAL).await;
                }
                acquired => return acquired,
            }
        }
    }

    /// What a pool that timed out does not say: why no connection can be opened, or that all of them are in use. One request
    /// at a time finds out: a busy server must not get a connection more for each request that waits.
    async fn why_timed_out(&self) -> DbError {
        let Ok(_alone) = self.diagnosis.try_lock() else { return classify(sqlx::Error::PoolTimedOut) };
        let options = self.pool.connect_options();
        tokio::select! {
            biased;
            away = self.opened() => away,
            connected = connect(&options) => match connected {
                Ok(()) => DbError::Exhausted,
                Err(error) => classify(error),
            },
        }
    }

    /// Waits until the breaker is open.
    pub(super) async fn opened(&self) -> DbError {
        let mut outage = self.outage.subscribe();
        match outage.wait_for(Option::is_some).await.map(|cause| cause.clone()) {
            Ok(Some(cause)) => DbError::Away(cause),
            _ => std::future::pending().await,
        }
    }

    /// Starts probing after a connection failure. Returns the error.
    pub(super) fn report(&self, error: DbError) -> DbError {
        if let DbError::Failed(cause) = &error
            && is_connection_failure(cause)
            && !self.pool.is_closed()
        {
            *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            if self.is_probing.swap(true, Ordering::SeqCst) {
                return error;
            }
            // A pool that timed out has failed to connect for that long, or its connections are all in use.
            let waited = if matches!(cause, sqlx::Error::PoolTimedOut) { ACQUIRE_TIMEOUT } else { Duration::ZERO };
            tokio::spawn(self.clone().probe(waited));
        }
        error
    }

    async fn probe(self, waited: Duration) {
        let (started, mut failures) = (Instant::now(), 0);
        let options = self.pool.connect_options();
        while !self.pool.is_closed() {
            let Err(error) = connect(&options).await else { break };
            failures += 1;
            if failures >= FAILURES_TO_OPEN && started.elapsed() + waited >= ACQUIRE_TIMEOUT && self.is_closed() {
                let cause = describe(&error);
                tracing::error!(cause, "the database is away");
                self.outage.send_replace(Some(cause.into()));
            }
            tokio::time::sleep(PROBE_INTERVAL).await;
        }
        if self.outage.send_replace(None).is_some() && !self.pool.is_closed() {
            let seconds = (started.elapsed() + waited).as_secs();
            tracing::info!("the database is back after {seconds} s");
        }
        self.is_probing.store(false, Ordering::SeqCst);
    }

    fn is_closed(&self) -> bool {
        self.outage.borrow().is_none()
    }
}

async fn connect(options: &PgConnectOptions) -> Result<(), sqlx::Error> {
    let timed_out = || std::io::Error::new(std::io::ErrorKind::TimedOut, "the server does not respond");
    let connection = tokio::time::timeout(PROBE_TIMEOUT, PgConnection::connect_with(options));
    let connection = connection.await.unwrap_or_else(|_| Err(sqlx::Error::Io(timed_out())))?;
    // The server notices by itself if the farewell does not arrive.
    drop(tokio::time::timeout(PROBE_TIMEOUT, connection.close()).await);
    Ok(())
}

fn is_interrupted(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_))
}

/// Waits for a server that is starting, at most [`ACQUIRE_TIMEOUT`].
async fn wait_for_server(options: &PgConnectOptions) -> Result<(), DbError> {
    let started = Instant::now();
    loop {
        match connect(options).await {
            Err(error) if is_connection_failure(&error) && started.elapsed() < ACQUIRE_TIMEOUT => {
                tokio::time::sleep(PROBE_INTERVAL).await;
            }
            done => return done.map_err(classify),
        }
    }
}

/// The innermost cause, such as "Connection refused".
fn describe(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Io(error) => error.to_string(),
        sqlx::Error::Database(error) => error.message().to_owned(),
        error => error.to_string(),
    }
}
