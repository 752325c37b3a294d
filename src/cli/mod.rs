//! The command line: one file per command.
#![expect(clippy::print_stderr, reason = "a command line prints")]

/// Prints a line. Exits quietly when the pipe is closed (`signpost … | head`).
macro_rules! outln {
    ($($text:tt)*) => { $crate::cli::out(format_args!("{}\n", format_args!($($text)*))) };
}

mod audit;
mod backup;
mod biller_settings;
mod billers;
mod config;
mod controls;
mod copy;
mod decision;
#[cfg(feature = "standin")]
mod demo;
mod doctor;
mod enable;
mod generate;
mod health;
mod impact;
mod import;
mod jobs;
mod keys;
mod maintenance;
mod management;
mod operator;
mod output;
mod reload;
mod secrets;
mod serve;
mod service_manager;
mod simulate;
mod sync;
mod user_data;
mod users;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};

use crate::app::App;
use crate::config::{Config, Problems};
use crate::db::Schema;
use operator::Global;
use output::{NotConfirmed, Output};
use signpost_core::{Clock, Random};

/// Authentication gateway and login router for billers
#[derive(Debug, Parser)]
#[command(name = "signpost", version = env!("SIGNPOST_VERSION"), max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway
    #[command(after_help = "Example: signpost serve --config /etc/signpost/signpost.toml")]
    Serve(serve::Serve),
    /// Run the gateway with a sample identity provider and sample portals, without any setup
    #[cfg(feature = "standin")]
    #[command(after_help = "Example: signpost demo --port-base 9000 --data demo")]
    Demo(demo::Arguments),
    /// Find what is wrong with settings, files, database, network, mail server and identity providers, or with one biller
    ///
    /// Each finding has the command that repairs it.
    #[command(
        alias = "check",
        after_help = "Examples:\n  signpost doctor\n  signpost doctor --biller riverside-water --format json"
    )]
    Doctor(doctor::Doctor),
    /// Create the database or update its schema; `serve` does this too
    #[command(after_help = "Example: signpost migrate")]
    Migrate {
        #[command(flatten)]
        output: Output,
    },
    /// Ask the running gateway of these settings whether it is ready; fails if it is not
    #[command(after_help = "Example: signpost health")]
    Health {
        #[command(flatten)]
        output: Output,
    },
    /// Have the running gateway of these settings read its settings and key files again
    ///
    /// It applies all of them or none, and exits with 3 if they are invalid. Requests and sign-ins under way are not disturbed.
    /// The report names settings that differ and need a restart.
    #[command(after_help = "Example: signpost reload")]
    Reload(reload::Reload),
    /// Copy the SQLite database into a new file, while the gateway runs
    #[command(after_help = "Example: signpost backup /var/backups/signpost-2026-11-27.db")]
    Backup(backup::Backup),
    /// Replace the SQLite database by a backup and end all sessions; the gateway must be stopped
    ///
    /// The earlier database is kept beside the new one.
    #[command(after_help = "Example: signpost restore /var/backups/signpost-2026-11-27.db --yes")]
    Restore(backup::Restore),
    /// Copy the database into another one, such as SQLite into PostgreSQL; every gateway that uses either must be stopped
    ///
    /// Everything is copied, sessions and consumed single-use tokens too, so customers stay signed in. While it runs, nothing
    /// can write to the source; what is written to it later is not copied. Row counts and hashes of every table are compared. A
    /// copy that was interrupted continues when the command is run again, and no gateway starts on it before it is complete. The
    /// secrets in the database stay sealed: the copy needs the same key files.
    #[command(after_help = "Example: signpost copy --from sqlite:/var/lib/signpost/signpost.db --to \
                      postgres://signpost@db.internal/signpost")]
    Copy(copy::Copy),
    /// Show the routing decision for a username or an address, without side effects
    #[command(after_help = "Example: signpost simulate --username alice --issuer riverside-water=down")]
    Simulate(simulate::Arguments),
    /// Preview the effect of a change on the routing of all users
    Impact(impact::Arguments),
    /// Import billers or users from a file
    #[command(subcommand)]
    Import(import::Arguments),
    /// List and show billers, decide pending approvals, compare a biller's settings with SecureAuth
    #[command(subcommand)]
    Billers(billers::Arguments),
    /// List, show, suspend and reactivate users, erase them, export what is stored about them
    #[command(subcommand)]
    Users(users::Arguments),
    /// Create, list and revoke API keys
    #[command(subcommand)]
    Keys(keys::Arguments),
    /// Show or set the kill switch
    #[command(
        after_help = "Examples:\n  signpost kill-switch all-legacy\n  signpost kill-switch riverside-water=legacy\n  \
                            signpost kill-switch off"
    )]
    KillSwitch(controls::KillSwitch),
    /// Pause a biller: its users see the maintenance page
    #[command(after_help = "Example: signpost pause riverside-water")]
    Pause(controls::Pause),
    /// Unpause a biller
    #[command(after_help = "Example: signpost unpause riverside-water")]
    Unpause(billers::OneBiller),
    /// Show, announce or cancel a maintenance window of a biller's identity provider
    #[command(after_help = "Example: signpost maintenance riverside-water --from 2026-11-28T06:00:00-05:00 --until \
                            2026-11-28T07:00:00-05:00")]
    Maintenance(maintenance::Arguments),
    /// Set a biller's activation date and rollout
    #[command(after_help = "Example: signpost rollout riverside-water --from now --percent 10")]
    Rollout(controls::RolloutArguments),
    /// End sessions of a biller: all of them, those of a user, or those of one session at the issuer
    #[command(after_help = "Examples:\n  signpost end-sessions riverside-water --username ann\n  \
                            signpost end-sessions riverside-water --yes")]
    EndSessions(controls::EndSessions),
    /// Enable SecureAuth for a biller: create its organization, pool and client, import its users, activate it
    #[command(after_help = "Example: signpost enable pinehill-gas --watch")]
    Enable(enable::Enable),
    /// Suspend an active biller; its users go to the legacy login, nothing is deleted
    #[command(after_help = "Example: signpost suspend riverside-water")]
    Suspend(enable::Suspend),
    /// Resume a suspended biller
    #[command(after_help = "Example: signpost resume riverside-water")]
    Resume(billers::OneBiller),
    /// List, show, retry and cancel enablement jobs
    #[command(after_help = "Examples:\n  signpost jobs\n  signpost jobs --biller pinehill-gas --format json")]
    Jobs(jobs::Arguments),
    /// Compare a biller's users with SecureAuth and repair differences
    #[command(after_help = "Example: signpost sync riverside-water --dry-run")]
    Sync(sync::Sync),
    /// Export a biller's users from SecureAuth as JSON
    #[command(after_help = "Example: signpost export riverside-water --output users.json")]
    Export(sync::Export),
    /// Show the user changes that wait to reach SecureAuth, and why they fail
    #[command(after_help = "Example: signpost outbox --biller riverside-water")]
    Outbox(sync::Outbox),
    /// Show the settings in effect
    #[command(subcommand)]
    Config(config::Arguments),
    /// Create key files and rotate the secret keys
    #[command(subcommand)]
    Secrets(secrets::Arguments),
    /// Show or export audit events
    #[command(after_help = "Example: signpost audit --biller riverside-water --since 2026-11-01 --format csv")]
    Audit(audit::Arguments),
    /// Show the decision record of a reference code
    #[command(after_help = "Example: signpost decision 7K3M-9QXD-R2WA-5HTC --reason \"ticket 4711\"")]
    Decision(decision::Arguments),
    /// Generate the documents that must match the code
    #[command(after_help = "Example: signpost generate --check")]
    Generate(generate::Arguments),
    /// Print the completion script of a shell
    #[command(after_help = "Example: signpost completions bash > /etc/bash_completion.d/signpost")]
    Completions { shell: clap_complete::Shell },
    /// Write the manual pages into a folder
    #[command(after_help = "Example: signpost man /usr/local/share/man/man1")]
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
            exit_code(&error)
        }
    }
}

/// As docs/reference/cli.md lists them; clap ends the process with 2.
fn exit_code(error: &anyhow::Error) -> ExitCode {
    if error.is::<Problems>() {
        ExitCode::from(3)
    } else if error.is::<NotConfirmed>() {
        ExitCode::from(4)
    } else {
        ExitCode::FAILURE
    }
}

async fn run(cli: Cli) -> CliResult {
    let Cli { global, command } = cli;
    match command {
        Command::Serve(arguments) => serve::run(&global.config, &arguments).await,
        #[cfg(feature = "standin")]
        Command::Demo(arguments) => demo::run(arguments).await,
        Command::Doctor(arguments) => doctor::run(&global, arguments).await,
        Command::Migrate { output } => migrate(&global.config, output).await,
        Command::Health { output } => health::run(&global, output).await,
        Command::Reload(arguments) => reload::run(&global, &arguments).await,
        Command::Backup(arguments) => backup::back_up(&global, arguments).await,
        Command::Restore(arguments) => backup::restore(&global, arguments).await,
        Command::Copy(arguments) => copy::run(&global, arguments).await,
        Command::Simulate(arguments) => simulate::run(&global, arguments).await,
        Command::Impact(arguments) => impact::run(&global, arguments).await,
        Command::Import(arguments) => import::run(&global, arguments).await,
        Command::Billers(arguments) => billers::run(&global, arguments).await,
        Command::Users(arguments) => users::run(&global, arguments).await,
        Command::Keys(arguments) => keys::run(&global, arguments).await,
        Command::KillSwitch(arguments) => controls::kill_switch(&global, arguments).await,
        Command::Pause(arguments) => controls::pause(&global, arguments).await,
        Command::Unpause(arguments) => controls::unpause(&global, arguments).await,
        Command::Maintenance(arguments) => maintenance::run(&global, arguments).await,
        Command::Rollout(arguments) => controls::rollout(&global, arguments).await,
        Command::EndSessions(arguments) => controls::end_sessions(&global, arguments).await,
        Command::Enable(arguments) => enable::run(&global, arguments).await,
        Command::Suspend(arguments) => enable::suspend(&global, arguments).await,
        Command::Resume(arguments) => enable::resume(&global, arguments).await,
        Command::Jobs(arguments) => jobs::run(&global, arguments).await,
        Command::Sync(arguments) => sync::run(&global, arguments).await,
        Command::Export(arguments) => sync::export(&global, arguments).await,
        Command::Outbox(arguments) => sync::outbox(&global, arguments).await,
        Command::Config(arguments) => config::run(&global, arguments),
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

async fn migrate(path: &std::path::Path, output: Output) -> CliResult {
    let state = App::open(load(path)?, Schema::Migrate, Clock::System, Random::system()).await?;
    let (version, _) = state.db.schema_versions().await?;
    output.print(&serde_json::json!({ "schema_version": version }), || outln!("the schema is up to date"))
}
