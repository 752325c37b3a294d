//! Statements on billers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::biller::{Biller, IssuerStatus};
use super::branding::{Branding, Logo};
use super::oidc::ClientSecrets;
use super::settings::{BillerSettings, Maintenance, UserPoolRef};
use super::snapshot::Billers;
use crate::db::{Db, DbError, Row, Sql, Tx};
use crate::directory::DirectoryError;
pub(in crate::directory) use crate::directory::error::corrupt;
use crate::{sql, values};
use signpost_core::decision::{CiamMode, CiamState};
use signpost_core::{BillerId, Slug, Timestamp};

const REVISION: Sql = sql!("SELECT value FROM revision WHERE name = 'billers'");
const BUMP: Sql = sql!("UPDATE revision SET value = value + 1 WHERE name = 'billers'");
const BILLERS: Sql = sql!(
    "SELECT r.value AS revision, b.id, b.slug, b.name, b.state, b.active_from, \
     b.settings, h.state AS issuer_state, h.failures, h.reason, h.changed_at, h.fault, h.fault_since, p.issuer AS pinned_iss \
     FROM revision r LEFT JOIN biller b ON 1 = 1 LEFT JOIN issuer_health h ON h.biller_id = b.id \
     LEFT JOIN iss_pin p ON p.biller_id = b.id \
     WHERE r.name = 'billers' ORDER BY b.slug"
);
const HOSTS: Sql = sql!("SELECT host, biller_id FROM biller_host ORDER BY host");
const UPSERT: Sql = sql!(
    "INSERT INTO biller (id, slug, name, state, active_from, settings, created_at, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $7) ON CONFLICT (slug) DO UPDATE SET name = excluded.name, \
     state = excluded.state, active_from = excluded.active_from, settings = excluded.settings, \
     updated_at = excluded.updated_at"
);
const SELECT_CONTROL: Sql = sql!("SELECT value FROM operational_control WHERE name = $1");
const DROP_ISS_PIN: Sql = sql!("DELETE FROM iss_pin WHERE biller_id = $1");
const DROP_HOSTS: Sql = sql!("DELETE FROM biller_host WHERE biller_id = $1");
const DROP_LOGO: Sql = sql!("DELETE FROM biller_logo WHERE biller_id = $1");
const UPSERT_LOGO: Sql = sql!(
    "INSERT INTO biller_logo (biller_id, hash, picture) VALUES ($1, $2, $3) \
     ON CONFLICT (biller_id) DO UPDATE SET hash = excluded.hash, picture = excluded.picture"
);
const LOGO: Sql = sql!("SELECT picture FROM biller_logo WHERE biller_id = $1 AND hash = $2");
const ADD_HOST: Sql = sql!("INSERT INTO biller_host (host, biller_id) VALUES ($1, $2)");

/// Name of the kill switch among the operational controls.
pub(super) const KILL_SWITCH: &str = "kill_switch";

pub(in crate::directory) async fn revision(db: &Db) -> Result<i64, DirectoryError> {
    let row = db.one(REVISION, values![]).await?;
    row.map_or_else(|| Err(corrupt("no revision")), |row| Ok(row.int("value")?))
}

/// See [`Directory::bump`](crate::directory::Directory).
pub(in crate::directory) async fn bump(tx: &mut Tx) -> Result<(), DbError> {
    tx.run(BUMP, values![]).await.map(|_| ())
}

pub(in crate::directory) async fn load_billers(db: &Db) -> Result<Billers, DirectoryError> {
    let (billers, hosts) = (db.all(BILLERS, values![]).await?, db.all(HOSTS, values![]).await?);
    assemble(&billers, &hosts, db.one(SELECT_CONTROL, values![KILL_SWITCH]).await?)
}

pub(super) async fn load_billers_in(tx: &mut Tx) -> Result<Billers, DirectoryError> {
    let (billers, hosts) = (tx.all(BILLERS, values![]).await?, tx.all(HOSTS, values![]).await?);
    assemble(&billers, &hosts, tx.one(SELECT_CONTROL, values![KILL_SWITCH]).await?)
}

fn assemble(rows: &[Row], hosts: &[Row], kill_switch: Option<Row>) -> Result<Billers, DirectoryError> {
    let revision = rows.first().map_or_else(|| Err(corrupt("no revision")), |row| Ok(row.int("revision")?))?;
    let mut billers = rows.iter().filter_map(|row| read_biller(row).transpose()).collect::<Result<Vec<_>, _>>()?;
    for row in hosts {
        let (host, owner) = (row.text("host")?, row.text("biller_id")?);
        if let Some(biller) = billers.iter_mut().find(|biller| biller.id.as_str() == owner) {
            biller.hosts.push(host);
        }
    }
    let kill_switch = kill_switch.map(|row| row.text("value")).transpose()?;
    let kill_switch = kill_switch.map(|text| text.parse().map_err(|error: String| corrupt(&error))).transpose()?;
    Ok(Billers::new(revision, billers, kill_switch))
}

fn read_biller(row: &Row) -> Result<Option<Biller>, DirectoryError> {
    let Some(id) = row.opt_text("id")? else { return Ok(None) };
    let slug = row.text("slug")?;
    let bad = |what: &str| corrupt(&format!("biller {slug}: {what}"));
    let stored = StoredSettings::parse(&row.text("settings")?).map_err(|error| bad(&error.to_string()))?;
    let StoredSettings { settings, client_secrets, user_pool, maintenance, branding, ciam_mode, generation } = stored;
    Ok(Some(Biller {
        id: BillerId::from_stored(id),
        name: row.text("name")?,
        state: read_state(&row.text("state")?).ok_or_else(|| bad("unknown state"))?,
        active_from: row.opt_time("active_from")?,
        settings,
        client_secrets,
        user_pool,
        maintenance,
        branding,
        ciam_mode,
        generation,
        hosts: Vec::new(),
        health: IssuerStatus {
            is_down: row.opt_text("issuer_state")?.as_deref() == Some("down"),
            failures: row.opt_int("failures")?.unwrap_or(0),
            reason: row.opt_text("reason")?.unwrap_or_default(),
            since: row.opt_time("changed_at")?,
            fault: row.opt_text("fault")?.filter(|fault| !fault.is_empty()),
            fault_since: row.opt_time("fault_since")?,
        },
        pinned_iss: row.opt_text("pinned_iss")?,
        slug: Slug::parse(&slug).map_err(|error| bad(&error.to_string()))?,
    }))
}

/// What the column `settings` holds, as one JSON object: everything about a biller that no statement selects by.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct StoredSettings {
    #[serde(flatten)]
    settings: BillerSettings,
    client_secrets: ClientSecrets,
    user_pool: Option<UserPoolRef>,
    maintenance: Option<Maintenance>,
    branding: Branding,
    ciam_mode: Option<CiamMode>,
    generation: i64,
}

impl StoredSettings {
    pub(super) fn of(biller: &Biller) -> Self {
        Self {
            settings: biller.settings.clone(),
            client_secrets: biller.client_secrets.clone(),
            user_pool: biller.user_pool.clone(),
            maintenance: biller.maintenance,
            branding: biller.branding.clone(),
            ciam_mode: biller.ciam_mode,
            generation: biller.generation,
        }
    }

    /// A setting that is younger than the row has its default.
    fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let mut fields = json!(Self::default());
        if let (Some(fields), stored) = (fields.as_object_mut(), serde_json::from_str::<Map<String, Value>>(text)?) {
            fields.extend(stored);
        }
        serde_json::from_value(fields)
    }
}

/// Reads a state as files and the database have it.
fn read_state(text: &str) -> Option<CiamState> {
    [CiamState::Legacy, CiamState::Enabling, CiamState::Active, CiamState::Suspended]
        .into_iter()
        .find(|state| state.as_str() == text)
}

pub(super) async fn drop_hosts(tx: &mut Tx, biller: &Biller) -> Result<(), DbError> {
    tx.run(DROP_HOSTS, values![biller.id.as_str()]).await.map(|_| ())
}

pub(super) async fn drop_iss_pin(tx: &mut Tx, biller: &Biller) -> Result<(), DbError> {
    tx.run(DROP_ISS_PIN, values![biller.id.as_str()]).await.map(|_| ())
}

/// Creates or updates a biller. The caller has called [`bump`] and [`drop_hosts`] in the same transaction.
pub(super) async fn upsert_biller(tx: &mut Tx, biller: &Biller, now: Timestamp) -> Result<(), DirectoryError> {
    let settings = serde_json::to_string(&StoredSettings::of(biller)).map_err(|error| corrupt(&error.to_string()))?;
    let (id, slug) = (biller.id.as_str(), biller.slug.as_str());
    let state = biller.state.as_str();
    tx.run(UPSERT, values![id, slug, biller.name.as_str(), state, biller.active_from, settings, now]).await?;
    for host in &biller.hosts {
        tx.run(ADD_HOST, values![host, id]).await?;
    }
    match &biller.branding.logo {
        None => drop(tx.run(DROP_LOGO, values![id]).await?),
        // A logo that was read from the database comes without its picture, which is there already.
        Some(Logo { hash, picture: Some(picture), .. }) => drop(tx.run(UPSERT_LOGO, values![id, hash, picture]).await?),
        Some(_) => {}
    }
    Ok(())
}

/// The logo in base64, if it still has this hash.
pub(in crate::directory) async fn logo(db: &Db, biller: &BillerId, hash: &str) -> Result<Option<String>, DbError> {
    db.one(LOGO, values![biller.as_str(), hash]).await?.map(|row| row.text("picture")).transpose()
}
