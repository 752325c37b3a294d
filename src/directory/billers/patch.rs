//! A change of a biller: what files, the API and the console's forms are read into.

use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;
use utoipa::ToSchema;

use super::biller::Biller;
use super::branding_patch::BrandingPatch;
use super::oidc::OidcSettings;
use super::settings::{PasswordCarryOver, Support, UserPoolRef};
use crate::audit::ActorContext;
use crate::config::{AddressPolicy, check_display_text, check_mail_address, check_phone, check_url, is_host_name};
use crate::secureauth::management::PasswordPolicy;
use signpost_core::decision::{CiamMode, CiamState, OutagePolicy, SuspensionPolicy};
use signpost_core::{FieldErrors, KeyRing, Locale, Rollout, Timestamp};

/// A change of a biller. What is left out stays as it is; a new biller gets the default. An empty list, table or text removes the
/// setting.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BillerPatch {
    /// Name as customers know it.
    pub name: Option<String>,
    /// `legacy` (default), `active` or `suspended`.
    pub state: Option<CiamState>,
    /// The activation date (RFC 3339): before it, an active biller counts as legacy. Empty: none.
    pub active_from: Option<String>,
    /// Whether passwords were imported into SecureAuth.
    pub passwords: Option<PasswordCarryOver>,
    /// A username alone never reveals the biller.
    pub private: Option<bool>,
    /// Pauses the biller: its customers get the maintenance page.
    pub paused: Option<bool>,
    /// Whether any of its users has a legacy account (default: yes).
    pub legacy_accounts: Option<bool>,
    /// Where users go while the biller is suspended.
    pub when_suspended: Option<SuspensionPolicy>,
    /// Where users go while the biller's identity provider is down.
    pub outage_policy: Option<OutagePolicy>,
    /// The biller's own hosts, such as `pay.riverside.example`. The first is its sign-in address.
    pub hosts: Option<Vec<String>>,
    /// For whom an active biller counts as migrated; replaced as a whole. Empty: for all users.
    pub rollout: Option<Rollout>,
    /// The registration at the biller's OpenID Connect provider; replaced as a whole, except for client secrets. Required for
    /// `active`.
    pub oidc: Option<OidcSettings>,
    /// Where SecureAuth keeps the users of a biller that was migrated before Signpost was installed.
    pub secureauth: Option<UserPoolRef>,
    /// The biller's own handoff address. Empty: the shared one.
    pub portal_url: Option<String>,
    /// How its customers get help; replaced as a whole.
    pub support: Option<Support>,
    /// Email address of the biller itself; customers never see it. Empty: none.
    pub contact_email: Option<String>,
    /// Which passwords the biller's pool at SecureAuth accepts; replaced as a whole. Empty: SecureAuth decides.
    pub password_policy: Option<PasswordPolicy>,
    /// Colours and logo of its pages. Empty: the company's.
    pub branding: Option<BrandingPatch>,
}

/// What a change needs besides its fields.
#[derive(Clone, Debug)]
pub struct ImportContext {
    /// Seals client secrets.
    pub keys: KeyRing,
    /// Where issuers and portals may be.
    pub addresses: AddressPolicy,
    /// Changes of where users sign in need an approval, unless Signpost itself is the actor.
    pub actor: ActorContext,
    /// The hosts of our own listeners, which no biller can have.
    pub own_hosts: Vec<String>,
}

impl BillerPatch {
    /// Reads a JSON object. Reports every field of the wrong type.
    pub fn from_json(fields: Map<String, Value>) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::default();
        for (name, value) in &fields {
            // Derived implementations read an array as the values of an object's fields.
            if value.is_array() && name != "hosts" {
                errors.push(name.as_str(), "must not be an array");
                continue;
            }
            let field = Value::Object(Map::from_iter([(name.clone(), value.clone())]));
            if let Err(error) = serde_path_to_error::deserialize::<_, Self>(field) {
                let path = error.path().to_string().replace('[', ".").replace(']', "");
                // The text of the error quotes the value, which may be a secret.
                let is_secret = path.contains("secret");
                let message = if is_secret { "is not a secret".to_owned() } else { error.into_inner().to_string() };
                errors.push(path, message);
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        serde_json::from_value(Value::Object(fields)).map_err(|error| {
            errors.push("", error.to_string());
            errors
        })
    }

    /// Changes a biller. After errors the caller must discard the biller.
    pub(super) fn apply(self, biller: &mut Biller, context: &ImportContext) -> FieldErrors {
        // Every field is named here, so that the compiler reports one that is never applied.
        let Self {
            name,
            state,
            active_from,
            passwords,
            private,
            paused,
            legacy_accounts,
            when_suspended,
            outage_policy,
            hosts,
            rollout,
            oidc,
            secureauth,
            portal_url,
            support,
            contact_email,
            password_policy,
            branding,
        } = self;
        let mut errors = FieldErrors::default();
        let changes_sign_in = oidc.is_some() || secureauth.is_some();
        let settings = &mut biller.settings;
        set(&mut settings.passwords, passwords);
        set(&mut settings.private, private);
        set(&mut settings.paused, paused);
        set(&mut settings.legacy_accounts, legacy_accounts);
        set(&mut settings.when_suspended, when_suspended);
        set(&mut settings.outage_policy, outage_policy);
        let support = support.and_then(|support| errors.check_object("support", check_support(support)));
        set(&mut settings.support, support);
        let rollout = rollout.and_then(|rollout| errors.check_object("rollout", rollout.normalized()));
        set(&mut settings.rollout, rollout);
        let email = contact_email.map(|text| unless_empty(&text, parse_email, "an email address"));
        set(&mut settings.contact_email, email.and_then(|email| errors.check("contact_email", email)));
        let url = portal_url.map(|text| parse_url(&text, &context.addresses));
        set(&mut settings.portal_url, url.and_then(|url| errors.check("portal_url", url)));
        for (_, message) in password_policy.iter().flat_map(PasswordPolicy::problems) {
            errors.push("password_policy", message);
        }
        set(&mut settings.password_policy, password_policy);
        set(&mut biller.name, name.map(|name| name.trim().to_owned()));
        errors.check("name", check_name(&biller.name));
        let time = active_from.map(|text| {
            let parse = |text: &str| Timestamp::parse(text);
            unless_empty(&text, parse, "a time such as 2026-11-22T08:00:00Z or a date such as 2026-11-22 (UTC)")
        });
        set(&mut biller.active_from, time.and_then(|time| errors.check("active_from", time)));
        let hosts =
            hosts.map(|hosts| hosts.iter().filter_map(|host| errors.check("hosts", parse_host(host))).collect());
        set(&mut biller.hosts, hosts);
        let branding = branding.and_then(|patch| errors.check_object("branding", patch.apply(&biller.branding)));
        set(&mut biller.branding, branding);
        if let Some(oidc) = oidc {
            errors.check_object("oidc", set_oidc(biller, oidc, context));
        }
        let user_pool = secureauth.and_then(|user_pool| errors.check("secureauth", check_user_pool(user_pool)));
        if let Some(user_pool) = user_pool {
            let mode = biller.ciam_mode.filter(|mode| *mode != CiamMode::Sso);
            biller.ciam_mode = user_pool.sso.then_some(CiamMode::Sso).or(mode);
            biller.user_pool = Some(user_pool);
        }
        errors.check("state", check_state(biller, state, changes_sign_in));
        if state == Some(CiamState::Active) && biller.settings.oidc.is_none() {
            errors.push("oidc", "is required for an active biller");
        }
        set(&mut biller.state, state);
        errors
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

/// An empty text removes the setting.
fn unless_empty<T>(text: &str, parse: impl FnOnce(&str) -> Option<T>, expected: &str) -> Result<Option<T>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    parse(text).map(Some).ok_or_else(|| format!("{text:?} is not {expected}"))
}

/// An empty text removes the address.
fn parse_url(text: &str, addresses: &AddressPolicy) -> Result<Option<String>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let url = Url::parse(text).map_err(|_| format!("{text:?} is not a URL such as https://portal.example.com/in"))?;
    check_url(&url, addresses).map_err(str::to_owned)?;
    Ok(Some(url.into()))
}

fn parse_email(text: &str) -> Option<String> {
    check_mail_address(text).is_ok().then(|| text.to_owned())
}

fn check_name(name: &str) -> Result<(), &'static str> {
    let is_valid = !name.is_empty() && name.len() <= 100 && check_display_text(name).is_ok() && !name.contains('\n');
    if is_valid { Ok(()) } else { Err("must have 1 to 100 printable characters") }
}

/// Contacts are shown as links, and texts as they are.
fn check_support(support: Support) -> Result<Support, FieldErrors> {
    let mut errors = FieldErrors::default();
    let mut check = |field: &str, text: Option<&str>, check: fn(&str) -> Result<(), &'static str>| {
        if let Some(problem) = text.filter(|text| !text.is_empty()).and_then(|text| check(text).err()) {
            errors.push(field, problem);
        }
    };
    check("email", support.email.as_deref(), check_mail_address);
    check("phone", support.phone.as_deref(), check_phone);
    for (field, text) in [("hours", &support.hours), ("alternative_payment", &support.alternative_payment)] {
        for locale in Locale::ALL {
            let text = text.as_ref().and_then(|text| text.resolve(locale)).map(|(_, text)| text);
            check(field, text, check_display_text);
        }
    }
    if errors.is_empty() { Ok(support) } else { Err(errors) }
}

/// A host in its one form: lower case, without a dot at the end and without the default port.
fn parse_host(text: &str) -> Result<String, String> {
    let host = text.trim().to_ascii_lowercase();
    let (name, port) = host.split_once(':').map_or((host.as_str(), None), |(name, port)| (name, Some(port)));
    let name = name.strip_suffix('.').unwrap_or(name);
    let port = match port {
        None | Some("443") => Some(None),
        Some(port) => port.parse::<u16>().ok().filter(|port| *port > 0).map(Some),
    };
    match port {
        Some(port) if is_host_name(name) && name.contains('.') => {
            Ok(port.map_or_else(|| name.to_owned(), |port| format!("{name}:{port}")))
        }
        _ => Err(format!("{text:?} is not a host such as pay.example.com")),
    }
}

/// Whether two hosts have one name. Ports do not separate cookies, except on this machine, where names are few.
pub(super) fn is_same_host(one: &str, other: &str) -> bool {
    let name = |host: &str| host.split(':').next().unwrap_or_default().to_owned();
    one == other || (name(one) == name(other) && name(one) != "localhost")
}

/// A registration that is written anew forgets that its issuer named itself.
fn set_oidc(biller: &mut Biller, mut oidc: OidcSettings, context: &ImportContext) -> Result<(), FieldErrors> {
    let mut errors = oidc.validate(&context.addresses);
    let before = biller.settings.oidc.take();
    // A saved secret must not be sent to another issuer.
    let saved = before.filter(|before| before.issuer == oidc.issuer).map(|_| biller.client_secrets.clone());
    match oidc.take_secrets(saved, (&context.keys, &biller.id)) {
        Ok(secrets) => biller.client_secrets = secrets,
        Err(more) => errors.extend(more),
    }
    biller.settings.oidc = Some(oidc);
    biller.pinned_iss = None;
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn check_user_pool(user_pool: UserPoolRef) -> Result<UserPoolRef, &'static str> {
    let is_id = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let is_valid = user_pool.sso || (is_id(&user_pool.organization) && is_id(&user_pool.pool));
    if is_valid { Ok(user_pool) } else { Err("must have the ids of organization and pool, or sso = true") }
}

fn check_state(biller: &Biller, state: Option<CiamState>, changes_sign_in: bool) -> Result<(), String> {
    if state == Some(CiamState::Enabling) {
        return Err("must not be enabling, which only Signpost itself sets".to_owned());
    }
    if biller.state == CiamState::Enabling && (state.is_some() || changes_sign_in) {
        let slug = &biller.slug;
        return Err(format!(
            "cannot change while a job enables {slug}: wait, or run `signpost enable {slug} --cancel`"
        ));
    }
    Ok(())
}
