//! The command line: one file per command.
#![expect(clippy::print_stderr, reason = "a command line prints")]

/// Prints a line. Exits quietly when the pipe is closed (`signpost … | head`).
macro_rules! outln {
    ($($text:tt)*) => { $crate::cli::out(format_args!("{}\n", format_args!($($text)*))) };
}

mod audit;
mod backup;
mod billers;
mod check;
mod controls;
mod decision;
#[cfg(feature = "standin")]
mod demo;
mod enable;
mod generate;
mod health;
mod impact;
mod import;
mod keys;
mod maintenance;
mod management;
mod operator;
mod reload;
mod secrets;
mod serve;
mod service_manager;
mod simulate;
mod sync;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};

use crate::app::App;
use crate::config::Config;
use crate::db::Schema;
use operator::Global;
use signpost_core::{Clock, Random, Slug};

/// Authentication gateway and login router for billers
#[derive(Debug, Parser)]
#[command(name = "signpost", version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway
    Serve(serve::Serve),
    /// Run the gateway with a sample identity provider and sample portals, without any setup
    #[cfg(feature = "standin")]
    Demo(demo::Arguments),
    /// Check settings, database and identity providers, or the readiness of one biller
    Check(check::Check),
    /// Create the database or update its schema; `serve` does this too
    Migrate,
    /// Ask the running gateway of these settings whether it is ready; fails if it is not
    Health,
    /// Have the running gateway of these settings read its settings and key files again
    ///
    /// It applies all of them or none, and exits with 1 if they are invalid. Requests and sign-ins under way are not disturbed.
    /// The report names settings that differ and need a restart.
    Reload(reload::Reload),
    /// Copy the SQLite database into a new file, while the gateway runs
    ///
    /// Example: signpost backup /var/backups/signpost-2026-11-27.db
    Backup {
        /// The new file
        file: PathBuf,
    },
    /// Replace the SQLite database by a backup and end all sessions; the gateway must be stopped
    ///
    /// The earlier database is kept beside the new one.
    Restore {
        /// A file that `backup` has written
        file: PathBuf,
    },
    /// Show the routing decision for a username or an address, without side effects
    ///
    /// Example: signpost simulate --username alice --issuer riverside-water=down
    Simulate(simulate::Arguments),
    /// Preview the effect of a change on the routing of all users
    ///
    /// Example: signpost impact enable pinehill-gas
    Impact(impact::Arguments),
    /// Import billers or users from a file
    #[command(subcommand)]
    Import(import::Arguments),
    /// Decide pending approvals, mail a biller's login address, compare a biller's settings with SecureAuth
    #[command(subcommand)]
    Billers(billers::Arguments),
    /// Create, list and revoke API keys
    #[command(subcommand)]
    Keys(keys::Arguments),
    /// Show or set the kill switch
    ///
    /// Examples: signpost kill-switch all-legacy, signpost kill-switch riverside-water=legacy, signpost kill-switch off
    KillSwitch(controls::KillSwitch),
    /// Pause a biller: its users see the maintenance page
    Pause {
        /// Slug of the biller
        slug: Slug,
    },
    /// Unpause a biller
    Unpause {
        /// Slug of the biller
        slug: Slug,
    },
    /// Show, announce or cancel a maintenance window of a biller's identity provider
    Maintenance(maintenance::Arguments),
    /// Set a biller's activation date and rollout
    ///
    /// Example: signpost rollout riverside-water --from now --percent 10
    Rollout(controls::RolloutArguments),
    /// End sessions of a biller: all of them, those of a user, or those of one session at the issuer
    EndSessions(controls::EndSessions),
    /// Enable SecureAuth for a biller: create its organization, pool and client, import its users, activate it
    ///
    /// Example: signpost enable pinehill-gas --watch
    Enable(enable::Enable),
    /// Suspend an active biller; its users go to the legacy login, nothing is deleted
    Suspend {
        /// Slug of the biller
        slug: Slug,
    },
    /// Resume a suspended biller
    Resume {
        /// Slug of the biller
        slug: Slug,
    },
    /// List enablement jobs with the resources that they created
    Jobs,
    /// Compare a biller's users with SecureAuth and repair differences
    Sync(sync::Sync),
    /// Export a biller's users from SecureAuth as JSON
    Export(sync::Export),
    /// Show the user changes that wait to reach SecureAuth, and why they fail
    Outbox,
    /// Rotate the secret keys
    #[command(subcommand)]
    Secrets(secrets::Arguments),
    /// Show or export audit events
    Audit(audit::Arguments),
    /// Show the decision record of a reference code
    Decision(decision::Arguments),
    /// Generate the rule table and the OpenAPI document
    Generate(generate::Arguments),
    /// Print the completion script of a shell
    ///
    /// Example: signpost completions bash > /etc/bash_completion.d/signpost
    Completions { shell: clap_complete::Shell },
    /// Write the manual pages into a folder
    ///
    /// Example: signpost man /usr/local/share/man/man1
    Man { folder: PathBuf },
}

type CliResult = Result<(), anyhow::Error>;

pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // Fails only if a provider is installed already, which nothing else does.
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
    let Cli { global, command } = cli;
    match command {
        Command::Serve(arguments) => serve::run(&global.config, &arguments).await,
        #[cfg(feature = "standin")]
        Command::Demo(arguments) => demo::run(arguments).await,
        Command::Check(arguments) => check::run(&global, arguments).await,
        Command::Migrate => migrate(&global.config).await,
        Command::Health => health::run(&global).await,
        Command::Reload(arguments) => reload::run(&global, &arguments).await,
        Command::Backup { file } => backup::back_up(&global, &file).await,
        Command::Restore { file } => backup::restore(&global, &file).await,
        Command::Simulate(arguments) => simulate::run(&global, arguments).await,
        Command::Impact(arguments) => impact::run(&global, arguments).await,
        Command::Import(arguments) => import::run(&global, arguments).await,
        Command::Billers(arguments) => billers::run(&global, arguments).await,
        Command::Keys(arguments) => keys::run(&global, arguments).await,
        Command::KillSwitch(arguments) => controls::kill_switch(&global, arguments).await,
        Command::Pause { slug } => controls::set_paused(&global, &slug, true).await,
        Command::Unpause { slug } => controls::set_paused(&global, &slug, false).await,
        Command::Maintenance(arguments) => maintenance::run(&global, arguments).await,
        Command::Rollout(arguments) => controls::rollout(&global, arguments).await,
        Command::EndSessions(arguments) => controls::end_sessions(&global, arguments).await,
        Command::Enable(arguments) => enable::run(&global, arguments).await,
        Command::Suspend { slug } => enable::suspend(&global, &slug).await,
        Command::Resume { slug } => enable::resume(&global, &slug).await,
        Command::Jobs => enable::jobs(&global).await,
        Command::Sync(arguments) => sync::run(&global, arguments).await,
        Command::Export(arguments) => sync::export(&global, arguments).await,
        Command::Outbox => sync::outbox(&global).await,
        Command::Secrets(arguments) => secrets::run(&global, arguments).await,
        Command::Audit(arguments) => audit::run(&global, arguments).await,
        Command::Decision(arguments) => decision::run(&global, arguments).await,
        Command::Generate(arguments) => generate::run(&arguments),
        Command::Completions { shell } => completions(shell),
        Command::Man { folder } => manual_pages(&folder),
    }
}

/// An error with its causes, without causes that repeat it.
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

/// Replaces a file atomically. Keeps owner and permissions; a new file is readable by its owner only.
fn replace_file(path: &std::path::Path, text: &str) -> CliResult {
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
    written().with_context(|| format!("cannot write {}", path.display()))
}

fn load(path: &std::path::Path) -> Result<Config, anyhow::Error> {
    Ok(Config::load(path, std::env::vars())?)
}

fn completions(shell: clap_complete::Shell) -> CliResult {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "signpost", &mut script);
    outln!("{}", String::from_utf8_lossy(&script).trim_end());
    Ok(())
}

fn manual_pages(folder: &std::path::Path) -> CliResult {
    let cannot_write = || format!("cannot write to {}", folder.display());
    std::fs::create_dir_all(folder).with_context(cannot_write)?;
    clap_mangen::generate_to(Cli::command(), folder).with_context(cannot_write)
}

async fn migrate(path: &std::path::Path) -> CliResult {
    App::open(load(path)?, Schema::Migrate, Clock::System, Random::system()).await?;
    outln!("the schema is up to date");
    Ok(())
}
