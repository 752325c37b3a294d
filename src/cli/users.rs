//! `signpost users list|show|suspend|reactivate`

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::operator::{Concerned, Global, Session};
use super::output::Output;
use super::{CliResult, user_data};
use crate::access::Scope;
use crate::api::responses::User;
use crate::directory::{Billers, UserFilter, UserRecord, UserStatus, UserUpdate};
use signpost_core::{BillerId, Slug, UserId, Username};

#[derive(Debug, Subcommand)]
pub(super) enum Arguments {
    /// List users
    #[command(after_help = "Examples:\n  signpost users list --biller riverside-water --status suspended\n  \
                            signpost users list --email ann@mail.example --format json")]
    List(List),
    /// Show a user with billers and status
    #[command(after_help = "Example: signpost users show ann")]
    Show(OneUser),
    /// Suspend a user: ends the user's sessions and blocks sign-ins until `reactivate`
    #[command(after_help = "Example: signpost users suspend ann")]
    Suspend(OneUser),
    /// Reactivate a suspended user
    #[command(after_help = "Example: signpost users reactivate ann")]
    Reactivate(OneUser),
    /// Erase all data about a user, also at SecureAuth, for good
    ///
    /// It shows first how many rows of each table are erased, and asks. The audit event names the user by id.
    #[command(after_help = "Example: signpost users erase ann --reason 'request 4711' --dry-run")]
    Erase(user_data::Erase),
    /// Export all data about a user as one JSON document
    #[command(after_help = "Example: signpost users export-data ann --output ann.json")]
    ExportData(user_data::ExportData),
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only users of this biller
    #[arg(long, value_name = "SLUG")]
    biller: Option<Slug>,
    /// Only users with this mail address; case does not matter
    #[arg(long)]
    email: Option<String>,
    /// Only users with this status: `created`, `active`, `suspended` or `deleted`; repeatable
    #[arg(long, value_parser = status)]
    status: Vec<UserStatus>,
    /// Only users after this id, for the next page
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    after: String,
    /// Maximum number of users
    #[arg(long, default_value_t = 50)]
    limit: usize,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
pub(super) struct OneUser {
    /// Username, or id of the user
    user: String,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct UserList {
    users: Vec<User>,
}

fn status(text: &str) -> Result<UserStatus, String> {
    UserStatus::parse(text).ok_or_else(|| "expected created, active, suspended or deleted".to_owned())
}

pub(super) async fn run(global: &Global, arguments: Arguments) -> CliResult {
    match arguments {
        Arguments::List(filter) => list(global, filter).await,
        Arguments::Show(OneUser { user, output }) => {
            let session = global.open(Some(Scope::IdentityRead), Concerned::AsPermitted).await?;
            let record = find(&session, &user).await?;
            print(&session, &record, output).await
        }
        Arguments::Suspend(one) => set_status(global, one, UserStatus::Suspended).await,
        Arguments::Reactivate(one) => set_status(global, one, UserStatus::Active).await,
        Arguments::Erase(erase) => user_data::erase(global, erase).await,
        Arguments::ExportData(export) => user_data::export(global, export).await,
    }
}

async fn list(global: &Global, filter: List) -> CliResult {
    let concerned = filter.biller.as_ref().map_or(Concerned::AsPermitted, Concerned::One);
    let session = global.open(Some(Scope::IdentityRead), concerned).await?;
    let billers = session.state.directory.billers().await?;
    let scope = match &filter.biller {
        Some(slug) => {
            Some(vec![billers.by_slug(slug).with_context(|| format!("there is no biller {slug}"))?.id.clone()])
        }
        None => scope(&session, &billers),
    };
    let wanted = UserFilter { email: filter.email, statuses: filter.status, billers: scope };
    let records = session.state.directory.list_users(&wanted, &filter.after, filter.limit).await?;
    let users = records.iter().map(|record| response(&session, &billers, record)).collect();
    filter.output.print(&UserList { users }, || {
        for record in &records {
            outln!("{}", line(&session, &billers, record));
        }
        if records.len() == filter.limit
            && let Some(last) = records.last()
        {
            eprintln!("there may be more; continue with --after {}", last.id);
        }
    })
}

async fn set_status(global: &Global, OneUser { user, output }: OneUser, status: UserStatus) -> CliResult {
    let session = global.open(Some(Scope::IdentityWrite), Concerned::AsPermitted).await?;
    let (state, record) = (&session.state, find(&session, &user).await?);
    if status == UserStatus::Active && record.status != UserStatus::Suspended {
        bail!("{} is not suspended: the user is {}", record.username, record.status.as_str());
    }
    let billers = state.directory.billers().await?;
    let change = UserUpdate { status: Some(status), ..UserUpdate::default() };
    let scope = scope(&session, &billers);
    let mut tx = state.db.begin().await?;
    state.directory.update_user_in(&mut tx, &record.id, &change, scope.as_deref(), &session.actor()?).await?;
    tx.commit().await?;
    let record = find(&session, record.id.as_str()).await?;
    print(&session, &record, output).await
}

async fn print(session: &Session, record: &UserRecord, output: Output) -> CliResult {
    let billers = session.state.directory.billers().await?;
    output.print(&response(session, &billers, record), || outln!("{}", line(session, &billers, record)))
}

fn response(session: &Session, billers: &Billers, record: &UserRecord) -> User {
    User::new(record, billers, |slug| session.permits_biller(slug), None)
}

fn line(session: &Session, billers: &Billers, record: &UserRecord) -> String {
    let theirs = record.billers.iter().filter_map(|(id, _)| Some(&billers.by_id(id)?.slug));
    let theirs: Vec<&str> = theirs.filter(|slug| session.permits_biller(slug)).map(Slug::as_str).collect();
    let UserRecord { id, username, email, status, .. } = record;
    format!("{id}  {username}  {email}  {}  {}", status.as_str(), theirs.join(", "))
}

/// The billers whose users the operator may see.
fn scope(session: &Session, billers: &Billers) -> Option<Vec<BillerId>> {
    let own = session.biller_scope()?;
    Some(own.iter().filter_map(|slug| Some(billers.by_slug(slug)?.id.clone())).collect())
}

/// A user by id or username. Several people may have the same username.
async fn find(session: &Session, user: &str) -> Result<UserRecord, anyhow::Error> {
    let directory = &session.state.directory;
    let billers = directory.billers().await?;
    let scope = scope(session, &billers);
    let unknown = || format!("there is no user {user}; `signpost users list` lists users");
    if uuid::Uuid::try_parse(user).is_ok() {
        let id = UserId::from_stored(user.to_owned());
        return directory.user_record(&id, scope.as_deref()).await?.with_context(unknown);
    }
    let username = Username::parse(user).with_context(|| format!("{user:?}"))?;
    let mut found = directory.users_by_username(&username).await?;
    found.retain(|record| scope.as_ref().is_none_or(|own| record.billers.iter().any(|(id, _)| own.contains(id))));
    match &found[..] {
        [] => bail!(unknown()),
        [_] => {}
        several => {
            let lines: Vec<String> = several.iter().map(|record| line(session, &billers, record)).collect();
            bail!("{} users have the username {user}; name one by its id:\n  {}", several.len(), lines.join("\n  "));
        }
    }
    found.pop().with_context(unknown)
}
