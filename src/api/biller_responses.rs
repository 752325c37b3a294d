//! Responses of `/api/v1/billers`. The settings are answered as they are: they hold no secrets.

use serde::Serialize;
use utoipa::ToSchema;

use super::jobs::JobResponse;
use super::pending_changes::PendingChangeResponse;
use crate::config::Config;
use crate::directory::{Biller, BillerSettings, Branding};
use crate::routing::biller_login_url;
use crate::web::paths;
use signpost_core::decision::{CiamMode, CiamState};
use signpost_core::{BillerId, Colour, Slug, Timestamp};

#[derive(Serialize, ToSchema)]
#[schema(as = Biller)]
pub(crate) struct BillerResponse {
    id: BillerId,
    slug: Slug,
    /// Name as customers know it.
    name: String,
    ciam: Ciam,
    /// The activation date: before it, an active biller counts as legacy.
    #[schema(format = DateTime)]
    active_from: Option<String>,
    /// The biller's own hosts. The first is its sign-in address.
    hosts: Vec<String>,
    branding: BrandingResponse,
    #[serde(flatten)]
    settings: BillerSettings,
}

/// Colours and logo of a biller's pages.
#[derive(Serialize, ToSchema)]
#[schema(as = Branding)]
struct BrandingResponse {
    /// Colour of buttons and links on light pages; null: the default.
    accent: Option<Colour>,
    /// The same on dark pages.
    accent_dark: Option<Colour>,
    logo: Option<LogoResponse>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Logo)]
struct LogoResponse {
    /// Path on this server.
    #[schema(examples("/b/maple-electric/brand/logo.Cq3Vb0mXk1aZ.png"))]
    url: String,
    /// Width in pixels.
    width: u32,
    /// Height in pixels.
    height: u32,
}

/// Migration of a biller to SecureAuth.
#[derive(Serialize, ToSchema)]
struct Ciam {
    /// Whether its users sign in at its own identity provider now.
    active: bool,
    status: CiamState,
    /// How they sign in; null unless Signpost has enabled the biller.
    mode: Option<CiamMode>,
    /// When the biller was migrated.
    #[schema(format = DateTime)]
    activated_at: Option<String>,
    /// The biller's sign-in address.
    #[schema(examples("https://login.example.com/b/maple-electric"))]
    login_url: String,
}

/// The billers that the key has access to, by slug.
#[derive(Serialize, ToSchema)]
pub(crate) struct BillerList {
    pub billers: Vec<BillerResponse>,
}

/// A biller, and the changes in progress.
#[derive(Serialize, ToSchema)]
pub(crate) struct BillerDetails {
    #[serde(flatten)]
    pub biller: BillerResponse,
    /// Users with changes that have not reached SecureAuth yet.
    pub pending_user_changes: i64,
    /// After an update: changes that need an approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub pending_changes: Option<Vec<PendingChangeResponse>>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct CreatedBiller {
    #[serde(flatten)]
    pub details: BillerDetails,
    /// The enablement job, if there is one.
    pub job: Option<JobResponse>,
}

impl BillerResponse {
    pub(crate) fn new(config: &Config, now: Timestamp, biller: &Biller) -> Self {
        let is_migrated = matches!(biller.state, CiamState::Active | CiamState::Suspended);
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
        Self {
            id: biller.id.clone(),
            slug: biller.slug.clone(),
            name: biller.name.clone(),
            ciam: Ciam {
                active: biller.is_active(now),
                status: biller.state,
                mode: biller.ciam_mode,
                activated_at: time(biller.active_from.filter(|_| is_migrated)),
                login_url: biller_login_url(config, biller),
            },
            active_from: time(biller.active_from),
            hosts: biller.hosts.clone(),
            branding: BrandingResponse::new(biller),
            settings: biller.settings.clone(),
        }
    }
}

impl BrandingResponse {
    fn new(biller: &Biller) -> Self {
        let Branding { colours, logo } = &biller.branding;
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
