//! A browser's session, and the biller sessions under it.

use std::convert::Infallible;

use axum::extract::{FromRef, FromRequestParts};
use http::request::Parts;

use super::HttpError;
use super::session_cookie::CUSTOMER;
use crate::db::Tx;
use crate::sessions::{BillerSession, BillerSessions, NewBillerSession};
use signpost_core::BillerId;

/// The session that the browser's cookie names. Only the database knows whether it lives.
#[derive(Debug)]
pub struct BrowserSession {
    id: Option<String>,
    sessions: BillerSessions,
}

impl<S: Sync> FromRequestParts<S> for BrowserSession
where
    BillerSessions: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        Ok(Self { id: CUSTOMER.id(&parts.headers), sessions: BillerSessions::from_ref(state) })
    }
}

impl BrowserSession {
    /// What the browser sent.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Signs a user in under a new session id. Returns the biller session and the `Set-Cookie` line, which is worth nothing until
    /// the transaction is committed.
    ///
    /// # Errors
    /// The database failed.
    pub async fn sign_in(&self, tx: &mut Tx, new: NewBillerSession<'_>) -> Result<(BillerSession, String), HttpError> {
        let (id, signed_in) = self.sessions.start(tx, self.id(), new).await?;
        Ok((signed_in, CUSTOMER.set(&id, None)))
    }

    /// Where this browser is signed in, latest first, whatever has become of the billers since.
    ///
    /// # Errors
    /// The database failed.
    pub async fn live(&self) -> Result<Vec<BillerSession>, HttpError> {
        // Most visitors have no session, and need no query.
        let Some(id) = &self.id else { return Ok(Vec::new()) };
        Ok(self.sessions.live(id).await?)
    }

    /// Ends the session at a biller, and the browser's session with the last of them. Returns what was ended, and the `Set-Cookie`
    /// line that removes the cookie of an ended session.
    ///
    /// # Errors
    /// The database failed.
    pub async fn sign_out(&self, biller: &BillerId) -> Result<(Option<BillerSession>, Option<String>), HttpError> {
        let Some(id) = &self.id else { return Ok((None, None)) };
        let (ended, is_last) = self.sessions.end_in_browser(id, biller).await?;
        Ok((ended, is_last.then(|| CUSTOMER.remove())))
    }

    /// The `Set-Cookie` line that removes a cookie of no use.
    pub fn removal(&self) -> Option<String> {
        self.id.as_ref().map(|_| CUSTOMER.remove())
    }
}
