//! Statements on billers.

use super::billers::{Biller, BillerSettings};
use super::branding::Logo;
use super::health::IssuerStatus;
use super::{Billers, DirectoryError};
use crate::db::{Db, DbError, Row, Tx};
use crate::values;
use signpost_core::decision::CiamState;
use signpost_core::{BillerId, Slug, Timestamp};

const REVISION: &str = "SELECT value FROM revision WHERE name = 'billers'";
const BUMP: &str = "UPDATE revision SET value = value + 1 WHERE name = 'billers'";
const BILLERS: &str = "SELECT r.value, b.id, b.slug, b.name, b.state, b.active_from, b.settings, \
     h.state, h.failures, h.reason, h.changed_at, p.issuer \
     FROM revision r LEFT JOIN biller b ON 1 = 1 LEFT JOIN issuer_health h ON h.biller_id = b.id \
     LEFT JOIN iss_pin p ON p.biller_id = b.id \
     WHERE r.name = 'billers' ORDER BY b.slug";
const HOSTS: &str = "SELECT host, biller_id FROM biller_host ORDER BY host";
const UPSERT: &str = "INSERT INTO biller (id, slug, name, state, active_from, settings, created_at, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $7) ON CONFLICT (slug) DO UPDATE SET name = excluded.name, \
     state = excluded.state, active_from = excluded.active_from, settings = excluded.settings, \
     updated_at = excluded.updated_at";
const SELECT_CONTROL: &str = "SELECT value FROM operational_control WHERE name = $1";
const DROP_ISS_PIN: &str = "DELETE FROM iss_pin WHERE biller_id = $1";
const DROP_HOSTS: &str = "DELETE FROM biller_host WHERE biller_id = $1";
const DROP_LOGO: &str = "DELETE FROM biller_logo WHERE biller_id = $1";
const UPSERT_LOGO: &str = "INSERT INTO biller_logo (biller_id, hash, picture) VALUES ($1, $2, $3) \
     ON CONFLICT (biller_id) DO UPDATE SET hash = excluded.hash, picture = excluded.picture";
const LOGO: &str = "SELECT picture FROM biller_logo WHERE biller_id = $1 AND hash = $2";
const ADD_HOST: &str = "INSERT INTO biller_host (host, biller_id) VALUES ($1, $2)";

/// Name of the order that is the kill switch.
pub(super) const KILL_SWITCH: &str = "kill_switch";

pub(super) async fn revision(db: &Db) -> Result<i64, DirectoryError> {
    let row = db.one(REVISION, values![]).await?;
    row.map_or_else(|| Err(corrupt("no revision")), |row| Ok(row.int(0)?))
}

/// Every change of billers begins with this: it serialises the writers and tells the readers.
pub(super) async fn bump(tx: &mut Tx) -> Result<(), DbError> {
    tx.run(BUMP, values![]).await.map(|_| ())
}

pub(super) async fn load_billers(db: &Db) -> Result<Billers, DirectoryError> {
    let (billers, hosts) = (db.all(BILLERS, values![]).await?, db.all(HOSTS, values![]).await?);
    assemble(&billers, &hosts, db.one(SELECT_CONTROL, values![KILL_SWITCH]).await?)
}

/// The same inside a transaction.
pub(super) async fn load_billers_in(tx: &mut Tx) -> Result<Billers, DirectoryError> {
    let (billers, hosts) = (tx.all(BILLERS, values![]).await?, tx.all(HOSTS, values![]).await?);
    assemble(&billers, &hosts, tx.one(SELECT_CONTROL, values![KILL_SWITCH]).await?)
}

fn assemble(rows: &[Row], hosts: &[Row], kill_switch: Option<Row>) -> Result<Billers, DirectoryError> {
    let revision = rows.first().map_or_else(|| Err(corrupt("no revision")), |row| Ok(row.int(0)?))?;
    let mut billers = rows.iter().filter_map(|row| read_biller(row).transpose()).collect::<Result<Vec<_>, _>>()?;
    for row in hosts {
        let (host, owner) = (row.text(0)?, row.text(1)?);
        if let Some(biller) = billers.iter_mut().find(|biller| biller.id.as_str() == owner) {
            biller.hosts.push(host);
        }
    }
    let kill_switch = kill_switch.map(|row| row.text(0)).transpose()?;
    let kill_switch = kill_switch.map(|text| text.parse().map_err(|error: String| corrupt(&error))).transpose()?;
    Ok(Billers::new(revision, billers, kill_switch))
}

fn read_biller(row: &Row) -> Result<Option<Biller>, DirectoryError> {
    let Some(id) = row.opt_text(1)? else { return Ok(None) };
    let slug = row.text(2)?;
    let bad = |what: &str| corrupt(&format!("biller {slug}: {what}"));
    let settings: BillerSettings = serde_json::from_str(&row.text(6)?).map_err(|error| bad(&error.to_string()))?;
    Ok(Some(Biller {
        id: BillerId::from_stored(id),
        name: row.text(3)?,
        state: read_state(&row.text(4)?).ok_or_else(|| bad("unknown state"))?,
        active_from: row.opt_time(5)?,
        settings,
        hosts: Vec::new(),
        health: IssuerStatus {
            is_down: row.opt_text(7)?.as_deref() == Some("down"),
            failures: row.opt_int(8)?.unwrap_or(0),
            reason: row.opt_text(9)?.unwrap_or_default(),
            since: row.opt_time(10)?,
        },
        pinned_iss: row.opt_text(11)?,
        slug: Slug::parse(&slug).map_err(|error| bad(&error.to_string()))?,
    }))
}

/// Reads a state as it is written in files and in the database.
pub(super) fn read_state(text: &str) -> Option<CiamState> {
    [CiamState::Legacy, CiamState::Enabling, CiamState::Active, CiamState::Suspended]
        .into_iter()
        .find(|state| state.as_str() == text)
}

pub(super) fn corrupt(what: &str) -> DirectoryError {
    DirectoryError::Corrupt(what.to_owned())
}

/// Takes a biller's hosts away, before those of a change are written.
pub(super) async fn drop_hosts(tx: &mut Tx, biller: &Biller) -> Result<(), DbError> {
    tx.run(DROP_HOSTS, values![biller.id.as_str()]).await.map(|_| ())
}

/// Forgets that an issuer names itself: its registration was written anew.
pub(super) async fn drop_iss_pin(tx: &mut Tx, biller: &Biller) -> Result<(), DbError> {
    tx.run(DROP_ISS_PIN, values![biller.id.as_str()]).await.map(|_| ())
}

/// Makes or changes a biller. The caller has called [`bump`] and [`drop_hosts`] in the same transaction.
pub(super) async fn upsert_biller(tx: &mut Tx, biller: &Biller, now: Timestamp) -> Result<(), DirectoryError> {
    let settings = serde_json::to_string(&biller.settings).map_err(|error| corrupt(&error.to_string()))?;
    let (id, slug) = (biller.id.as_str(), biller.slug.as_str());
    let state = biller.state.as_str();
    tx.run(UPSERT, values![id, slug, biller.name.as_str(), state, biller.active_from, settings, now]).await?;
    for host in &biller.hosts {
        tx.run(ADD_HOST, values![host, id]).await?;
    }
    match &biller.settings.branding.logo {
        None => drop(tx.run(DROP_LOGO, values![id]).await?),
        // One that is there already has no picture with it.
        Some(Logo { hash, picture: Some(picture), .. }) => drop(tx.run(UPSERT_LOGO, values![id, hash, picture]).await?),
        Some(_) => {}
    }
    Ok(())
}

/// A biller's logo in base64, if it is still the one with this hash.
pub(super) async fn logo(db: &Db, biller: &BillerId, hash: &str) -> Result<Option<String>, DbError> {
    db.one(LOGO, values![biller.as_str(), hash]).await?.map(|row| row.text(0)).transpose()
}
