//! `signpost copy`

mod sealed;

use clap::Args;
use secrecy::ExposeSecret;
use serde_json::json;

use super::CliResult;
use super::operator::{Global, local_actor};
use super::output::{Output, progress_bar};
use crate::audit::{Action, ActorContext, AuditEvent};
use crate::db;
#[cfg(feature = "standin")]
use crate::provisioning::Failpoints;
use sealed::Sealed;
use signpost_core::{Clock, Random, ids};

#[derive(Debug, Args)]
pub(super) struct Copy {
    /// The database to copy, sqlite:PATH or postgres://… [default: database.url of the settings]
    #[arg(long, value_name = "URL")]
    from: Option<String>,
    /// An empty database, or one with a part of this copy; a missing SQLite file is created
    ///
    /// Others can see the command line: give the password of PostgreSQL in PGPASSWORD or ~/.pgpass.
    #[arg(long, value_name = "URL")]
    to: String,
    /// Kill the process when it gets there, for crash tests.
    #[cfg(feature = "standin")]
    #[arg(long, hide = true)]
    failpoint: Option<String>,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn run(global: &Global, arguments: Copy) -> CliResult {
    let Copy { from, to, output, .. } = &arguments;
    let settings = super::load(&global.config)?;
    let random = Random::system();
    let keys = settings.secrets.key_ring(&random).map_err(|problem| anyhow::anyhow!("secrets.keys: {problem}"))?;
    let configured = settings.database.url.reveal().map_err(anyhow::Error::msg)?;
    let actor = ActorContext::new(local_actor()?, &Clock::System, &random);
    let mut copy = db::Copy::prepare(from.as_deref().unwrap_or(configured.expose_secret()), to).await?;
    let sealed = Sealed::check(&mut copy, &keys).await?;

    #[cfg(feature = "standin")]
    let failpoints = arguments.failpoint.clone().map(Failpoints::kill_at).unwrap_or_default();
    let bar = progress_bar();
    let report = |step: db::CopyStep<'_>| {
        bar.set_message(step.table.to_owned());
        bar.set_length(step.total);
        bar.set_position(step.done);
        #[cfg(feature = "standin")]
        failpoints.hit(step.table, step.stage);
    };
    let tables = copy.run(ids::uuid_v7(actor.now(), &random), &report).await;
    bar.finish_and_clear();
    let tables = tables?;

    let rows: u64 = tables.iter().map(|table| table.content.rows).sum();
    let mut tx = copy.finish().await?;
    let event = AuditEvent::new(Action::DatabaseCopied).with("from", copy.from()).with("to", copy.to());
    actor.record(&mut tx, event.with("rows", rows)).await?;
    tx.commit().await?;
    let (from, to, is_resumed) = (copy.from().to_owned(), copy.to().to_owned(), copy.is_resumed());
    copy.close().await;

    let each = tables
        .iter()
        .map(|table| json!({ "table": table.table, "rows": table.content.rows, "hash": table.content.hash() }));
    let value = json!({
        "from": from,
        "to": to,
        "rows": rows,
        "continued": is_resumed,
        "secrets": { "opened": sealed.opened, "unopened": sealed.unopened },
        "tables": each.collect::<Vec<_>>(),
    });
    output.print(&value, || {
        for table in tables.iter().filter(|table| table.content.rows > 0) {
            outln!("{:<24} {:>10} row(s)  {}", table.table, table.content.rows, &table.content.hash()[..16]);
        }
        outln!("{to} has the {rows} row(s) of {from}: {} tables have equal counts and hashes.", tables.len());
        outln!("The keys of these settings open {} secret(s) in it.", sealed.opened);
        for (table, count) in &sealed.unopened {
            outln!("{count} secret(s) in {table} need a key that is no longer in secrets.keys; they are copied as they are.");
        }
        outln!("Set database.url to the copy before you start the gateway, and keep the key files. What is written to the old");
        outln!("database from now on is not in the copy.");
    })
}
