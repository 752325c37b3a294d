//! Where this browser is signed in.

use std::sync::Arc;

use crate::directory::Biller;
use crate::sessions::BillerSession;
use crate::state::AppState;
use crate::web::HttpError;
use crate::web::browser_session::BrowserSession;

/// Billers with this browser's session at each.
pub(super) type SignedIn = Vec<(Arc<Biller>, BillerSession)>;

/// Sessions at billers where sign-in is enabled now.
///
/// # Errors
/// The sessions cannot be read: that is not the same as not being signed in.
pub(super) async fn signed_in(state: &AppState, session: &BrowserSession) -> Result<SignedIn, HttpError> {
    let now = state.clock.now();
    let mut rows = sessions(state, session).await?;
    rows.retain(|(biller, _)| state.routing.is_sign_in_enabled(biller, now));
    Ok(rows)
}

/// All sessions, including those at billers where sign-in is disabled now.
pub(super) async fn sessions(state: &AppState, session: &BrowserSession) -> Result<SignedIn, HttpError> {
    let rows = session.live().await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let billers = state.directory.billers().await?;
    let known = rows.into_iter().filter_map(|row| billers.by_id(&row.biller_id).map(|biller| (biller.clone(), row)));
    Ok(known.collect())
}
