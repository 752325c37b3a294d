//! A biller, as machines see it: no secrets.

use serde::Serialize;
use utoipa::ToSchema;

use super::jobs::JobResponse;
use super::pending_changes::PendingChangeResponse;
use crate::directory::{Biller, BindTo, Branding, OidcSettings, PasswordCarryOver, Support, TokenAuth};
use crate::routing::biller_login_url;
use crate::secureauth::management::PasswordPolicy;
use crate::state::AppState;
use crate::web::paths;
use signpost_core::decision::{CiamMode, CiamState, OutagePolicy, SuspensionPolicy};
use signpost_core::{BillerId, Colour, Slug, Timestamp};

/// A biller.
#[derive(Serialize, ToSchema)]
#[schema(as = Biller)]
pub(super) struct BillerResponse {
    id: BillerId,
    slug: Slug,
    /// Name as customers know it.
    name: String,
    ciam: Ciam,
    /// `active` counts from here on.
    #[schema(format = DateTime)]
    active_from: Option<String>,
    /// Whether passwords came along to SecureAuth.
    passwords: PasswordCarryOver,
    /// Never revealed by a username.
    private: bool,
    /// Held by an operator.
    paused: bool,
    /// Whether any user has a legacy account.
    legacy_accounts: bool,
    when_suspended: SuspensionPolicy,
    outage_policy: OutagePolicy,
    /// Hosts of its own.
    hosts: Vec<String>,
    rollout: Rollout,
    /// How it signs people in, once moved.
    oidc: Option<Oidc>,
    /// Its portal's hand-off address, where it has one of its own.
    portal_url: Option<String>,
    support: Support,
    /// Whom we can write to about the biller itself.
    contact_email: Option<String>,
    /// Which passwords its pool at SecureAuth is to take; what is left out is left to SecureAuth.
    password_policy: PasswordPolicy,
    branding: BrandingResponse,
}

/// How a biller's pages look.
#[derive(Serialize, ToSchema)]
#[schema(as = Branding)]
struct BrandingResponse {
    /// Buttons and links on light pages; null: as usual.
    accent: Option<Colour>,
    /// The same on dark pages.
    accent_dark: Option<Colour>,
    logo: Option<LogoResponse>,
}

/// A biller's logo.
#[derive(Serialize, ToSchema)]
#[schema(as = Logo)]
struct LogoResponse {
    /// Where it is, from our own address on.
    #[schema(examples("/b/maple-electric/brand/logo.Cq3Vb0mXk1aZ.png"))]
    url: String,
    /// Width in pixels.
    width: u32,
    /// Height in pixels.
    height: u32,
}

/// Where a biller's move stands.
#[derive(Serialize, ToSchema)]
struct Ciam {
    /// Whether its people sign in by themselves now.
    active: bool,
    status: CiamState,
    /// How they sign in, once moved.
    mode: Option<CiamMode>,
    /// When it was moved.
    #[schema(format = DateTime)]
    activated_at: Option<String>,
    /// The biller's own address, to be handed out.
    #[schema(examples("https://login.example.com/b/maple-electric"))]
    login_url: String,
}

/// For whom `active` counts.
#[derive(Serialize, ToSchema)]
struct Rollout {
    /// Normalised usernames let in first; null: no list.
    allow: Option<Vec<String>>,
    /// Percentage of usernames let in; null: all.
    percent: Option<u8>,
}

/// A registration at an OpenID Connect provider, without its secrets.
#[derive(Serialize, ToSchema)]
struct Oidc {
    /// Issuer identifier, exactly as the provider writes it.
    issuer: String,
    client_id: String,
    token_auth: TokenAuth,
    /// Scopes asked for besides `openid`.
    scopes: Vec<String>,
    /// The claim that tells which user it is.
    bind_claim: String,
    bind_to: BindTo,
    /// Signature algorithms accepted for ID tokens.
    id_token_algs: Vec<String>,
    /// Hosts besides the issuer's where its endpoints may be.
    extra_hosts: Vec<String>,
    /// `prompt` of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    prompt: Option<String>,
    /// `acr_values` of the request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    acr_values: Vec<String>,
    /// Seconds since the person signed in at the provider, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    max_age: Option<u32>,
    /// The answer comes back in a form.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    form_post: bool,
}

/// All that the key reaches, by slug.
#[derive(Serialize, ToSchema)]
pub(super) struct BillerList {
    pub billers: Vec<BillerResponse>,
}

/// A biller, and what is under way.
#[derive(Serialize, ToSchema)]
pub(super) struct BillerDetails {
    #[serde(flatten)]
    pub biller: BillerResponse,
    /// Users whose changes have not reached SecureAuth yet.
    pub pending_user_changes: i64,
    /// After a change: what waits for a second person.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub pending_changes: Option<Vec<PendingChangeResponse>>,
}

/// A biller that was made.
#[derive(Serialize, ToSchema)]
pub(super) struct CreatedBiller {
    #[serde(flatten)]
    pub details: BillerDetails,
    /// What enables it; null: nothing does.
    pub job: Option<JobResponse>,
}

impl BillerResponse {
    pub(super) fn new(state: &AppState, biller: &Biller) -> Self {
        let settings = &biller.settings;
        let moved = matches!(biller.state, CiamState::Active | CiamState::Suspended);
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
        Self {
            id: biller.id.clone(),
            slug: biller.slug.clone(),
            name: biller.name.clone(),
            ciam: Ciam {
                active: biller.is_active(state.clock.now()),
                status: biller.state,
                mode: settings.ciam_mode,
                activated_at: time(biller.active_from.filter(|_| moved)),
                login_url: biller_login_url(&state.config, biller),
            },
            active_from: time(biller.active_from),
            passwords: settings.passwords,
            private: settings.private,
            paused: settings.paused,
            legacy_accounts: settings.legacy_accounts,
            when_suspended: settings.when_suspended,
            outage_policy: settings.outage_policy,
            hosts: biller.hosts.clone(),
            rollout: Rollout { allow: settings.rollout_allow.clone(), percent: settings.rollout_percent },
            oidc: settings.oidc.as_ref().map(Oidc::new),
            portal_url: settings.portal_url.clone(),
            support: settings.support.clone(),
            contact_email: settings.contact_email.clone(),
            password_policy: settings.password_policy,
            branding: BrandingResponse::new(biller),
        }
    }
}

impl BrandingResponse {
    fn new(biller: &Biller) -> Self {
        let Branding { colours, logo } = &biller.settings.branding;
        Self {
            accent: colours.map(|colours| colours.accent),
            accent_dark: colours.map(|colours| colours.accent_dark),
            logo: logo.as_ref().map(|logo| LogoResponse {
                url: paths::brand_logo(&biller.slug, &logo.hash),
                width: logo.width,
                height: logo.height,
            }),
        }
    }
}

impl Oidc {
    fn new(oidc: &OidcSettings) -> Self {
        let OidcSettings { issuer, client_id, scopes, bind_claim, id_token_algs, extra_hosts, .. } = oidc.clone();
        let authorization_params = oidc.authorization_params.clone();
        Self {
            issuer,
            client_id,
            token_auth: oidc.token_auth,
            scopes,
            bind_claim,
            bind_to: oidc.bind_to,
            id_token_algs,
            extra_hosts,
            prompt: authorization_params.prompt,
            acr_values: authorization_params.acr_values,
            max_age: authorization_params.max_age,
            form_post: authorization_params.form_post,
        }
    }
}
