//! Stand-ins for SecureAuth, the legacy portal, a biller portal and a mail server, over real HTTP, and the demo world.
//!
//! The demo and the tests use them; release images do not contain them. Like the real systems, they know only the gateway's
//! address and an API key.

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

pub mod world;

pub use legacy::{LegacyPortal, legacy_app};
pub use mailbox::{FaultMode, Mailbox, ReceivedMail, serve_mail};
pub use passwords::hash_password;
pub use portal::{BillerPortal, portal_app};
pub use secureauth::{
    ApiCall, ApiClients, Fault, FaultRule, Faults, IdpUser, IssuerState, Mail, MailKind, Organization, RetryAfter,
    SecureAuth, SecureAuthStandIn, ServiceClient, secureauth_app,
};

use signpost_core::{Clock, Random};

/// Time, randomness and the HTTP client that a stand-in uses.
#[derive(Clone, Debug)]
pub struct Deps {
    pub clock: Clock,
    pub random: Random,
    /// For the gateway's handoff API.
    pub http: reqwest::Client,
}

impl Deps {
    /// The HTTP client follows no redirects and uses no proxy.
    #[expect(clippy::disallowed_methods, reason = "the outside world has a client of its own")]
    pub fn new(clock: Clock, random: Random) -> reqwest::Result<Self> {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build()?;
        Ok(Self { clock, random, http })
    }
}

/// Serves a stand-in until `stop` completes, then waits for the requests in flight.
pub async fn serve(
    listener: tokio::net::TcpListener,
    app: axum::Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, app).with_graceful_shutdown(stop).await
}
