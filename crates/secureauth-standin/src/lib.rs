//! Stand-ins of the outside world, over real HTTP on ports of their own: SecureAuth, the legacy portal, a
//! biller portal, a mail server. For the demo and the tests; a release image is built without them.
//!
//! They import nothing of Signpost but `signpost-core`: what they know of the gateway is its address and an API key, as in life.

mod handoff;
mod html;
mod legacy;
mod mail_pages;
mod mailbox;
mod passwords;
mod portal;
mod secureauth;
mod store;
mod web;

pub use legacy::{LegacyPortal, legacy_app};
pub use mailbox::{FaultMode, Mailbox, ReceivedMail, serve_mail};
pub use passwords::hash_password;
pub use portal::{BillerPortal, portal_app};
pub use secureauth::{
    ApiCall, ApiClients, Fault, FaultRule, Faults, IdpUser, IssuerState, Mail, MailKind, Organization, RetryAfter,
    SecureAuth, SecureAuthStandIn, ServiceClient, secureauth_app,
};

use signpost_core::{Clock, Random};

/// What every stand-in is handed: time, randomness, and the HTTP client it calls the gateway with.
#[derive(Clone, Debug)]
pub struct Deps {
    /// Where the time comes from.
    pub clock: Clock,
    /// Where randomness comes from.
    pub random: Random,
    /// For the calls to the gateway's hand-off API.
    pub http: reqwest::Client,
}

impl Deps {
    /// With an HTTP client that follows no redirects and asks no proxy.
    ///
    /// # Errors
    /// The TLS library could not be set up.
    #[expect(clippy::disallowed_methods, reason = "the outside world has a client of its own")]
    pub fn new(clock: Clock, random: Random) -> reqwest::Result<Self> {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build()?;
        Ok(Self { clock, random, http })
    }
}

/// Serves one stand-in until `stop` completes, then lets the requests under way finish.
///
/// # Errors
/// None in practice: `axum::serve` goes on after a failed accept.
pub async fn serve(
    listener: tokio::net::TcpListener,
    app: axum::Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, app).with_graceful_shutdown(stop).await
}
