//! The demo's world. It is fixed: people and checks refer to it.

use std::fmt::Write;
use std::path::Path;

use anyhow::Context;
use base64::Engine;
use serde_json::Value;

use crate::audit::Actor;
use crate::directory::{import_billers, import_users};
use crate::state::AppState;
use secureauth_standin::{
    ApiClients, BillerPortal, IdpUser, IssuerState, LegacyPortal, Mailbox, Organization, SecureAuth, ServiceClient,
};
use signpost_core::Slug;

pub(super) const PASSWORD: &str = "demo-password";
/// The biller whose identity provider does not answer.
pub(super) const ISSUER_DOWN: &str = "cedar-county";

const TENANT: &str = "demo";
/// The organization where staff sign in.
const STAFF: &str = "staff";
/// Usernames of the staff, which are their roles as well.
pub(super) const STAFF_ROLES: [&str; 3] = ["support", "operator", "auditor"];
/// Users of Pinehill Gas, besides those in the table.
const PINEHILL_USERS: usize = 2500;

/// The logo of Riverside Water.
const LOGO: &[u8] = include_bytes!("riverside-water.png");

/// A biller of the demo.
struct DemoBiller {
    slug: &'static str,
    name: &'static str,
    state: &'static str,
    passwords: &'static str,
    phone: &'static str,
    /// How its organization at SecureAuth is; none: it has none.
    organization: Option<IssuerState>,
}

const BILLERS: [DemoBiller; 7] = [
    DemoBiller {
        slug: "riverside-water",
        name: "Riverside Water",
        state: "active",
        passwords: "imported",
        phone: "+1 555 010 0101",
        organization: Some(IssuerState::Up),
    },
    DemoBiller {
        slug: "maple-electric",
        name: "Maple Electric",
        state: "active",
        passwords: "reset_required",
        phone: "+1 555 010 0102",
        organization: Some(IssuerState::Up),
    },
    DemoBiller {
        slug: "harbor-insurance",
        name: "Harbor Insurance",
        state: "active",
        passwords: "imported",
        phone: "+1 555 010 0103",
        organization: Some(IssuerState::Up),
    },
    DemoBiller {
        slug: "oakdale-city",
        name: "Oakdale City",
        state: "legacy",
        passwords: "imported",
        phone: "+1 555 010 0104",
        organization: None,
    },
    DemoBiller {
        slug: "pinehill-gas",
        name: "Pinehill Gas",
        state: "legacy",
        passwords: "imported",
        phone: "+1 555 010 0105",
        organization: None,
    },
    DemoBiller {
        slug: "summit-telecom",
        name: "Summit Telecom",
        state: "suspended",
        passwords: "imported",
        phone: "+1 555 010 0106",
        organization: Some(IssuerState::Deactivated),
    },
    DemoBiller {
        slug: ISSUER_DOWN,
        name: "Cedar County",
        state: "active",
        passwords: "imported",
        phone: "+1 555 010 0107",
        organization: Some(IssuerState::Down),
    },
];

/// A username of the demo.
pub(super) struct DemoUser {
    pub username: &'static str,
    pub billers: &'static [&'static str],
    pub row: u8,
    /// The same name at each biller, but another user.
    distinct_users: bool,
    expected_page: &'static str,
}

const fn user(
    username: &'static str,
    billers: &'static [&'static str],
    row: u8,
    expected_page: &'static str,
) -> DemoUser {
    DemoUser { username, billers, row, distinct_users: false, expected_page }
}

pub(super) const USERS: [DemoUser; 8] = [
    user("one-moved", &["riverside-water"], 2, "the bookmark notice, then Riverside Water's own sign-in"),
    user("one-legacy", &["oakdale-city"], 3, "the classic sign-in"),
    user("moved-and-legacy", &["oakdale-city", "riverside-water"], 4, "the classic sign-in; recovery is one step away"),
    user("two-moved", &["riverside-water", "maple-electric"], 5, "the recovery page: which biller?"),
    user("two-legacy", &["oakdale-city", "pinehill-gas"], 6, "the classic sign-in, and an integrity alarm for us"),
    user("issuer-down", &["cedar-county"], 8, "the outage page of Cedar County"),
    user("switched-off", &["summit-telecom"], 3, "the classic sign-in, since Summit Telecom is suspended"),
    DemoUser {
        username: "shared-name",
        billers: &["riverside-water", "harbor-insurance"],
        row: 5,
        distinct_users: true,
        expected_page: "the recovery page; two people have this name",
    },
];

/// The ports, counted from the first.
#[derive(Clone, Copy)]
pub(super) struct Ports {
    pub base: u16,
}

impl Ports {
    pub(super) fn gateway(self) -> u16 {
        self.base
    }

    pub(super) fn secureauth(self) -> u16 {
        self.base + 1
    }

    pub(super) fn legacy(self) -> u16 {
        self.base + 2
    }

    pub(super) fn portal(self) -> u16 {
        self.base + 3
    }

    pub(super) fn console(self) -> u16 {
        self.base + 4
    }

    pub(super) fn console_address(self) -> String {
        format!("http://localhost:{}", self.console())
    }

    /// Of the mail server; it speaks SMTP.
    pub(super) fn mail(self) -> u16 {
        self.base + 5
    }

    /// On another name than the stand-ins, so that they are another site, as in life.
    pub(super) fn gateway_address(self) -> String {
        format!("http://localhost:{}", self.base)
    }

    pub(super) fn address(self, port: u16) -> String {
        format!("http://127.0.0.1:{port}")
    }
}

/// The text of the settings file.
pub(super) fn settings(data: &Path, ports: Ports, log: &str) -> Result<String, anyhow::Error> {
    let key = super::load_or_create_key(data)?;
    let gateway = ports.gateway_address();
    let (legacy, portal) = (ports.address(ports.legacy()), ports.address(ports.portal()));
    let database = format!("sqlite:{}", data.join("signpost.db").display());
    let secureauth = ports.address(ports.secureauth());
    let (console, staff, staff_secret) = (ports.console_address(), issuer(ports, STAFF), client_secret(STAFF));
    let (system_secret, admin_secret) = (service_secret("signpost-system"), service_secret("signpost-admin"));
    Ok(format!(
        r#"[server]
listen = "127.0.0.1:{base}"
public_url = "{gateway}"
drain_seconds = 2
[database]
url = {database:?}
[secrets]
keys = ["{key}"]
[legacy]
login_url = "{legacy}/login"
reset_url = "{legacy}/reset"
[portal]
handoff_url = "{portal}/handoff"
[return_to]
paths = ["/bills"]
ids = {{ bills = "/bills", pay = "/bills/pay" }}
[[legacy_paths]]
path = "/customer/login.aspx"
query = "biller=riverside-water"
biller = "riverside-water"
return_to = "bills"
[[legacy_paths]]
path = "/customer/login.aspx"
query = "biller=oakdale-city"
biller = "oakdale-city"
[[legacy_paths]]
path = "/customer/login.aspx"
[[legacy_paths]]
path = "/paybill"
return_to = "pay"
[limits]
exempt_loopback = true
[oidc]
allow_loopback_issuers = true
[secureauth]
base_url = "{secureauth}"
tenant = "{TENANT}"
system_client_id = "signpost-system"
system_client_secret = "{system_secret}"
admin_client_id = "signpost-admin"
admin_client_secret = "{admin_secret}"
[mail]
server = "127.0.0.1"
port = {mail}
tls = "none"
from = "Example Pay <no-reply@example-pay.example>"
per_address_per_hour = 60
[help]
company = "Example Pay"
phone = "+1 555 010 0100"
email = "help@example-pay.example"
hours = {{ en = "Monday to Friday, 8 am to 6 pm", es = "De lunes a viernes, de 8 a. m. a 6 p. m." }}
[console]
listen = "127.0.0.1:{console_port}"
public_url = "{console}"
issuer = "{staff}"
client_id = "signpost-{STAFF}"
client_secret = "{staff_secret}"
[log]
filter = {log:?}
"#,
        base = ports.base,
        mail = ports.mail(),
        console_port = ports.console(),
    ))
}

fn service_secret(client: &str) -> String {
    format!("demo secret of {client}")
}

/// Puts billers and users into the directory, as an operator would: by import.
pub(super) async fn seed(state: &AppState, ports: Ports) -> Result<(), anyhow::Error> {
    let rows = import_billers::parse(&billers_file(ports), false)?;
    let context = import_billers::ImportContext {
        keys: state.keys.clone(),
        actor: state.actor_context(Actor::System),
        allow_loopback_issuers: true,
        public_host: crate::routing::public_host(&state.config),
    };
    state.directory.import_billers(rows, &context, false).await?;
    let billers = state.directory.billers().await?;
    let folder = tempfile::tempdir()?;
    let password_hash = secureauth_standin::hash_password(PASSWORD, &state.random);
    for demo in &BILLERS {
        let path = folder.path().join(format!("{}.csv", demo.slug));
        std::fs::write(&path, users_file(demo.slug, &password_hash))?;
        let biller = billers.by_slug(&Slug::parse(demo.slug)?).context("a biller was imported")?;
        let options = import_users::Options { legacy_accounts: true, dry_run: false, refuse_plain_passwords: true };
        let context = import_users::ImportContext { actor: &state.actor_context(Actor::System), keys: &state.keys };
        state.directory.import_users(&path, biller, options, context, &|_| {}).await?;
    }
    Ok(())
}

fn billers_file(ports: Ports) -> String {
    let mut file = String::new();
    for demo in &BILLERS {
        let DemoBiller { slug, name, state, passwords, phone, .. } = demo;
        let _ = write!(
            file,
            r#"
            [[billers]]
            slug = "{slug}"
            name = "{name}"
            state = "{state}"
            passwords = "{passwords}"
            hosts = ["{slug}.localhost:{base}"]
            [billers.support]
            phone = "{phone}"
            email = "help@{slug}.example"
            hours = {{ en = "Monday to Friday, 9 am to 5 pm", es = "De lunes a viernes, de 9 a. m. a 5 p. m." }}
            alternative_payment = {{ en = "By mail, with the slip on your bill.", es = "Por correo, con el talón de su factura." }}
            "#,
            base = ports.base,
        );
        if *slug == "riverside-water" {
            let logo = base64::engine::general_purpose::STANDARD.encode(LOGO);
            let _ = write!(
                file,
                r##"
                [billers.branding]
                accent = "#1d4e89"
                accent_dark = "#8fbdf0"
                logo = "{logo}"
                "##
            );
        }
        if demo.organization.is_some() {
            let (issuer, secret) = (issuer(ports, slug), client_secret(slug));
            let _ = write!(
                file,
                r#"
                [billers.oidc]
                issuer = "{issuer}"
                client_id = "signpost-{slug}"
                client_secret = "{secret}"
                "#
            );
        }
    }
    file
}

fn issuer(ports: Ports, slug: &str) -> String {
    format!("{}/{TENANT}/{slug}", ports.address(ports.secureauth()))
}

/// No secret worth the name: stand-in and gateway are one process.
fn client_secret(slug: &str) -> String {
    format!("demo-client-secret-of-{slug}")
}

fn users_file(slug: &str, password_hash: &str) -> String {
    let mut file = String::from("username,email,first_name,last_name,status,password_hash\n");
    for user in members(slug) {
        let (first, last) = user.name.split_once(' ').unwrap_or((&user.name, ""));
        let _ = writeln!(file, "{},{},{first},{last},active,\"{password_hash}\"", user.username, user.email);
    }
    file
}

fn members(slug: &str) -> Vec<IdpUser> {
    let mut members: Vec<IdpUser> = USERS
        .iter()
        .filter(|user| user.billers.contains(&slug))
        .map(|user| IdpUser {
            username: user.username.to_owned(),
            name: format!("Demo {}", user.username),
            email: if user.distinct_users {
                format!("{}@{slug}.example", user.username)
            } else {
                format!("{}@mail.example", user.username)
            },
        })
        .collect();
    if slug == "pinehill-gas" {
        members.extend((1..=PINEHILL_USERS).map(|number| IdpUser {
            username: format!("pine{number:04}"),
            name: format!("Pine {number:04}"),
            email: format!("pine{number:04}@mail.example"),
        }));
    }
    members
}

pub(super) fn secureauth(ports: Ports, password_hash: &str) -> SecureAuth {
    let gateway = ports.gateway_address();
    let mut organizations: Vec<Organization> = BILLERS
        .iter()
        .filter_map(|demo| demo.organization.map(|state| (demo, state)))
        .map(|(demo, state)| Organization {
            id: demo.slug.to_owned(),
            name: demo.name.to_owned(),
            state,
            client_id: format!("signpost-{}", demo.slug),
            client_secret: client_secret(demo.slug),
            redirect_uris: vec![format!("{gateway}/callback/{}", demo.slug)],
            post_logout_redirect_uris: vec![format!("{gateway}/signed-out")],
            users: members(demo.slug),
        })
        .collect();
    organizations.push(staff(ports));
    let client = |id: &str| Some(ServiceClient { id: id.to_owned(), secret: service_secret(id) });
    let api = Some(ApiClients { system: client("signpost-system"), admin: client("signpost-admin") });
    SecureAuth { tenant: TENANT.to_owned(), password_hash: password_hash.to_owned(), organizations, api }
}

/// Where staff sign in.
fn staff(ports: Ports) -> Organization {
    let users = STAFF_ROLES.map(|role| IdpUser {
        username: role.to_owned(),
        name: format!("Demo {role}"),
        email: format!("{role}@example-pay.example"),
    });
    Organization {
        id: STAFF.to_owned(),
        name: "Example Pay staff".to_owned(),
        state: IssuerState::Up,
        client_id: format!("signpost-{STAFF}"),
        client_secret: client_secret(STAFF),
        redirect_uris: vec![format!("{}/callback", ports.console_address())],
        post_logout_redirect_uris: Vec::new(),
        users: users.into(),
    }
}

/// Each of the staff has the role that the username says.
pub(super) fn assign_roles(issuers: &secureauth_standin::SecureAuthStandIn) {
    for role in STAFF_ROLES {
        issuers.set_claim(STAFF, role, "roles", serde_json::json!([role]));
    }
}

pub(super) fn legacy(ports: Ports, password_hash: &str, api_key: &str, mailbox: Mailbox) -> LegacyPortal {
    let usernames = BILLERS.iter().flat_map(|demo| members(demo.slug)).map(|user| user.username).collect();
    LegacyPortal {
        gateway: ports.gateway_address(),
        api_key: api_key.to_owned(),
        password_hash: password_hash.to_owned(),
        usernames,
        mailbox,
    }
}

pub(super) fn portal(ports: Ports, api_key: &str) -> BillerPortal {
    let billers = BILLERS.iter().map(|demo| (demo.slug.to_owned(), demo.name.to_owned())).collect();
    BillerPortal { gateway: ports.gateway_address(), api_key: api_key.to_owned(), billers }
}

/// What the demo prints for people.
pub(super) fn banner(ports: Ports, description: &Value) -> String {
    let text = |name: &str| description[name].as_str().unwrap_or_default().to_owned();
    let gateway = text("gateway");
    let mut out = format!(
        "\nSignpost is running. Open {gateway}/ in a browser.\n\n  \
         gateway        {gateway}\n  SecureAuth     {}\n  legacy portal  {}\n  biller portal  {}\n  \
         mail           {}\n  console        {}\n  API key        {}\n  settings       {}\n\nEverybody's password is {PASSWORD}. Type one of these usernames:\n\n",
        text("secureauth"),
        text("legacy"),
        text("portal"),
        text("mail"),
        text("console"),
        text("api_key"),
        text("config"),
    );
    for user in &USERS {
        let _ = writeln!(out, "  {:<17} row {}  {}", user.username, user.row, user.expected_page);
    }
    let _ = writeln!(
        out,
        "\nOther doors:\n  {gateway}/b/riverside-water\n  http://riverside-water.localhost:{}/\n  \
         {gateway}/customer/login.aspx?biller=riverside-water   (an address of the old site)\n\n\
         Staff sign in at the console as {}.\n\n\
         Every command works here with these settings, such as:\n  \
         signpost enable pinehill-gas --watch --config {}\n\nStop with Ctrl+C.",
        ports.base,
        STAFF_ROLES.join(", "),
        text("config"),
    );
    out
}
