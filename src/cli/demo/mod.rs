//! `signpost demo`: the gateway and the stand-ins around it in one process, on loopback, without any setup.

mod description;
mod seed;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use secureauth_standin::world::{self, PASSWORD, Ports, World};
use secureauth_standin::{Deps, Mailbox};
use tokio::net::TcpListener;

use super::CliResult;
use super::output::Output;
use super::serve::Signals;
use crate::app::App;
use crate::config::Config;
use crate::db::Schema;
use crate::directory::{FAILURES_TO_OPEN, IssuerEndpoint};
use crate::state::AppState;
use crate::telemetry;
use crate::web::registrations;
use seed::ApiKeys;
use signpost_core::{Clock, Random, Slug};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Port of the gateway; the next six ports are the stand-ins, the console, the mail server, and probes and metrics
    #[arg(long, default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..=65_500))]
    port_base: u16,
    /// Keep the data in this folder [default: a temporary folder that is deleted at the end]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[arg(long, hide = true)]
    json: bool,
    /// What it prints once everything answers
    #[command(flatten)]
    output: Output,
    /// Log filter, in the syntax of the `tracing` crate
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
    let world = World::demo(ports);
    let gateway = listen(ports.base).await?;
    let listeners = Listeners::bind(ports).await?;
    let settings = seed::settings(&world, ports, &data, &arguments.log)?;
    let config = Config::from_text(&settings, [])?;
    // The other commands read this file.
    let file = data.join("signpost.toml");
    super::replace_file(&file, &settings)?;
    telemetry::init(&config.log);
    let app = App::build(config, Schema::Migrate, Clock::System, Random::system()).await?;
    let app = app.with_internal_listeners().await.context("choose other ports with --port-base")?;
    let state = app.state.clone();
    seed::import(&state, &world).await?;
    let keys = seed::create_api_keys(&state).await?;
    start_standins(listeners, &state, &world, ports, &keys)?;
    registrations::probe_all(&state).await;

    let stop = Signals::listen()?.handle(state.reloads.clone());
    let read = file.clone();
    let app = app.reloading(move || Config::load(&read, []));
    let serving = tokio::spawn(app.serve(gateway, stop));
    let description = description::json(&world, ports, &keys.all_scopes, &file);
    arguments.output.or_json(arguments.json).print(&description, || {
        super::out(format_args!("{}", description::banner(&world, ports, &keys.all_scopes, &file)));
    })?;
    serving.await?;
    Ok(())
}

/// The directory of the demo without any listener, for simulations. The issuer of one biller is down.
pub(super) async fn offline_app(data: &Path) -> Result<App, anyhow::Error> {
    let ports = Ports { base: 8080 };
    let world = World::demo(ports);
    let config = Config::from_text(&seed::settings(&world, ports, data, "warn")?, [])?;
    let app = App::build(config, Schema::Migrate, Clock::System, Random::system()).await?;
    seed::import(&app.state, &world).await?;
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

/// Listeners of the stand-ins.
struct Listeners {
    secureauth: TcpListener,
    legacy: TcpListener,
    portal: TcpListener,
    mail: TcpListener,
}

impl Listeners {
    async fn bind(ports: Ports) -> Result<Self, anyhow::Error> {
        Ok(Self {
            secureauth: listen(ports.secureauth()).await?,
            legacy: listen(ports.legacy()).await?,
            portal: listen(ports.portal()).await?,
            mail: listen(ports.mail()).await?,
        })
    }
}

async fn listen(port: u16) -> Result<TcpListener, anyhow::Error> {
    TcpListener::bind(("127.0.0.1", port)).await.with_context(|| port_in_use(port))
}

fn port_in_use(port: u16) -> String {
    format!("cannot listen on 127.0.0.1:{port}; choose other ports with --port-base")
}

fn start_standins(
    listeners: Listeners,
    state: &AppState,
    world: &World,
    ports: Ports,
    keys: &ApiKeys,
) -> Result<(), anyhow::Error> {
    let deps = Deps::new(state.clock.clone(), state.random.clone())?;
    let hash = secureauth_standin::hash_password(PASSWORD, &state.random);
    let mailbox = Mailbox::default();
    tokio::spawn(secureauth_standin::serve_mail(listeners.mail, mailbox.clone()));
    let mut secureauth = world.secureauth(&hash);
    secureauth.organizations.push(world::staff(ports));
    let address = world.addresses.secureauth.clone();
    let secureauth = secureauth_standin::secureauth_app(secureauth, address, deps.clone());
    world::assign_roles(&secureauth);
    let legacy = secureauth_standin::legacy_app(world.legacy_portal(&hash, &keys.legacy, mailbox), deps.clone());
    let portal = secureauth_standin::portal_app(world.biller_portal(&keys.portal), deps);
    let apps = [(listeners.secureauth, secureauth.router()), (listeners.legacy, legacy), (listeners.portal, portal)];
    for (listener, app) in apps {
        tokio::spawn(secureauth_standin::serve(listener, app, std::future::pending()));
    }
    Ok(())
}
