//! Which resources an API key has access to.

use std::sync::Arc;

use http::StatusCode;

use super::problem::{not_found, problem};
use crate::access::{ApiKey, RateLimits};
use crate::directory::{Biller, Directory};
use crate::web::HttpError;
use signpost_core::Slug;

/// The biller with this slug. A biller outside the key's access is answered like one that does not exist.
pub(super) async fn find_biller(directory: &Directory, key: &ApiKey, slug: &Slug) -> Result<Arc<Biller>, HttpError> {
    if !key.permits_biller(slug) {
        return Err(not_found());
    }
    if let Some(biller) = directory.biller_by_slug(slug).await? {
        return Ok(biller);
    }
    // Another process may have created it a moment ago.
    directory.refresh().await?.by_slug(slug).cloned().ok_or_else(not_found)
}

/// Refuses keys that are limited to some billers.
pub(super) fn require_all_billers(key: &ApiKey, detail: &str) -> Result<(), HttpError> {
    match key.billers {
        Some(_) => Err(problem(StatusCode::FORBIDDEN, "api_key_restricted", detail)),
        None => Ok(()),
    }
}

/// Counts a simulation against the key's limits.
pub(super) fn check_simulation_limit(limits: &RateLimits, key: &ApiKey) -> Result<(), HttpError> {
    limits.check_simulation(&key.id).map_err(|limit| {
        let detail = "The API key has used up its simulations for this minute or this day. Try again later.";
        HttpError { detail: Some(detail.to_owned()), ..HttpError::rate_limited(limit.retry_after) }
    })
}
