//! Results of our own calls to billers' identity providers: a circuit breaker that all instances share.

use std::time::Duration;

use super::biller::Biller;
use crate::db::Sql;
use crate::directory::{Directory, DirectoryError};
use crate::{sql, values};
use signpost_core::Timestamp;

/// Consecutive failures after which the circuit breaker opens.
pub const FAILURES_TO_OPEN: i64 = 3;

const RECORD_FAILURE: Sql = sql!(
    "INSERT INTO issuer_health (biller_id, state, failures, reason, changed_at, checked_at) \
     VALUES ($1, 'up', 1, $2, $3, $3) ON CONFLICT (biller_id) DO UPDATE SET \
     failures = issuer_health.failures + 1, reason = excluded.reason, checked_at = excluded.checked_at \
     RETURNING failures"
);
const OPEN: Sql = sql!(
    "UPDATE issuer_health SET state = 'down', changed_at = $2 \
     WHERE biller_id = $1 AND state <> 'down' AND failures >= $3"
);
/// A document that can be fetched does not prove that the token endpoint works.
const RECORD_DOCUMENTS: Sql = sql!(
    "UPDATE issuer_health SET state = 'up', failures = 0, reason = '', changed_at = $2, \
     checked_at = $2 WHERE biller_id = $1 AND (state <> 'up' OR failures > 0) AND reason NOT LIKE 'token %'"
);
/// After a quiet time sign-ins may try the token endpoint: the next failure opens the circuit breaker again.
const HALF_OPEN: Sql = sql!(
    "UPDATE issuer_health SET state = 'up', failures = $4, changed_at = $2 \
     WHERE biller_id = $1 AND state = 'down' AND reason LIKE 'token %' AND checked_at <= $3"
);
const CLAIM_PROBE: Sql =
    sql!("UPDATE issuer_health SET probed_until = $3 WHERE biller_id = $1 AND probed_until <= $2 AND failures > 0");
const RECORD_SUCCESS: Sql = sql!(
    "UPDATE issuer_health SET state = 'up', failures = 0, reason = '', changed_at = $2, checked_at = $2 \
     WHERE biller_id = $1 AND (state <> 'up' OR failures > 0)"
);
const CLEAR_FAULT: Sql =
    sql!("UPDATE issuer_health SET fault = '', fault_since = NULL WHERE biller_id = $1 AND fault <> ''");
const RECORD_FAULT: Sql = sql!(
    "INSERT INTO issuer_health (biller_id, state, failures, reason, changed_at, checked_at, fault, fault_since) \
     VALUES ($1, 'up', 0, '', $3, $3, $2, $3) ON CONFLICT (biller_id) DO UPDATE SET \
     fault = excluded.fault, fault_since = excluded.fault_since WHERE issuer_health.fault <> excluded.fault"
);

/// Time without a failure after which sign-ins may try a failing token endpoint again.
const TOKEN_RETRY_DELAY: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssuerEndpoint {
    /// Discovery document and keys.
    Metadata,
    Token,
}

impl Directory {
    /// Records a failed call; after [`FAILURES_TO_OPEN`] in a row the circuit breaker opens. Returns how many there are.
    pub async fn record_issuer_failure(
        &self,
        biller: &Biller,
        endpoint: IssuerEndpoint,
        reason: &str,
        now: Timestamp,
    ) -> Result<i64, DirectoryError> {
        let reason = match endpoint {
            IssuerEndpoint::Metadata => reason.to_owned(),
            IssuerEndpoint::Token => format!("token {reason}"),
        };
        let reason = reason.as_str();
        let mut tx = self.db.begin().await?;
        let recorded = tx.one(RECORD_FAILURE, values![biller.id.as_str(), reason, now]).await?;
        let failures = recorded.map(|row| row.int("failures")).transpose()?.unwrap_or(1);
        let opened = tx.run(OPEN, values![biller.id.as_str(), now, FAILURES_TO_OPEN]).await? > 0;
        if opened {
            tracing::warn!(biller = %biller.slug, reason, "issuer is down: the circuit breaker is open");
        }
        // Also with the first failure, so that other instances know that a success has something to clear.
        if failures == 1 || opened {
            self.bump(&mut tx).await?;
        }
        tx.commit().await?;
        Ok(failures)
    }

    /// Records that the registration or the provider is set up wrong, until a sign-in succeeds.
    pub async fn record_setup_fault(&self, biller: &Biller, fault: &str, now: Timestamp) -> Result<(), DirectoryError> {
        let mut tx = self.db.begin().await?;
        if tx.run(RECORD_FAULT, values![biller.id.as_str(), fault, now]).await? > 0 {
            self.bump(&mut tx).await?;
            tracing::error!(biller = %biller.slug, reason = fault, "the registration or the provider is set up wrong");
        }
        tx.commit().await?;
        Ok(())
    }

    /// Records that a sign-in succeeded without a setup fault.
    pub async fn clear_setup_fault(&self, biller: &Biller) -> Result<(), DirectoryError> {
        let mut tx = self.db.begin().await?;
        if tx.run(CLEAR_FAULT, values![biller.id.as_str()]).await? > 0 {
            self.bump(&mut tx).await?;
            tracing::info!(biller = %biller.slug, "the setup fault is gone");
        }
        tx.commit().await?;
        Ok(())
    }

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
            self.bump(&mut tx).await?;
            tracing::info!(biller = %biller.slug, "issuer is up again");
        }
        tx.commit().await?;
        Ok(())
    }

    /// Whether this instance may probe a failing issuer. If so, no other instance may before `until`.
    pub async fn claim_probe(&self, biller: &Biller, now: Timestamp, until: Timestamp) -> Result<bool, DirectoryError> {
        Ok(self.db.run(CLAIM_PROBE, values![biller.id.as_str(), now, until]).await? > 0)
    }
}
