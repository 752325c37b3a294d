//! A browser's session, and the biller sessions under it.

use tower_sessions::Session;

use super::HttpError;
use crate::sessions::{BillerSession, BillerSessions, NewBillerSession};
use signpost_core::BillerId;

/// Key of the session's data that holds the browser session id: it outlives the rotation of the session's id.
pub(super) const BROWSER_SESSION_ID: &str = "browser_session_id";

/// Signs a user in: ends the biller's earlier session, starts a new one and rotates the session id.
///
/// # Errors
/// The database failed; no user is signed in then.
pub async fn sign_in(
    sessions: &BillerSessions,
    session: &Session,
    new: NewBillerSession<'_>,
) -> Result<BillerSession, HttpError> {
    let browser_session_id = match browser_session_id(session).await? {
        Some(browser_session_id) => browser_session_id,
        None => sessions.new_browser_session_id(),
    };
    let signed_in = sessions.start(&browser_session_id, new).await?;
    session.cycle_id().await?;
    session.insert(BROWSER_SESSION_ID, &browser_session_id).await?;
    session.save().await?;
    Ok(signed_in)
}

/// Where this browser is signed in, latest first, whatever has become of the billers since.
///
/// # Errors
/// The database failed.
pub async fn live(sessions: &BillerSessions, session: &Session) -> Result<Vec<BillerSession>, HttpError> {
    // Most visitors have no session, and need no query.
    if session.id().is_none() {
        return Ok(Vec::new());
    }
    let Some(browser_session_id) = browser_session_id(session).await? else { return Ok(Vec::new()) };
    Ok(sessions.live(&browser_session_id).await?)
}

/// Ends the browser's session at a biller, and the browser session with the last of them. Returns what was ended.
///
/// # Errors
/// The database failed.
pub async fn sign_out(
    sessions: &BillerSessions,
    session: &Session,
    biller: &BillerId,
) -> Result<Option<BillerSession>, HttpError> {
    let Some(browser_session_id) = browser_session_id(session).await? else { return Ok(None) };
    let (ended, is_last) = sessions.end_in_browser(&browser_session_id, biller).await?;
    if is_last {
        session.flush().await?;
    }
    Ok(ended)
}

async fn browser_session_id(session: &Session) -> Result<Option<String>, tower_sessions::session::Error> {
    session.get(BROWSER_SESSION_ID).await
}
