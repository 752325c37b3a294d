//! Pins what the first sign-in shows: the subject by which an issuer knows a user (per biller, generation and issuer), and that
//! an issuer sends the `iss` parameter.

use crate::db::{DbError, Sql, Tx};
use crate::directory::{Biller, Directory, DirectoryError};
use crate::{sql, values};
use signpost_core::{Timestamp, UserId};

const PIN_SUBJECT: Sql = sql!(
    "INSERT INTO subject_pin (biller_id, generation, issuer, user_id, subject, pinned_at) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING"
);
const PINNED_SUBJECT: Sql = sql!(
    "SELECT subject FROM subject_pin \
     WHERE biller_id = $1 AND generation = $2 AND issuer = $3 AND user_id = $4"
);
const PIN_ISS: Sql = sql!(
    "INSERT INTO iss_pin (biller_id, issuer) VALUES ($1, $2) \
     ON CONFLICT (biller_id) DO UPDATE SET issuer = excluded.issuer"
);

/// How a subject compares with the pinned one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubjectMatch {
    /// Nothing was pinned: this is the user's first sign-in at this issuer.
    Pinned,
    Same,
    /// The user has another subject, or the subject belongs to another user.
    Different,
}

impl Directory {
    /// Requires the `iss` parameter (RFC 9207) of this biller's issuer from now on, whatever its metadata says.
    pub async fn pin_iss(&self, biller: &Biller, issuer: &str) -> Result<(), DirectoryError> {
        if biller.pinned_iss.as_deref() == Some(issuer) {
            return Ok(());
        }
        let mut tx = self.db.begin().await?;
        self.bump(&mut tx).await?;
        tx.run(PIN_ISS, values![biller.id.as_str(), issuer]).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Pins the subject of a user, or compares it with the pinned one.
pub async fn pin_subject(
    tx: &mut Tx,
    biller: &Biller,
    issuer: &str,
    (user, subject): (&UserId, &str),
    now: Timestamp,
) -> Result<SubjectMatch, DbError> {
    let (id, generation) = (biller.id.as_str(), biller.generation);
    if tx.run(PIN_SUBJECT, values![id, generation, issuer, user.as_str(), subject, now]).await? > 0 {
        return Ok(SubjectMatch::Pinned);
    }
    let pinned = tx.one(PINNED_SUBJECT, values![id, generation, issuer, user.as_str()]).await?;
    let is_same = pinned.map(|row| row.text("subject")).transpose()?.is_some_and(|pinned| pinned == subject);
    Ok(if is_same { SubjectMatch::Same } else { SubjectMatch::Different })
}
