//! Connections that are replaced after an error that leaves their state unknown.
//!
//! SQLite rolls back by itself when the disk is full or cannot be read, and the driver does not notice. PostgreSQL keeps a
//! session alive on a server that has become read-only. A pool would hand out such a connection forever.

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgDatabaseError;
use sqlx::sqlite::SqliteError;
use sqlx::{Database, raw_sql};

use super::error::{DbError, classify, is_busy};

/// A connection of a pool. It goes back to the pool unless [`Checked::check`] saw an error that it cannot trust.
#[derive(Debug)]
pub(super) struct Checked<D: Database> {
    connection: PoolConnection<D>,
}

impl<D: Database> Checked<D> {
    pub(super) fn new(connection: PoolConnection<D>) -> Self {
        Self { connection }
    }

    pub(super) fn executor(&mut self) -> &mut D::Connection {
        &mut self.connection
    }

    /// Classifies the result of a statement. The connection is closed after an error that leaves its state unknown. A busy
    /// SQLite file is no such error, as long as no transaction is open: the statement has done nothing.
    pub(super) fn check<T>(&mut self, result: Result<T, sqlx::Error>) -> Result<T, DbError> {
        result.map_err(|error| {
            let is_trusted = is_trusted(&error);
            let error = classify(error);
            if !is_trusted && !is_busy(&error) {
                self.discard();
            }
            error
        })
    }

    pub(super) fn discard(&mut self) {
        self.connection.close_on_drop();
    }
}

/// An open transaction. It is rolled back when it is dropped; if that fails, the connection is closed, which ends it as well.
#[derive(Debug)]
pub(super) struct OpenTransaction<D: Driver> {
    connection: Option<Checked<D>>,
}

/// The two databases. The bounds let one implementation serve both.
pub(super) trait Driver: Database<Connection: Sync> {
    fn execute(
        connection: &mut Self::Connection,
        statement: &'static str,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;
}

macro_rules! driver {
    ($database:ty) => {
        impl Driver for $database {
            async fn execute(connection: &mut Self::Connection, statement: &'static str) -> Result<(), sqlx::Error> {
                raw_sql(statement).execute(connection).await.map(drop)
            }
        }
    };
}

driver!(sqlx::Sqlite);
driver!(sqlx::Postgres);

impl<D: Driver> OpenTransaction<D> {
    pub(super) async fn begin(connection: Checked<D>, statement: &'static str) -> Result<Self, DbError> {
        // From here on a cancelled caller rolls back.
        let mut tx = Self { connection: Some(connection) };
        match D::execute(tx.connection()?.executor(), statement).await {
            Ok(()) => Ok(tx),
            Err(error) => {
                // The transaction did not begin: there is nothing to roll back.
                let mut connection = tx.connection.take();
                match connection.as_mut() {
                    Some(connection) => connection.check(Err(error)),
                    None => Err(classify(error)),
                }
            }
        }
    }

    /// The connection, to run a statement of the transaction.
    pub(super) fn connection(&mut self) -> Result<&mut Checked<D>, DbError> {
        self.connection.as_mut().ok_or_else(|| DbError::Failed(sqlx::Error::WorkerCrashed))
    }

    /// After any error the connection is closed: it may still be in the transaction.
    pub(super) async fn commit(mut self) -> Result<(), DbError> {
        D::execute(self.connection()?.executor(), "COMMIT").await.map_err(|error| {
            if let Some(mut connection) = self.connection.take() {
                connection.discard();
            }
            classify(error)
        })?;
        self.connection = None;
        Ok(())
    }
}

impl<D: Driver> Drop for OpenTransaction<D> {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return connection.discard() };
        runtime.spawn(async move {
            if D::execute(connection.executor(), "ROLLBACK").await.is_err() {
                connection.discard();
            }
        });
    }
}

/// Whether the connection is as it was before the statement: the statement was wrong or violated a constraint.
fn is_trusted(error: &sqlx::Error) -> bool {
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
