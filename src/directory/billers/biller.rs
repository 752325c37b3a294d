//! A biller's record.

use secrecy::SecretString;
use url::Url;

use super::branding::Branding;
use super::oidc::{ClientSecrets, TokenAuth};
use super::settings::{BillerSettings, Maintenance, UserPoolRef};
use crate::secureauth::{ClientAuth, Registration};
use signpost_core::decision::{self, CiamMode, CiamState, IssuerHealth};
use signpost_core::{BillerId, KeyRing, Purpose, Slug, Timestamp};

/// A tenant whose customers sign in.
#[derive(Clone, Debug)]
pub struct Biller {
    pub id: BillerId,
    /// Never changes.
    pub slug: Slug,
    /// Name as customers know it.
    pub name: String,
    pub state: CiamState,
    /// The activation date: before it, an active biller counts as legacy. None: none.
    pub active_from: Option<Timestamp>,
    pub settings: BillerSettings,
    pub client_secrets: ClientSecrets,
    /// Where SecureAuth keeps its users, unless one of our jobs created the pool.
    pub user_pool: Option<UserPoolRef>,
    pub maintenance: Option<Maintenance>,
    pub branding: Branding,
    /// How its users sign in at SecureAuth. A job sets it when it activates the biller; an import sets `sso`.
    pub ciam_mode: Option<CiamMode>,
    /// Grows with each enablement.
    pub generation: i64,
    /// The biller's own hosts in lower case, with the port unless it is the default. The first is its sign-in address.
    pub hosts: Vec<String>,
    pub health: IssuerStatus,
    /// The issuer that was seen to name itself in its responses (RFC 9207): from then on it has to.
    pub pinned_iss: Option<String>,
}

/// A biller's identity provider as our own calls last met it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IssuerStatus {
    pub is_down: bool,
    /// Consecutive failures.
    pub failures: i64,
    /// Code of the last failure.
    pub reason: String,
    /// When it went down or came back.
    pub since: Option<Timestamp>,
    /// Why the registration or the provider is set up wrong. It does not open the circuit breaker.
    pub fault: Option<String>,
    pub fault_since: Option<Timestamp>,
}

impl Biller {
    /// A new biller in state `legacy`.
    pub fn new(id: BillerId, slug: Slug) -> Self {
        Self {
            id,
            slug,
            name: String::new(),
            state: CiamState::Legacy,
            active_from: None,
            settings: BillerSettings { legacy_accounts: true, ..BillerSettings::default() },
            client_secrets: ClientSecrets::default(),
            user_pool: None,
            maintenance: None,
            branding: Branding::default(),
            ciam_mode: None,
            generation: 1,
            hosts: Vec::new(),
            health: IssuerStatus::default(),
            pinned_iss: None,
        }
    }

    /// What the routing decision needs to know.
    pub fn facts(&self) -> decision::Biller {
        let settings = &self.settings;
        decision::Biller {
            slug: self.slug.clone(),
            state: self.state,
            active_from: self.active_from,
            ciam_mode: self.ciam_mode,
            paused: settings.paused,
            private: settings.private,
            legacy_accounts: settings.legacy_accounts,
            when_suspended: settings.when_suspended,
            rollout: (&settings.rollout).into(),
            issuer: if self.health.is_down { IssuerHealth::Down } else { IssuerHealth::Up },
            maintenance: self.maintenance.map(|maintenance| maintenance.window()),
            outage_policy: settings.outage_policy,
        }
    }

    /// Its registration at its issuer; none without one, or if no key can open its secrets.
    pub fn registration(&self, keys: &KeyRing, redirect_uri: Url) -> Option<Registration> {
        let oidc = self.settings.oidc.as_ref()?;
        let open = |sealed: &String| keys.open::<String>(Purpose::Storage, self.id.as_str(), sealed);
        let secrets = [&self.client_secrets.current, &self.client_secrets.second]
            .into_iter()
            .flatten()
            .filter_map(|sealed| open(sealed).map(SecretString::from).ok());
        let auth: Vec<ClientAuth> = match oidc.token_auth {
            TokenAuth::ClientSecretBasic => secrets.map(ClientAuth::Basic).collect(),
            TokenAuth::ClientSecretPost => secrets.map(ClientAuth::Post).collect(),
            TokenAuth::PrivateKeyJwt => vec![ClientAuth::PrivateKey(keys.signing_key())],
        };
        if auth.is_empty() {
            tracing::error!(biller = %self.slug, "no client secret can be opened with the current keys");
            return None;
        }
        Some(Registration {
            biller: Some(self.slug.clone()),
            issuer: oidc.issuer.clone(),
            client_id: oidc.client_id.clone(),
            auth,
            redirect_uri,
            scopes: oidc.scopes.clone(),
            id_token_algs: oidc.id_token_algs.clone(),
            extra_hosts: oidc.extra_hosts.clone(),
            authorization_params: oidc.authorization_params(),
            claims: vec![oidc.bind_claim.clone()],
        })
    }

    /// The maintenance during which the biller's identity provider is away at this moment.
    pub fn maintenance_at(&self, moment: Timestamp) -> Option<Maintenance> {
        self.maintenance.filter(|maintenance| maintenance.window().contains(moment))
    }

    /// Whether the biller is active, and its activation date has come.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.facts().is_active(now)
    }
}
