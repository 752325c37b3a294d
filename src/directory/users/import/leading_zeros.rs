//! Finds usernames that lost their leading zeros in a spreadsheet: the directory has `00123`, the file has `123`.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use super::check::Problems;
use super::error::ImportError;
use super::file::Reader;
use super::format::Format;
use crate::db::{Db, DbError, Sql};
use crate::{sql, values};
use signpost_core::Username;

const LENGTHS: Sql = sql!(
    "SELECT DISTINCT CAST(LENGTH(username_key) AS BIGINT) AS length FROM membership \
     WHERE biller_id = $1 AND username_key >= '0' AND username_key < '1' AND username_key LIKE '0%'"
);
const FIND: Sql = sql!("SELECT username_key FROM membership WHERE biller_id = $1 AND username_key IN {keys}");
const USERNAMES_PER_QUERY: usize = 500;

/// Reads the file another time if the biller has usernames with leading zeros.
pub(super) async fn check(
    db: &Db,
    biller_id: &str,
    (path, format): (&Path, &Format),
    problems: &mut Problems,
) -> Result<(), ImportError> {
    let lengths = db.all(LENGTHS, values![biller_id]).await?;
    let lengths: BTreeSet<usize> = lengths
        .iter()
        .map(|row| Ok(usize::try_from(row.int("length")?).unwrap_or(0)))
        .collect::<Result<_, DbError>>()?;
    if lengths.is_empty() {
        return Ok(());
    }
    let mut reader = Reader::open(path, format)?;
    loop {
        let mut batch = Vec::new();
        let more = loop {
            match reader.next() {
                Ok(Some((line, raw))) => batch.extend(number(&raw.username).map(|key| (line, key))),
                Ok(None) => break false,
                Err(error) if error.is_fatal => break false,
                Err(_) => {}
            }
            if batch.len() >= USERNAMES_PER_QUERY {
                break true;
            }
        };
        report(db, biller_id, &batch, &lengths, problems).await?;
        if !more {
            return Ok(());
        }
    }
}

/// The username, if it is a number without leading zeros.
fn number(text: &str) -> Option<String> {
    let is_number = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    Username::parse(text).ok().filter(|_| is_number).map(|key| key.as_str().to_owned())
}

async fn report(
    db: &Db,
    biller_id: &str,
    batch: &[(u64, String)],
    lengths: &BTreeSet<usize>,
    problems: &mut Problems,
) -> Result<(), ImportError> {
    if batch.is_empty() {
        return Ok(());
    }
    let padded = |key: &str| {
        let longer = lengths.iter().filter(|length| **length > key.len());
        longer.map(|length| format!("{key:0>length$}")).collect::<Vec<_>>()
    };
    let mut keys: Vec<String> = batch.iter().map(|(_, key)| key.clone()).collect();
    keys.extend(batch.iter().flat_map(|(_, key)| padded(key)));
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let found = db.all_in(FIND, biller_id.into(), &keys).await?;
    let found: HashSet<String> = found.iter().map(|row| row.text("username_key")).collect::<Result<_, DbError>>()?;
    for (line, key) in batch.iter().filter(|(_, key)| !found.contains(key)) {
        if let Some(zeros) =
            padded(key).iter().find(|padded| found.contains(*padded)).map(|full| full.len() - key.len())
        {
            problems.add_row(
                *line,
                [format!(
                    "username: the directory has the same number with {zeros} leading zero(s), which a spreadsheet \
                 removed; format the column as text and export again"
                )],
            );
        }
    }
    Ok(())
}
