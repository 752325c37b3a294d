//! `signpost maintenance`

use anyhow::bail;
use clap::Args;
use serde::Serialize;

use super::CliResult;
use super::billers::{self, known};
use super::controls::change_biller;
use super::operator::{Concerned, Global};
use super::output::Output;
use crate::access::Scope;
use crate::api::responses::BillerResponse;
use crate::audit::Action;
use crate::directory::Maintenance;
use signpost_core::{Slug, Timestamp};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Slug of the biller
    slug: Slug,
    /// Start, such as 2026-11-28T06:00:00-05:00; pages show the times in this UTC offset
    #[arg(long, value_name = "TIME", value_parser = moment, requires = "until")]
    from: Option<(Timestamp, i16)>,
    /// End
    #[arg(long, value_name = "TIME", value_parser = moment, requires = "from")]
    until: Option<(Timestamp, i16)>,
    /// Cancel the maintenance window
    #[arg(long, conflicts_with = "from")]
    cancel: bool,
    #[command(flatten)]
    output: Output,
}

/// A biller with its maintenance window, or null.
#[derive(Serialize)]
struct MaintenanceWindow {
    #[serde(flatten)]
    biller: BillerResponse,
    maintenance: Option<Window>,
}

#[derive(Serialize)]
struct Window {
    from: String,
    until: String,
}

fn moment(text: &str) -> Result<(Timestamp, i16), String> {
    Timestamp::parse_with_offset(text)
        .ok_or_else(|| "expected a time with its UTC offset, such as 2026-11-28T06:00:00-05:00".to_owned())
}

pub(super) async fn run(global: &Global, arguments: Arguments) -> CliResult {
    let slug = &arguments.slug;
    let changes = arguments.cancel || arguments.from.is_some();
    let scope = if changes { Scope::BillersWrite } else { Scope::BillersRead };
    let session = global.open(Some(scope), Concerned::One(slug)).await?;
    let state = &session.state;
    if let (Some((from, utc_offset_minutes)), Some((until, _))) = (arguments.from, arguments.until) {
        if until <= from {
            bail!("--until must be later than --from");
        }
        if until <= state.clock.now() {
            bail!("--until is in the past");
        }
        let window = Maintenance { from, until, utc_offset_minutes };
        change_biller(&session, slug, Action::MaintenanceUpdated, |biller| biller.maintenance = Some(window)).await?;
    } else if arguments.cancel {
        change_biller(&session, slug, Action::MaintenanceUpdated, |biller| biller.maintenance = None).await?;
    }
    let biller = known(state, slug).await?;
    let response = MaintenanceWindow {
        biller: billers::response(state, &biller),
        maintenance: biller
            .maintenance
            .map(|window| Window { from: window.from.to_string(), until: window.until.to_string() }),
    };
    arguments.output.print(&response, || match biller.maintenance {
        Some(window) => outln!("{slug}: maintenance from {} until {}", window.from, window.until),
        None => outln!("{slug}: no maintenance window"),
    })
}
