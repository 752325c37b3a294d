//! Issuing handoffs: the addresses of other systems, with a token for each.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::consumed::ConsumedTokens;
use super::envelope::Envelope;
use super::flow::{FlowContext, PADDED_LENGTH};
use crate::config::Config;
use crate::directory::Directory;
use crate::routing::Routing;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::HandoffKind;
use signpost_core::paths::{HELP, RECOVER, with_query};
use signpost_core::{Clock, KeyRing, Purpose, Random};

/// Issues and redeems handoff tokens.
#[derive(Clone, Debug)]
pub struct Handoffs {
    pub config: Arc<Config>,
    pub keys: KeyRing,
    pub clock: Clock,
    pub random: Random,
    pub consumed: ConsumedTokens,
    pub directory: Directory,
    pub routing: Routing,
    pub metrics: Arc<Metrics>,
}

/// A handoff to the legacy portal. The username is not verified.
#[derive(Serialize, Deserialize)]
pub(super) struct LegacyHandoff {
    /// To the password reset, not to the login.
    pub reset: bool,
    #[serde(flatten)]
    pub flow: FlowContext,
}

/// A handoff of a signed-in user to a biller's portal.
#[derive(Serialize, Deserialize)]
pub(super) struct PortalHandoff {
    /// Id of the biller session.
    pub session: String,
    #[serde(flatten)]
    pub flow: FlowContext,
}

impl Handoffs {
    /// The legacy login, or the help page if the settings name none.
    pub fn legacy_login_url(&self, flow: &FlowContext) -> String {
        let legacy = &self.config.legacy;
        match (&legacy.login_url, &legacy.login_template) {
            (Some(url), _) => with_query(url.as_str(), "token", &self.legacy_token(flow, false)),
            (None, Some(template)) => fill_template(template, flow),
            (None, None) => absolute(&self.config, HELP),
        }
    }

    /// The legacy password reset, or the recovery page if the settings name none.
    pub fn legacy_reset_url(&self, flow: &FlowContext) -> String {
        match &self.config.legacy.reset_url {
            Some(url) => with_query(url.as_str(), "token", &self.legacy_token(flow, true)),
            None => RECOVER.to_owned(),
        }
    }

    /// A biller's portal, for the user of a biller session. The flow names the biller.
    pub fn portal_url(&self, session_id: &str, own_portal: Option<&str>, flow: &FlowContext) -> String {
        let flow = FlowContext { name: None, portal_state: flow.portal_state.clone(), ..flow.for_handoff() };
        self.metrics.record_handoff_issued(HandoffKind::Portal);
        let token = Envelope::new(&self.clock, &self.random, PortalHandoff { session: session_id.to_owned(), flow });
        let sealed = self.keys.seal(Purpose::PortalHandoff, "", &token);
        let shared = self.config.portal.handoff_url.as_ref().map(url::Url::as_str);
        with_query(own_portal.or(shared).unwrap_or(HELP), "token", &sealed)
    }

    fn legacy_token(&self, flow: &FlowContext, reset: bool) -> String {
        self.metrics.record_handoff_issued(if reset { HandoffKind::LegacyReset } else { HandoffKind::Legacy });
        let token = Envelope::new(&self.clock, &self.random, LegacyHandoff { reset, flow: flow.for_handoff() });
        self.keys.seal_padded(Purpose::LegacyHandoff, "", &token, PADDED_LENGTH)
    }

    /// The recovery page, for a customer whom another system could not sign in.
    pub fn recover_url(&self, flow: &FlowContext) -> String {
        recover_url(&self.config, &self.keys, flow)
    }
}

/// The recovery page in full, with the flow so far.
pub fn recover_url(config: &Config, keys: &KeyRing, flow: &FlowContext) -> String {
    with_query(&absolute(config, RECOVER), "t", &flow.seal_recovery(keys))
}

/// The origin that the form at `/login` may redirect to.
pub fn legacy_origin(config: &Config) -> Option<String> {
    let legacy = &config.legacy;
    let template =
        legacy.login_template.as_deref().and_then(|text| url::Url::parse(&text.replace(['{', '}'], "")).ok());
    let url = legacy.login_url.clone().or(template)?;
    Some(url.origin().ascii_serialization())
}

fn absolute(config: &Config, path: &str) -> String {
    let public_url = &config.server.public_url;
    public_url.join(path).unwrap_or_else(|_| public_url.clone()).into()
}

/// The biller is left out: it would tell a legacy username from an unknown one.
fn fill_template(template: &str, flow: &FlowContext) -> String {
    let encode =
        |text: Option<&str>| form_urlencoded::byte_serialize(text.unwrap_or_default().as_bytes()).collect::<String>();
    let filled = template
        .replace("{username}", &encode(flow.name.as_deref()))
        .replace("{locale}", flow.locale.unwrap_or_default().tag())
        .replace("{return_to}", &encode(flow.return_to.as_deref()));
    // The parser makes any template safe for a header.
    url::Url::parse(&filled).map_or_else(|_| HELP.to_owned(), String::from)
}
