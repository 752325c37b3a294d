//! Connections that are replaced after an error that leaves their state unknown.
//!
//! SQLite rolls back by itself when the disk is full or cannot be read, and the driver does not notice. PostgreSQL keeps a
//! session alive on a server that has become read-only. A pool would hand out such a connection forever.

use std::fmt;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgDatabaseError;
use sqlx::sqlite::SqliteError;
use sqlx::{Database, PgConnection, Postgres, raw_sql};

use super::error::{DbError, classify};

/// How long a request waits for a connection.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// What the two databases' pools lend.
pub(super) trait Driver: Database {
    type Loan: fmt::Debug;

    fn connection(loan: &mut Self::Loan) -> &mut Self::Connection;

    /// Keeps the connection from being lent again.
    fn discard(loan: &mut Self::Loan);
}

impl Driver for Postgres {
    type Loan = PoolConnection<Self>;

    fn connection(loan: &mut Self::Loan) -> &mut PgConnection {
        loan
    }

    fn discard(loan: &mut Self::Loan) {
        loan.close_on_drop();
    }
}

/// A connection of a pool. It goes back to the pool unless [`Checked::check`] saw an error that it cannot trust.
#[derive(Debug)]
pub(super) struct Checked<D: Driver> {
    loan: D::Loan,
}

impl<D: Driver> Checked<D> {
    pub(super) fn new(loan: D::Loan) -> Self {
        Self { loan }
    }

    pub(super) fn executor(&mut self) -> Result<&mut D::Connection, DbError> {
        Ok(D::connection(&mut self.loan))
    }

    /// Classifies the result of a statement. The connection is closed after an error that leaves its state unknown.
    pub(super) fn check<T>(&mut self, result: Result<T, sqlx::Error>) -> Result<T, DbError> {
        result.map_err(|error| {
            if !is_trusted(&error) {
                self.discard();
            }
            classify(error)
        })
    }

    fn discard(&mut self) {
        D::discard(&mut self.loan);
    }
}

/// An open transaction on PostgreSQL. It is rolled back when it is dropped; if that fails, the connection is closed, which ends
/// it as well.
#[derive(Debug)]
pub(super) struct PostgresTransaction {
    connection: Option<Checked<Postgres>>,
}

impl PostgresTransaction {
    pub(super) async fn begin(connection: Checked<Postgres>) -> Result<Self, DbError> {
        // From here on a cancelled caller rolls back.
        let mut tx = Self { connection: Some(connection) };
        let begun = raw_sql("BEGIN").execute(tx.connection()?.executor()?).await;
        match tx.connection()?.check(begun) {
            Ok(_) => Ok(tx),
            Err(error) => {
                // The transaction did not begin: there is nothing to roll back.
                tx.connection = None;
                Err(error)
            }
        }
    }

    /// The connection, to run a statement of the transaction.
    pub(super) fn connection(&mut self) -> Result<&mut Checked<Postgres>, DbError> {
        self.connection.as_mut().ok_or_else(|| DbError::Failed(sqlx::Error::WorkerCrashed))
    }

    /// After any error the connection is closed: it may still be in the transaction.
    pub(super) async fn commit(mut self) -> Result<(), DbError> {
        let done = raw_sql("COMMIT").execute(self.connection()?.executor()?).await;
        let connection = self.connection.take();
        done.map(drop).map_err(|error| {
            if let Some(mut connection) = connection {
                connection.discard();
            }
            classify(error)
        })
    }
}

impl Drop for PostgresTransaction {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return connection.discard() };
        runtime.spawn(async move {
            if raw_sql("ROLLBACK").execute(Postgres::connection(&mut connection.loan)).await.is_err() {
                connection.discard();
            }
        });
    }
}

/// Whether the connection is as it was before the statement: the statement was wrong or violated a constraint.
pub(super) fn is_trusted(error: &sqlx::Error) -> bool {
    let error = match error {
        sqlx::Error::Database(error) => error,
        sqlx::Error::RowNotFound
        | sqlx::Error::TypeNotFound { .. }
        | sqlx::Error::ColumnIndexOutOfBounds { .. }
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::Encode(_)
        | sqlx::Error::Decode(_)
        | sqlx::Error::InvalidArgument(_) => return true,
        _ => return false,
    };
    let code = error.code().unwrap_or_default();
    if error.try_downcast_ref::<SqliteError>().is_some() {
        // ERROR, TOOBIG, CONSTRAINT, MISMATCH and RANGE; extended codes have them in the lower eight bits.
        return code.parse::<i32>().is_ok_and(|code| matches!(code & 0xff, 1 | 18 | 19 | 20 | 25));
    }
    let is_postgres = error.try_downcast_ref::<PgDatabaseError>().is_some();
    // 57014 is a statement timeout. The class 25 has the read-only server, 0A the statement that an altered table outdated.
    is_postgres && (code == "57014" || ["22", "23", "40", "42"].contains(&code.get(..2).unwrap_or_default()))
}
