//! Redeeming handoffs.

use std::time::Duration;

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::consumed::TokenKind;
use super::envelope::Envelope;
use super::flow::FlowContext;
use super::issue::{Handoffs, LegacyHandoff, PortalHandoff};
use crate::access::{ApiKey, Audience};
use crate::directory::DirectoryError;
use crate::sessions::{BillerSession, BillerSessions};
use crate::telemetry::metrics::HandoffKind;
use crate::telemetry::{note_biller, note_reference};
use signpost_core::{Locale, Purpose, Slug, Timestamp};

/// A redeemed handoff: who is coming, and why.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RedeemedHandoff {
    /// `legacy`, `legacy_reset` or `portal`.
    #[serde(serialize_with = "kind_text")]
    #[schema(value_type = String)]
    pub kind: HandoffKind,
    /// The username: for `portal` as the directory has it, else as the customer typed it.
    pub username: Option<String>,
    /// The biller, if it is known.
    pub biller: Option<Slug>,
    /// The customer's language.
    pub locale: Locale,
    /// The path in the portal to return to.
    pub return_to: Option<String>,
    /// The decision's reference code.
    pub reference: String,
    /// Where to send a customer who cannot sign in.
    pub recover_url: String,
    /// Who authenticated the user. Only for `portal`.
    #[serde(flatten)]
    #[schema(value_type = Identity)]
    pub identity: Option<Identity>,
}

/// How the user was authenticated. Legacy handoffs have none of these fields.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Identity {
    /// The user's subject identifier at the issuer.
    #[schema(required = false)]
    pub sub: String,
    /// The issuer.
    #[schema(required = false)]
    pub iss: String,
    /// When the user authenticated, in seconds since the Unix epoch.
    #[schema(required = false)]
    pub auth_time: i64,
    /// How the user authenticated (RFC 8176).
    #[schema(required = false)]
    pub amr: Vec<String>,
    /// The `state` that the portal passed when it started the flow. Null if the portal did not start it.
    #[schema(required = false)]
    pub state: Option<String>,
}

impl Handoffs {
    /// Redeems a token for the holder of an API key.
    ///
    /// The answer is the same for an unknown, consumed or expired token and for one that is not for this key: none.
    ///
    /// # Errors
    /// The database failed. The token can be redeemed again.
    pub async fn redeem(
        &self,
        key: &ApiKey,
        token: &str,
        sessions: &BillerSessions,
    ) -> Result<Option<RedeemedHandoff>, DirectoryError> {
        let redeemed = self.open_and_consume(key, token, sessions).await?;
        self.metrics.record_handoff_redeemed(redeemed.as_ref().map(|redeemed| redeemed.kind));
        Ok(redeemed)
    }

    async fn open_and_consume(
        &self,
        key: &ApiKey,
        token: &str,
        sessions: &BillerSessions,
    ) -> Result<Option<RedeemedHandoff>, DirectoryError> {
        if let Ok(legacy) = self.keys.open::<Envelope<LegacyHandoff>>(Purpose::LegacyHandoff, "", token) {
            note_flow(&legacy.content.flow);
            return self.redeem_legacy(key, legacy).await;
        }
        let Ok(portal) = self.keys.open::<Envelope<PortalHandoff>>(Purpose::PortalHandoff, "", token) else {
            return Ok(None);
        };
        note_flow(&portal.content.flow);
        let lifetime = Duration::from_secs(self.config.portal.handoff_seconds);
        let biller = portal.content.flow.biller.as_ref();
        let is_foreign =
            key.audience == Some(Audience::Legacy) || !biller.is_some_and(|biller| key.permits_biller(biller));
        if is_foreign || portal.is_expired(lifetime, self.clock.now()) {
            return Ok(None);
        }
        match sessions.live_by_id(&portal.content.session).await? {
            Some(session) => self.redeem_portal(portal, session).await,
            None => Ok(None),
        }
    }

    async fn redeem_legacy(
        &self,
        key: &ApiKey,
        token: Envelope<LegacyHandoff>,
    ) -> Result<Option<RedeemedHandoff>, DirectoryError> {
        let lifetime = Duration::from_secs(self.config.legacy.handoff_seconds);
        let biller = token.content.flow.biller.as_ref();
        let is_foreign = key.audience == Some(Audience::Portal)
            || key.billers.is_some() && !biller.is_some_and(|biller| key.permits_biller(biller));
        if is_foreign || token.is_expired(lifetime, self.clock.now()) {
            return Ok(None);
        }
        if !self.consume_legacy(&token.id, token.at.plus(lifetime)).await? {
            return Ok(None);
        }
        let LegacyHandoff { reset, flow } = token.content;
        let recovery = FlowContext { biller: None, failed: true, ..flow.for_recovery() };
        Ok(Some(RedeemedHandoff {
            kind: if reset { HandoffKind::LegacyReset } else { HandoffKind::Legacy },
            recover_url: self.recover_url(&recovery),
            username: flow.name,
            biller: flow.biller,
            locale: flow.locale.unwrap_or_default(),
            return_to: flow.return_to,
            reference: flow.reference,
            identity: None,
        }))
    }

    /// The legacy login must know who is coming also while the database is away: it is where we send everyone then.
    async fn consume_legacy(&self, id: &str, expires_at: Timestamp) -> Result<bool, DirectoryError> {
        match self.consumed.consume_legacy_handoff(id, expires_at).await {
            Err(error) => {
                let is_first = self.consumed.consume_legacy_handoff_offline(id, expires_at);
                tracing::warn!(
                    is_first,
                    error = %error,
                    "a legacy handoff was redeemed without the database; only this instance knows that it is used"
                );
                Ok(is_first)
            }
            consumed => Ok(consumed?),
        }
    }

    async fn redeem_portal(
        &self,
        token: Envelope<PortalHandoff>,
        session: BillerSession,
    ) -> Result<Option<RedeemedHandoff>, DirectoryError> {
        let flow = token.content.flow;
        let biller = match &flow.biller {
            Some(slug) => self.directory.biller_by_slug(slug).await?,
            None => None,
        };
        if !biller.is_some_and(|biller| self.routing.is_sign_in_enabled(&biller, self.clock.now()))
            || !self.consumed.consume(TokenKind::Handoff, &token.id).await?
        {
            return Ok(None);
        }
        let name = Some(session.details.username);
        let recovery = FlowContext { name: name.clone(), biller: None, ..flow.for_recovery() };
        Ok(Some(RedeemedHandoff {
            kind: HandoffKind::Portal,
            recover_url: self.recover_url(&recovery),
            username: name,
            biller: flow.biller,
            locale: flow.locale.unwrap_or_default(),
            return_to: flow.return_to,
            reference: flow.reference,
            identity: Some(Identity {
                sub: session.subject,
                iss: session.issuer,
                auth_time: session.auth_time.seconds(),
                amr: session.details.amr,
                state: flow.portal_state,
            }),
        }))
    }
}

fn kind_text<S: Serializer>(kind: &HandoffKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.as_str())
}

/// Adds what a handoff is about to the log lines of the request that redeems it.
fn note_flow(flow: &FlowContext) {
    if let Some(biller) = &flow.biller {
        note_biller(biller.as_str());
    }
    if !flow.reference.is_empty() {
        note_reference(&flow.reference);
    }
}
