//! Hand-offs: opaque, short-lived, single-use tokens by which another system learns who is coming and why.
//!
//! A sealed token needs no row until it is redeemed; the first redemption wins by one insert.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::biller_sessions::{BillerSession, BillerSessions};
use super::paths;
use crate::access::{ApiKey, Audience};
use crate::db::{Db, DbError};
use crate::directory::DirectoryError;
use crate::state::AppState;
use crate::values;
use signpost_core::{Locale, Purpose, ReferenceCode, Slug, Timestamp, UsernameInput};

const FIND_CONSUMED: &str = "SELECT 1 FROM consumed_token WHERE kind = $1 AND id = $2";
const INSERT_CONSUMED: &str =
    "INSERT INTO consumed_token (kind, id, expires_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";

/// Room for the longest username, return target and slug, so that every legacy token has one length.
const PADDED_LENGTH: usize = 1024;
const DEFAULT_LEGACY_TOKEN_SECONDS: u64 = 120;
const DEFAULT_PORTAL_TOKEN_SECONDS: u64 = 60;
/// What was used is remembered for longer than any token lives (the settings allow an hour).
const CONSUMED_TOKEN_RETENTION: Duration = Duration::from_secs(24 * 3600);

/// What the person takes along to another system.
#[derive(Clone, Debug, Default)]
pub struct HandoffPayload {
    /// The language the person reads.
    pub locale: Locale,
    /// The name typed.
    pub name: Option<UsernameInput>,
    /// The biller, if it may be told.
    pub biller: Option<Slug>,
    /// A path of the portal.
    pub return_to: Option<String>,
    /// The decision's reference code.
    pub code: String,
}

#[derive(Serialize, Deserialize)]
struct LegacyToken {
    id: String,
    at: Timestamp,
    #[serde(default)]
    locale: Locale,
    reset: bool,
    name: Option<String>,
    biller: Option<Slug>,
    return_to: Option<String>,
    code: String,
}

#[derive(Serialize, Deserialize)]
struct PortalToken {
    id: String,
    at: Timestamp,
    #[serde(default)]
    locale: Locale,
    session: String,
    slug: Slug,
    return_to: Option<String>,
    code: String,
    state: Option<String>,
}

/// Opens the recovery page, nothing else.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct FlowToken {
    /// The language of the page that it was made for.
    #[serde(default)]
    pub locale: Option<Locale>,
    /// The name typed.
    pub name: Option<String>,
    /// A path of the portal.
    pub return_to: Option<String>,
    /// The biller whose page it was made on.
    #[serde(default)]
    pub biller: Option<Slug>,
    /// The other system could not let the person in.
    #[serde(default)]
    pub failed: bool,
}

/// What redeeming a hand-off tells.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RedeemedHandoff {
    /// `legacy`, `legacy_reset` or `portal`.
    pub kind: &'static str,
    /// The username, as typed or (portal) as the directory has it.
    pub username: Option<String>,
    /// The biller, if known.
    pub biller: Option<Slug>,
    /// Language of the person.
    pub locale: Locale,
    /// A path of the portal.
    pub return_to: Option<String>,
    /// The decision's reference code.
    pub reference: String,
    /// Where to send a person who cannot sign in.
    pub recover_url: String,
    /// Who vouched for the person; portals only.
    #[serde(flatten)]
    #[schema(value_type = Identity)]
    pub identity: Option<Identity>,
}

/// Who vouched for the person: all of it, or (legacy) nothing.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Identity {
    /// Subject at the issuer.
    #[schema(required = false)]
    pub sub: String,
    /// The issuer.
    #[schema(required = false)]
    pub iss: String,
    /// When the person authenticated, in seconds since the Unix epoch.
    #[schema(required = false)]
    pub auth_time: i64,
    /// How.
    #[schema(required = false)]
    pub amr: Vec<String>,
    /// What the portal passed when it started the visit; null for a visit that it did not start.
    #[schema(required = false)]
    pub state: Option<String>,
}

/// The address of the legacy login, with a hand-off.
pub fn legacy_login_url(state: &AppState, payload: &HandoffPayload) -> String {
    let legacy = &state.config.legacy;
    match (&legacy.login_url, &legacy.login_template) {
        (Some(url), _) => paths::with_query(url.as_str(), "token", &legacy_token(state, payload, false)),
        (None, Some(template)) => fill_template(template, payload),
        (None, None) => paths::absolute(&state.config, paths::HELP).to_string(),
    }
}

/// The address of the legacy password reset, with a hand-off; the recovery page where there is none.
pub fn legacy_reset_url(state: &AppState, payload: &HandoffPayload) -> String {
    match &state.config.legacy.reset_url {
        Some(url) => paths::with_query(url.as_str(), "token", &legacy_token(state, payload, true)),
        None => paths::RECOVER.to_owned(),
    }
}

/// The origin that `/login` may redirect its form to.
pub fn legacy_origin(state: &AppState) -> Option<String> {
    let legacy = &state.config.legacy;
    let template =
        legacy.login_template.as_deref().and_then(|text| url::Url::parse(&text.replace(['{', '}'], "")).ok());
    let url = legacy.login_url.clone().or(template)?;
    Some(url.origin().ascii_serialization())
}

/// The address of a biller's portal, with a hand-off for somebody signed in.
pub fn portal_url(
    state: &AppState,
    session: &BillerSession,
    slug: &Slug,
    own_portal: Option<&str>,
    payload: &HandoffPayload,
    portal_state: Option<String>,
) -> String {
    let token = PortalToken {
        id: state.random.token::<16>(),
        at: state.clock.now(),
        locale: payload.locale,
        session: session.id.clone(),
        slug: slug.clone(),
        return_to: payload.return_to.clone(),
        code: payload.code.clone(),
        state: portal_state,
    };
    let sealed = state.keys.seal(Purpose::PortalHandoff, "", &token);
    let shared = state.config.portal.handoff_url.as_ref().map(url::Url::as_str);
    let address = own_portal.or(shared).unwrap_or(paths::HELP);
    paths::with_query(address, "token", &sealed)
}

/// The address of the recovery page for somebody whom another system could not let in.
pub fn recover_url(state: &AppState, token: &FlowToken) -> String {
    let sealed = state.keys.seal(Purpose::Recovery, "", token);
    paths::with_query(paths::absolute(&state.config, paths::RECOVER).as_str(), "t", &sealed)
}

/// Redeems a token for the holder of a key. Used, expired, foreign and unknown are all none.
///
/// # Errors
/// The database failed; the token can be tried again.
pub async fn redeem(state: &AppState, key: &ApiKey, token: &str) -> Result<Option<RedeemedHandoff>, DirectoryError> {
    if let Ok(legacy) = state.keys.open::<LegacyToken>(Purpose::LegacyHandoff, "", token) {
        return redeem_legacy(state, key, legacy).await;
    }
    match state.keys.open::<PortalToken>(Purpose::PortalHandoff, "", token) {
        Ok(portal) => redeem_portal(state, key, portal).await,
        Err(_) => Ok(None),
    }
}

async fn redeem_legacy(
    state: &AppState,
    key: &ApiKey,
    token: LegacyToken,
) -> Result<Option<RedeemedHandoff>, DirectoryError> {
    let life = Duration::from_secs(state.config.legacy.handoff_seconds.unwrap_or(DEFAULT_LEGACY_TOKEN_SECONDS));
    let foreign = key.audience == Some(Audience::Portal)
        || key.billers.is_some() && !token.biller.as_ref().is_some_and(|biller| key.permits_biller(biller));
    if foreign || token.at.plus(life) <= state.clock.now() || !consume_token(state, "handoff", &token.id).await? {
        return Ok(None);
    }
    Ok(Some(RedeemedHandoff {
        kind: if token.reset { "legacy_reset" } else { "legacy" },
        recover_url: recover_url(
            state,
            &FlowToken {
                locale: Some(token.locale),
                name: token.name.clone(),
                return_to: token.return_to.clone(),
                failed: true,
                ..FlowToken::default()
            },
        ),
        username: token.name,
        biller: token.biller,
        locale: token.locale,
        return_to: token.return_to,
        reference: token.code,
        identity: None,
    }))
}

async fn redeem_portal(
    state: &AppState,
    key: &ApiKey,
    token: PortalToken,
) -> Result<Option<RedeemedHandoff>, DirectoryError> {
    let life = Duration::from_secs(state.config.portal.handoff_seconds.unwrap_or(DEFAULT_PORTAL_TOKEN_SECONDS));
    let foreign = key.audience == Some(Audience::Legacy) || !key.permits_biller(&token.slug);
    if foreign || token.at.plus(life) <= state.clock.now() {
        return Ok(None);
    }
    let Some(session) = BillerSessions::new(state).live_by_id(&token.session).await? else { return Ok(None) };
    let biller = state.directory.biller_by_slug(&token.slug).await?;
    if !biller.is_some_and(|biller| state.routing.is_sign_in_enabled(&biller, state.clock.now())) {
        return Ok(None);
    }
    if !consume_token(state, "handoff", &token.id).await? {
        return Ok(None);
    }
    let username = session.details.username;
    Ok(Some(RedeemedHandoff {
        kind: "portal",
        recover_url: recover_url(
            state,
            &FlowToken {
                locale: Some(token.locale),
                name: Some(username.clone()),
                return_to: token.return_to.clone(),
                ..FlowToken::default()
            },
        ),
        username: Some(username),
        biller: Some(token.slug),
        locale: token.locale,
        return_to: token.return_to,
        reference: token.code,
        identity: Some(Identity {
            sub: session.subject,
            iss: session.issuer,
            auth_time: session.auth_time.seconds(),
            amr: session.details.amr,
            state: token.state,
        }),
    }))
}

/// Marks something as used; answers whether this was the first time. Two at once: one of them.
///
/// # Errors
/// The database failed: then it must count as used.
pub async fn consume_token(state: &AppState, kind: &'static str, id: &str) -> Result<bool, DbError> {
    insert_consumed(&state.db, kind, id, state.clock.now().plus(CONSUMED_TOKEN_RETENTION)).await
}

/// Whether something was marked as used before.
///
/// # Errors
/// The database failed.
pub async fn is_token_consumed(state: &AppState, kind: &'static str, id: &str) -> Result<bool, DbError> {
    Ok(state.db.one(FIND_CONSUMED, values![kind, id]).await?.is_some())
}

async fn insert_consumed(db: &Db, kind: &str, id: &str, until: Timestamp) -> Result<bool, DbError> {
    Ok(db.run(INSERT_CONSUMED, values![kind, id, until]).await? > 0)
}

fn legacy_token(state: &AppState, payload: &HandoffPayload, reset: bool) -> String {
    let token = LegacyToken {
        id: state.random.token::<16>(),
        at: state.clock.now(),
        locale: payload.locale,
        reset,
        name: payload.name.as_ref().map(|name| name.raw().to_owned()),
        biller: payload.biller.clone(),
        return_to: payload.return_to.clone(),
        code: payload.code.clone(),
    };
    state.keys.seal_padded(Purpose::LegacyHandoff, "", &token, PADDED_LENGTH)
}

/// The biller is left out on purpose: it would tell a legacy username from an unknown one.
fn fill_template(template: &str, payload: &HandoffPayload) -> String {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let filled = template
        .replace("{username}", &encode(payload.name.as_ref().map_or("", UsernameInput::raw)))
        .replace("{locale}", payload.locale.tag())
        .replace("{return_to}", &encode(payload.return_to.as_deref().unwrap_or_default()));
    // Through the parser, so that whatever the template holds is fit for a header.
    url::Url::parse(&filled).map_or_else(|_| paths::HELP.to_owned(), String::from)
}

impl HandoffPayload {
    /// For a decision.
    pub fn new(
        code: &ReferenceCode,
        locale: Locale,
        name: Option<UsernameInput>,
        biller: Option<Slug>,
        return_to: Option<String>,
    ) -> Self {
        Self { locale, name, biller, return_to, code: code.to_string() }
    }
}
