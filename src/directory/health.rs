//! What our own calls to a biller's identity provider met with. Written down, so that every instance sees the same.

use std::time::Duration;

use super::store;
use super::{Biller, Directory, DirectoryError};
use crate::values;
use signpost_core::Timestamp;

/// So many failures in a row, and the issuer counts as down.
pub const FAILURES_TO_OPEN: i64 = 3;

const RECORD_FAILURE: &str = "INSERT INTO issuer_health (biller_id, state, failures, reason, changed_at, checked_at) \
     VALUES ($1, 'up', 1, $2, $3, $3) ON CONFLICT (biller_id) DO UPDATE SET \
     failures = issuer_health.failures + 1, reason = excluded.reason, checked_at = excluded.checked_at \
     RETURNING failures";
const OPEN: &str = "UPDATE issuer_health SET state = 'down', changed_at = $2 \
     WHERE biller_id = $1 AND state <> 'down' AND failures >= $3";
/// A success of the documents says nothing of the token endpoint.
const RECORD_DOCUMENTS: &str = "UPDATE issuer_health SET state = 'up', failures = 0, reason = '', changed_at = $2, \
     checked_at = $2 WHERE biller_id = $1 AND (state <> 'up' OR failures > 0) AND reason NOT LIKE 'token %'";
/// But after a while without a failure people may try it: one more failure, and it counts as down again.
const HALF_OPEN: &str = "UPDATE issuer_health SET state = 'up', failures = $4, changed_at = $2 \
     WHERE biller_id = $1 AND state = 'down' AND reason LIKE 'token %' AND checked_at <= $3";
const CLAIM_PROBE: &str =
    "UPDATE issuer_health SET probed_until = $3 WHERE biller_id = $1 AND probed_until <= $2 AND failures > 0";
const RECORD_SUCCESS: &str = "UPDATE issuer_health SET state = 'up', failures = 0, reason = '', changed_at = $2, \
     checked_at = $2 WHERE biller_id = $1 AND (state <> 'up' OR failures > 0)";

/// How long a failing token endpoint is left alone before people may try it again.
const TOKEN_RETRY_DELAY: Duration = Duration::from_secs(60);

/// Which call of ours it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssuerEndpoint {
    /// Discovery document and keys.
    Metadata,
    /// The token endpoint.
    Token,
}

/// A biller's identity provider as we last met it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IssuerStatus {
    /// It counts as down.
    pub is_down: bool,
    /// Failures in a row.
    pub failures: i64,
    /// The last failure, in a word.
    pub reason: String,
    /// Since when it is as it is.
    pub since: Option<Timestamp>,
}

impl Directory {
    /// Notes that a call of ours to the biller's issuer failed; the third in a row makes it count as down.
    ///
    /// # Errors
    /// The database failed.
    pub async fn record_issuer_failure(
        &self,
        biller: &Biller,
        endpoint: IssuerEndpoint,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), DirectoryError> {
        let reason = match endpoint {
            IssuerEndpoint::Metadata => reason.to_owned(),
            IssuerEndpoint::Token => format!("token {reason}"),
        };
        let reason = reason.as_str();
        let mut tx = self.db.begin().await?;
        let recorded = tx.one(RECORD_FAILURE, values![biller.id.as_str(), reason, now]).await?;
        let is_first = recorded.map(|row| row.int("failures")).transpose()? == Some(1);
        let opened = tx.run(OPEN, values![biller.id.as_str(), now, FAILURES_TO_OPEN]).await? > 0;
        if opened {
            tracing::warn!(biller = %biller.slug, reason, "issuer counts as down");
        }
        // The first one as well, so that whoever succeeds next knows there is something to clear.
        if is_first || opened {
            store::bump(&mut tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Notes that a call of ours to the biller's issuer succeeded.
    ///
    /// # Errors
    /// The database failed.
    pub async fn record_issuer_success(
        &self,
        biller: &Biller,
        endpoint: IssuerEndpoint,
        now: Timestamp,
    ) -> Result<(), DirectoryError> {
        let mut tx = self.db.begin().await?;
        let cleared = match endpoint {
            IssuerEndpoint::Token => tx.run(RECORD_SUCCESS, values![biller.id.as_str(), now]).await?,
            IssuerEndpoint::Metadata => {
                let quiet_since = now.minus(TOKEN_RETRY_DELAY);
                let row = values![biller.id.as_str(), now, quiet_since, FAILURES_TO_OPEN - 1];
                tx.run(RECORD_DOCUMENTS, values![biller.id.as_str(), now]).await? + tx.run(HALF_OPEN, row).await?
            }
        };
        if cleared > 0 {
            store::bump(&mut tx).await?;
            tracing::info!(biller = %biller.slug, "issuer answers again");
        }
        tx.commit().await?;
        Ok(())
    }

    /// Whether this instance is the one to ask a failing issuer now; until then no other is.
    ///
    /// # Errors
    /// The database failed.
    pub async fn claim_probe(&self, biller: &Biller, now: Timestamp, until: Timestamp) -> Result<bool, DirectoryError> {
        Ok(self.db.run(CLAIM_PROBE, values![biller.id.as_str(), now, until]).await? > 0)
    }
}
