//! `signpost demo`: the gateway and the outside world in one process, on loopback, with nothing to set up.

mod world;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{CliResult, serve};
use crate::access::{Audience, NewApiKey, Scope};
use crate::app::App;
use crate::audit::Actor;
use crate::config::Config;
use crate::db::Schema;
use crate::directory::{FAILURES_TO_OPEN, IssuerEndpoint};
use crate::state::AppState;
use crate::telemetry;
use crate::web::registrations;
use secureauth_standin::{Deps, Mailbox};
use signpost_core::{Clock, Random, Slug};
use world::{PASSWORD, Ports, STAFF_ROLES, USERS};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// First of the ports; the gateway has this one, the others follow.
    #[arg(long, default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..=65_500))]
    port_base: u16,
    /// Keep the data in this folder [default: a temporary one, gone at the end].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print one JSON object on one line once everything answers.
    #[arg(long)]
    json: bool,
    /// What is logged, in the syntax of `tracing` filters.
    #[arg(long, default_value = "warn")]
    log: String,
}

pub(super) async fn run(arguments: Arguments) -> CliResult {
    let temporary = if arguments.data.is_none() { Some(tempfile::tempdir()?) } else { None };
    let data = match (&arguments.data, &temporary) {
        (Some(data), _) => data.clone(),
        (None, Some(temporary)) => temporary.path().to_owned(),
        (None, None) => PathBuf::from("."),
    };
    let data = std::path::absolute(data)?;
    let ports = Ports { base: arguments.port_base };
    let listeners = [listen(ports.gateway()).await?, listen(ports.secureauth()).await?];
    let portals = [listen(ports.legacy()).await?, listen(ports.portal()).await?];
    let mail = listen(ports.mail()).await?;
    let settings = world::settings(&data, ports, &arguments.log)?;
    let config = Config::from_text(&settings, [])?;
    // For the other commands.
    let file = data.join("signpost.toml");
    super::replace_file(&file, &settings)?;
    telemetry::init(&config.log);
    let app = App::build(config, Schema::Migrate, Clock::System, Random::system()).await?;
    let taken = || format!("cannot listen on 127.0.0.1:{}; choose other ports with --port-base", ports.console());
    let app = app.with_console().await.with_context(taken)?;
    let state = app.state.clone();
    world::seed(&state, ports).await?;
    let keys = create_api_keys(&state).await?;

    let deps = Deps::new(state.clock.clone(), state.random.clone())?;
    let hash = secureauth_standin::hash_password(PASSWORD, &state.random);
    let [gateway, secureauth] = listeners;
    let [legacy, portal] = portals;
    let issuers = secureauth_standin::secureauth_app(
        world::secureauth(ports, &hash),
        ports.address(ports.secureauth()),
        deps.clone(),
    );
    world::assign_roles(&issuers);
    let mailbox = Mailbox::default();
    tokio::spawn(secureauth_standin::serve_mail(mail, mailbox.clone()));
    let legacy_app = secureauth_standin::legacy_app(world::legacy(ports, &hash, &keys.legacy, mailbox), deps.clone());
    let portal_app = secureauth_standin::portal_app(world::portal(ports, &keys.portal), deps);
    for (listener, app) in [(secureauth, issuers.router()), (legacy, legacy_app), (portal, portal_app)] {
        tokio::spawn(secureauth_standin::serve(listener, app, std::future::pending()));
    }
    registrations::probe_all(&state).await;

    let stop = serve::shutdown_signal()?;
    let serving = tokio::spawn(app.serve(gateway, stop));
    let description = describe(ports, &keys.all, &file);
    if arguments.json {
        outln!("{description}");
    } else {
        super::out(format_args!("{}", world::banner(ports, &description)));
    }
    serving.await?;
    Ok(())
}

/// The demo's directory without anything that listens, for simulations: one issuer is down, all others are up.
pub(super) async fn offline_app(data: &Path) -> Result<App, anyhow::Error> {
    let ports = Ports { base: 8080 };
    let config = Config::from_text(&world::settings(data, ports, "warn")?, [])?;
    let app = App::build(config, Schema::Migrate, Clock::System, Random::system()).await?;
    world::seed(&app.state, ports).await?;
    let billers = app.state.directory.billers().await?;
    let down = Slug::parse(world::ISSUER_DOWN)?;
    if let Some(biller) = billers.by_slug(&down) {
        for _ in 0..FAILURES_TO_OPEN {
            app.state
                .directory
                .record_issuer_failure(biller, IssuerEndpoint::Metadata, "server_error", app.state.clock.now())
                .await?;
        }
    }
    Ok(app)
}

struct Keys {
    all: String,
    legacy: String,
    portal: String,
}

/// Keys of this run; those of earlier runs on the same data end.
async fn create_api_keys(state: &AppState) -> Result<Keys, anyhow::Error> {
    let actor = state.actor_context(Actor::System);
    for old in state.api_keys.list().await?.iter().filter(|key| key.name.starts_with("demo: ")) {
        state.api_keys.revoke(&old.id, &actor).await?;
    }
    let key = |name: &str, scopes: &[Scope], audience| NewApiKey {
        name: format!("demo: {name}"),
        scopes: scopes.to_vec(),
        audience,
        billers: None,
        expires_at: None,
    };
    let redeem = [Scope::HandoffRedeem];
    Ok(Keys {
        all: state.api_keys.create(&key("everything", Scope::ALL, None), &actor).await?,
        legacy: state.api_keys.create(&key("legacy portal", &redeem, Some(Audience::Legacy)), &actor).await?,
        portal: state.api_keys.create(&key("biller portal", &redeem, Some(Audience::Portal)), &actor).await?,
    })
}

async fn listen(port: u16) -> Result<TcpListener, anyhow::Error> {
    TcpListener::bind(("127.0.0.1", port))
        .await
        .with_context(|| format!("cannot listen on 127.0.0.1:{port}; choose other ports with --port-base"))
}

fn describe(ports: Ports, api_key: &str, settings: &Path) -> Value {
    let people: Vec<Value> = USERS
        .iter()
        .map(
            |user| json!({ "username": user.username, "password": PASSWORD, "billers": user.billers, "row": user.row }),
        )
        .collect();
    json!({
        "gateway": ports.gateway_address(),
        "secureauth": ports.address(ports.secureauth()),
        "legacy": ports.address(ports.legacy()),
        "portal": ports.address(ports.portal()),
        "mail": format!("{}/mail", ports.address(ports.legacy())),
        "console": ports.console_address(),
        "staff": STAFF_ROLES.map(|role| json!({ "username": role, "password": PASSWORD, "role": role })),
        "api_key": api_key,
        "config": settings,
        "people": people,
    })
}

/// The settings' text needs a key; one that is kept beside the data, so that tokens and secrets survive a restart.
fn load_or_create_key(data: &Path) -> Result<String, anyhow::Error> {
    use base64::Engine;
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let path = data.join("signpost.key");
    if let Ok(kept) = std::fs::read_to_string(&path) {
        return Ok(kept.trim().to_owned());
    }
    let key = base64::engine::general_purpose::STANDARD.encode(Random::system().bytes::<32>());
    std::fs::create_dir_all(data).with_context(|| format!("{} cannot be made", data.display()))?;
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    file.and_then(|mut file| writeln!(file, "{key}"))
        .with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(key)
}
