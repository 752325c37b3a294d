//! A biller's record.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;

use super::branding::Branding;
use super::health::IssuerStatus;
use crate::secureauth::management::PasswordPolicy;
use crate::secureauth::{AuthorizationParams, ClientAuth, Registration};
use signpost_core::decision::{self, CiamMode, CiamState, IssuerHealth, OutagePolicy, SuspensionPolicy};
use signpost_core::{BillerId, KeyRing, LocalizedText, Purpose, Slug, Timestamp};

/// A biller: a tenant whose customers sign in.
#[derive(Clone, Debug)]
pub struct Biller {
    /// Permanent id.
    pub id: BillerId,
    /// Permanent short name.
    pub slug: Slug,
    /// Name as customers know it.
    pub name: String,
    /// CIAM state.
    pub state: CiamState,
    /// `active` counts from here on.
    pub active_from: Option<Timestamp>,
    /// Everything else.
    pub settings: BillerSettings,
    /// Hosts of its own, lower case, with the port where it is not the usual one.
    pub hosts: Vec<String>,
    /// Whether its identity provider answers.
    pub health: IssuerStatus,
    /// The issuer that was seen to name itself in its answers (RFC 9207), and has to from then on.
    pub pinned_iss: Option<String>,
}

/// Settings of a biller that are read as a whole.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BillerSettings {
    /// An operator holds it.
    pub paused: bool,
    /// Never revealed by a username.
    pub private: bool,
    /// Whether any user has a legacy account.
    pub legacy_accounts: bool,
    /// Where users go while it is suspended.
    pub when_suspended: SuspensionPolicy,
    /// What to do while its identity provider is down.
    pub outage_policy: OutagePolicy,
    /// How its users sign in at SecureAuth. A job sets it when it activates the biller; an import sets `sso`.
    pub ciam_mode: Option<CiamMode>,
    /// Whether passwords came along to SecureAuth.
    pub passwords: PasswordCarryOver,
    /// Normalised usernames let in first; none: no list.
    pub rollout_allow: Option<Vec<String>>,
    /// Percentage of usernames let in.
    pub rollout_percent: Option<u8>,
    /// How it signs people in, once moved.
    pub oidc: Option<OidcSettings>,
    /// Where its users are kept at SecureAuth, when no job of ours moved it.
    pub user_pool: Option<UserPoolRef>,
    /// Which passwords its pool at SecureAuth is to take.
    pub password_policy: PasswordPolicy,
    /// Its provider's planned maintenance.
    pub maintenance: Option<Maintenance>,
    /// Its portal's hand-off address, where it has one of its own.
    pub portal_url: Option<String>,
    /// Whom its customers can ask.
    pub support: Support,
    /// Whom we can write to about the biller itself; never shown to customers.
    pub contact_email: Option<String>,
    /// How its pages look.
    pub branding: Branding,
    /// Grows each time it is enabled anew.
    pub generation: i64,
}

/// Whether passwords came along.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PasswordCarryOver {
    /// The password is the same as before.
    #[default]
    Imported,
    /// A new one is asked for at the first sign-in.
    ResetRequired,
}

/// The biller's registration as an OpenID Connect relying party.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OidcSettings {
    /// Issuer identifier, exactly as the provider writes it.
    pub issuer: String,
    /// Client id.
    pub client_id: String,
    /// Client secret, sealed with purpose `Storage` and the biller's id as context.
    #[serde(default)]
    pub client_secret: Option<String>,
    /// Tried when the first is refused; sealed likewise.
    #[serde(default)]
    pub second_client_secret: Option<String>,
    /// How the client authenticates at the token endpoint.
    pub token_auth: TokenAuth,
    /// Scopes asked for.
    pub scopes: Vec<String>,
    /// The claim that tells which user it is.
    pub bind_claim: String,
    /// What that claim holds.
    #[serde(default)]
    pub bind_to: BindTo,
    /// Signature algorithms accepted for ID tokens.
    pub id_token_algs: Vec<String>,
    /// Hosts besides the issuer's where its endpoints may be.
    pub extra_hosts: Vec<String>,
    /// What is asked of a sign-in.
    #[serde(flatten)]
    pub authorization_params: AuthorizationParams,
}

/// Client authentication at the token endpoint (OpenID Connect Core, section 9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenAuth {
    /// HTTP Basic.
    #[default]
    ClientSecretBasic,
    /// In the form.
    ClientSecretPost,
    /// By a token signed with our own key, whose public half is at `/.well-known/jwks.json`.
    PrivateKeyJwt,
}

/// What the claim that tells which user it is holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BindTo {
    /// The username.
    #[default]
    Username,
    /// Our user id.
    UserId,
}

/// Where a moved biller's users are kept at SecureAuth.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UserPoolRef {
    /// Id of its organization.
    pub organization: String,
    /// Id of the pool with its users.
    pub pool: String,
    /// Its users sign in at a provider of the biller's own: SecureAuth has no passwords of theirs.
    pub sso: bool,
}

/// A time for which a biller's provider is announced to be away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maintenance {
    /// From when on.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// Minutes east of UTC in which people are told the times.
    pub utc_offset_minutes: i16,
}

/// Whom a biller's customers can ask, and how else to pay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Support {
    /// Telephone number.
    pub phone: Option<String>,
    /// Mail address.
    pub email: Option<String>,
    /// When somebody answers, in words.
    pub hours: Option<LocalizedText>,
    /// Another way to pay, in words.
    pub alternative_payment: Option<LocalizedText>,
}

impl Maintenance {
    pub fn window(&self) -> decision::MaintenanceWindow {
        decision::MaintenanceWindow { from: self.from, until: self.until }
    }
}

impl Biller {
    /// The maintenance during which the biller's identity provider is away at this moment.
    pub fn maintenance_at(&self, moment: Timestamp) -> Option<Maintenance> {
        self.settings.maintenance.filter(|maintenance| maintenance.window().contains(moment))
    }

    /// What the routing decision needs to know.
    pub fn facts(&self) -> decision::Biller {
        let settings = &self.settings;
        decision::Biller {
            slug: self.slug.clone(),
            state: self.state,
            active_from: self.active_from,
            ciam_mode: settings.ciam_mode,
            paused: settings.paused,
            private: settings.private,
            legacy_accounts: settings.legacy_accounts,
            when_suspended: settings.when_suspended,
            rollout: decision::RolloutFacts {
                allow_list: settings.rollout_allow.is_some(),
                percent: settings.rollout_percent,
            },
            issuer: if self.health.is_down { IssuerHealth::Down } else { IssuerHealth::Up },
            maintenance: settings.maintenance.map(|maintenance| maintenance.window()),
            outage_policy: settings.outage_policy,
        }
    }

    /// Whether a normalised username is on the rollout's allow-list.
    pub fn is_on_allow_list(&self, username_key: &str) -> bool {
        self.settings.rollout_allow.as_ref().is_some_and(|list| list.iter().any(|key| key == username_key))
    }

    /// Its registration at its issuer; none when it has none, or its secret was sealed under a key that is gone.
    pub fn registration(&self, keys: &KeyRing, redirect_uri: Url) -> Option<Registration> {
        let oidc = self.settings.oidc.as_ref()?;
        let open = |sealed: &String| keys.open::<String>(Purpose::Storage, self.id.as_str(), sealed);
        let secrets = [&oidc.client_secret, &oidc.second_client_secret]
            .into_iter()
            .flatten()
            .filter_map(|sealed| open(sealed).map(SecretString::from).ok());
        let auth: Vec<ClientAuth> = match oidc.token_auth {
            TokenAuth::ClientSecretBasic => secrets.map(ClientAuth::Basic).collect(),
            TokenAuth::ClientSecretPost => secrets.map(ClientAuth::Post).collect(),
            TokenAuth::PrivateKeyJwt => vec![ClientAuth::PrivateKey(keys.signing_key())],
        };
        if auth.is_empty() {
            tracing::error!(biller = %self.slug, "no client secret can be opened with the present keys");
            return None;
        }
        Some(Registration {
            issuer: oidc.issuer.clone(),
            client_id: oidc.client_id.clone(),
            auth,
            redirect_uri,
            scopes: oidc.scopes.clone(),
            id_token_algs: oidc.id_token_algs.clone(),
            extra_hosts: oidc.extra_hosts.clone(),
            authorization_params: oidc.authorization_params.clone(),
        })
    }

    /// Whether it signs people in itself at this moment.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.facts().is_active(now)
    }
}
