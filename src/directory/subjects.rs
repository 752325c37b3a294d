//! What is pinned at the first sign-in: the subject an issuer knows a user by (per biller, generation and issuer), and that
//! an issuer names itself in its answers.

use super::{Biller, Directory, DirectoryError, store};
use crate::values;
use signpost_core::{Timestamp, UserId};

const PIN: &str = "INSERT INTO subject_pin (biller_id, generation, issuer, user_id, subject, pinned_at) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
const PINNED: &str = "SELECT subject FROM subject_pin \
     WHERE biller_id = $1 AND generation = $2 AND issuer = $3 AND user_id = $4";

const PIN_ISS: &str = "INSERT INTO iss_pin (biller_id, issuer) VALUES ($1, $2) \
     ON CONFLICT (biller_id) DO UPDATE SET issuer = excluded.issuer";

/// What pinning a subject found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubjectMatch {
    /// The first sign-in of this user at this issuer: pinned now.
    Pinned,
    /// The subject of earlier sign-ins.
    Same,
    /// Another subject than before, or a subject that is another user's.
    Different,
}

impl Directory {
    /// Notes that the biller's issuer names itself in its answers (RFC 9207): from now on it has to, whatever its document
    /// says.
    ///
    /// # Errors
    /// The database failed.
    pub async fn pin_iss(&self, biller: &Biller, issuer: &str) -> Result<(), DirectoryError> {
        if biller.pinned_iss.as_deref() == Some(issuer) {
            return Ok(());
        }
        let mut tx = self.db.begin().await?;
        store::bump(&mut tx).await?;
        tx.run(PIN_ISS, values![biller.id.as_str(), issuer]).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Pins the subject, or compares it with the one pinned earlier.
    ///
    /// # Errors
    /// The database failed.
    pub async fn pin_subject(
        &self,
        biller: &Biller,
        issuer: &str,
        user: &UserId,
        subject: &str,
        now: Timestamp,
    ) -> Result<SubjectMatch, DirectoryError> {
        let (id, generation) = (biller.id.as_str(), biller.generation);
        let pin = values![id, generation, issuer, user.as_str(), subject, now];
        if self.db.run(PIN, pin).await? > 0 {
            return Ok(SubjectMatch::Pinned);
        }
        let pinned = self.db.one(PINNED, values![id, generation, issuer, user.as_str()]).await?;
        let same = pinned.map(|row| row.text(0)).transpose()?.is_some_and(|pinned| pinned == subject);
        Ok(if same { SubjectMatch::Same } else { SubjectMatch::Different })
    }
}
