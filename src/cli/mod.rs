//! The command line. One file a command.
#![expect(clippy::print_stderr, reason = "a command line prints")]

/// Prints a line. When nobody reads any more (`signpost … | head`), the program ends quietly.
macro_rules! outln {
    ($($text:tt)*) => { $crate::cli::out(format_args!("{}\n", format_args!($($text)*))) };
}

mod audit;
mod billers;
mod check;
mod controls;
mod decision;
#[cfg(feature = "standin")]
mod demo;
mod enable;
mod generate;
mod impact;
mod import;
mod keys;
mod maintenance;
mod secrets;
mod serve;
mod simulate;
mod sync;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::app::App;
use crate::audit::{Actor, ActorContext, AuditEvent};
use crate::config::Config;
use crate::db::Schema;
use crate::state::AppState;
use signpost_core::{Clock, Random, Slug};

/// Takes everyone who knocks to the right biller's sign-in page, and explains why.
#[derive(Debug, Parser)]
#[command(name = "signpost", version, max_term_width = 100)]
struct Cli {
    /// The settings file; see signpost.example.toml.
    #[arg(long, global = true, env = "SIGNPOST_CONFIG", default_value = "signpost.toml", value_name = "FILE")]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve customers and machines until stopped.
    Serve,
    /// Try everything out on this machine: gateway, identity provider and portals in one process, no set-up.
    #[cfg(feature = "standin")]
    Demo(demo::Arguments),
    /// Say what is wrong with settings, database and identity providers, or with one biller, and what to do about it.
    Check(check::Check),
    /// Make the database, or bring its schema up to date (`serve` does it as well).
    Migrate,
    /// Ask where somebody would be taken, and why. Nothing is sent, written or counted.
    Simulate(simulate::Arguments),
    /// Ask what a change would do to everybody: who would be taken elsewhere, become ambiguous, or have nowhere to go.
    Impact(impact::Arguments),
    /// Bring billers or users in from a file.
    #[command(subcommand)]
    Import(import::Arguments),
    /// Changes of where a moved biller's people sign in, which wait for a second person; mail to a biller's contact.
    #[command(subcommand)]
    Billers(billers::Arguments),
    /// Make, list and revoke API keys.
    #[command(subcommand)]
    Keys(keys::Arguments),
    /// Show the kill switch, or set it: everybody to the legacy login, one biller's people there, or nobody in.
    KillSwitch(controls::KillSwitch),
    /// Pause a biller: its customers get the maintenance page.
    Pause {
        /// The biller.
        slug: Slug,
    },
    /// Unpause a biller.
    Unpause {
        /// The biller.
        slug: Slug,
    },
    /// Show or announce when a biller's identity provider will be away: its people are told day and time meanwhile.
    Maintenance(maintenance::Arguments),
    /// Set a biller's activation date and rollout.
    Rollout(controls::RolloutArguments),
    /// End sessions of a biller: all, one user's, or one session's at the issuer.
    EndSessions(controls::EndSessions),
    /// Move a biller to SecureAuth: its organization, pool, login client and users, and then its routing.
    Enable(enable::Enable),
    /// Switch a moved biller off without deleting anything.
    Suspend {
        /// The biller.
        slug: Slug,
    },
    /// Switch a suspended biller on again.
    Resume {
        /// The biller.
        slug: Slug,
    },
    /// List the jobs that move billers, with what each has made.
    Jobs,
    /// Compare a moved biller's users with SecureAuth's, and bring those who differ to the present state.
    Sync(sync::Sync),
    /// Write what SecureAuth has of a moved biller's users, as JSON.
    Export(sync::Export),
    /// Show how many changes of users are on their way to SecureAuth, and what those met with that did not arrive.
    Outbox,
    /// Change the keys that seal and sign.
    #[command(subcommand)]
    Secrets(secrets::Arguments),
    /// Show who did what, or write it out.
    Audit(audit::Arguments),
    /// Show the decision behind a reference code.
    Decision(decision::Arguments),
    /// Write the documents that are made from the code.
    Generate(generate::Arguments),
}

/// What a command answers: a sentence for people when it failed.
type CliResult = Result<(), anyhow::Error>;

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // Errors only if another provider was installed before, and nothing else does that.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("signpost: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("signpost: {}", error_message(&error));
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> CliResult {
    match cli.command {
        Command::Serve => serve::run(&cli.config).await,
        #[cfg(feature = "standin")]
        Command::Demo(arguments) => demo::run(arguments).await,
        Command::Check(arguments) => check::run(&cli.config, arguments).await,
        Command::Migrate => migrate(&cli.config).await,
        Command::Simulate(arguments) => simulate::run(&cli.config, arguments).await,
        Command::Impact(arguments) => impact::run(&cli.config, arguments).await,
        Command::Import(arguments) => import::run(&cli.config, arguments).await,
        Command::Billers(arguments) => billers::run(&cli.config, arguments).await,
        Command::Keys(arguments) => keys::run(&cli.config, arguments).await,
        Command::KillSwitch(arguments) => controls::kill_switch(&cli.config, arguments).await,
        Command::Pause { slug } => controls::set_paused(&cli.config, &slug, true).await,
        Command::Unpause { slug } => controls::set_paused(&cli.config, &slug, false).await,
        Command::Maintenance(arguments) => maintenance::run(&cli.config, arguments).await,
        Command::Rollout(arguments) => controls::rollout(&cli.config, arguments).await,
        Command::EndSessions(arguments) => controls::end_sessions(&cli.config, arguments).await,
        Command::Enable(arguments) => enable::run(&cli.config, arguments).await,
        Command::Suspend { slug } => enable::suspend(&cli.config, &slug).await,
        Command::Resume { slug } => enable::resume(&cli.config, &slug).await,
        Command::Jobs => enable::jobs(&cli.config).await,
        Command::Sync(arguments) => sync::run(&cli.config, arguments).await,
        Command::Export(arguments) => sync::export(&cli.config, arguments).await,
        Command::Outbox => sync::outbox(&cli.config).await,
        Command::Secrets(arguments) => secrets::run(&cli.config, arguments).await,
        Command::Audit(arguments) => audit::run(&cli.config, arguments).await,
        Command::Decision(arguments) => decision::run(&cli.config, arguments).await,
        Command::Generate(arguments) => generate::run(&arguments),
    }
}

/// An error with its causes, those left out that only repeat what was said.
fn error_message(error: &anyhow::Error) -> String {
    let mut out = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !out.contains(&cause) {
            out.push_str(if out.is_empty() { "" } else { ": " });
            out.push_str(&cause);
        }
    }
    out
}

fn out(text: std::fmt::Arguments<'_>) {
    use std::io::Write;
    if std::io::stdout().write_fmt(text).is_err() {
        std::process::exit(0);
    }
}

/// Writes a file anew, whole or not at all; who may read it stays as it was, and nobody but its owner at first.
fn replace_file(path: &std::path::Path, text: &str) -> CliResult {
    use anyhow::Context;
    use std::io::Write;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(std::path::Path::new("."));
    let written = || -> Result<(), std::io::Error> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(text.as_bytes())?;
        if let Ok(before) = std::fs::metadata(path) {
            file.as_file().set_permissions(std::fs::Permissions::from_mode(before.mode()))?;
            chown(file.path(), Some(before.uid()), Some(before.gid()))?;
        }
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    written().with_context(|| format!("{} cannot be written", path.display()))
}

fn load(path: &std::path::Path) -> Result<Config, anyhow::Error> {
    Ok(Config::load(path, std::env::vars())?)
}

async fn migrate(path: &std::path::Path) -> CliResult {
    App::build(load(path)?, Schema::Migrate, Clock::System, Random::system()).await?;
    outln!("the schema is up to date");
    Ok(())
}

/// The application on the settings' database, for commands that do not serve. They change no schema, least of all under
/// instances that run.
async fn open(path: &std::path::Path) -> Result<App, anyhow::Error> {
    Ok(App::build(load(path)?, Schema::RequireCurrent, Clock::System, Random::system()).await?)
}

/// Whoever gives the command, for the audit trail.
fn actor_context(state: &AppState) -> Result<ActorContext, anyhow::Error> {
    Ok(state.actor_context(Actor::Cli { user: billers::os_account()? }))
}

/// Writes down what was done to a file of this machine, which works without the database.
async fn record_if_possible(config: &std::path::Path, event: AuditEvent) {
    let recorded = async {
        let state = open(config).await?.state;
        actor_context(&state)?.record_alone(&state.db, event).await?;
        Ok::<_, anyhow::Error>(())
    };
    if let Err(error) = recorded.await {
        eprintln!("done, but not in the audit trail: {}", error_message(&error));
    }
}
