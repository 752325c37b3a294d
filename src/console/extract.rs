//! Extractors of the console. A handler gets staff with the required role, and what its path names.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use http::StatusCode;
use http::request::Parts;

use super::Console;
use super::staff::Staff;
use crate::directory::Biller;
use crate::provisioning::Job;
use crate::web::HttpError;
use crate::web::extract::BillerPath;
use signpost_core::Slug;

/// Staff who may change billers. Precedes the other extractors of a handler, so that the role is checked first.
pub(super) struct Operator(pub Staff);

impl<S: Send + Sync> FromRequestParts<S> for Operator {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        staff_who(parts, state, Staff::can_operate).await.map(Self)
    }
}

/// Staff who may read the audit trail. Precedes the other extractors of a handler, so that the role is checked first.
pub(super) struct Auditor(pub Staff);

impl<S: Send + Sync> FromRequestParts<S> for Auditor {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        staff_who(parts, state, Staff::can_audit).await.map(Self)
    }
}

async fn staff_who<S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
    is_permitted: fn(&Staff) -> bool,
) -> Result<Staff, HttpError> {
    let staff = Staff::from_request_parts(parts, state).await?;
    if is_permitted(&staff) {
        return Ok(staff);
    }
    Err(HttpError { reason: "role_required", ..HttpError::from_status(StatusCode::FORBIDDEN) })
}

/// The biller that `{slug}` of the path names. An unknown one is answered with 404.
pub(super) struct PathBiller(pub Arc<Biller>);

impl FromRequestParts<Console> for PathBiller {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, HttpError> {
        let BillerPath(slug) = BillerPath::from_request_parts(parts, console).await?;
        find_biller(console, &slug).await.map(Self)
    }
}

/// The enablement job that `{id}` of the path names. An unknown one is answered with 404.
pub(super) struct PathJob(pub Job);

impl FromRequestParts<Console> for PathJob {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, HttpError> {
        let PathId(id) = PathId::from_request_parts(parts, console).await?;
        find_job(console, &id).await.map(Self)
    }
}

/// The `{id}` of the path.
pub(super) struct PathId(pub String);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        let id = Path::<String>::from_request_parts(parts, state).await;
        id.map(|Path(id)| Self(id)).map_err(|rejection| HttpError::from_status(rejection.status()))
    }
}

/// The biller with this slug.
pub(super) async fn find_biller(console: &Console, slug: &Slug) -> Result<Arc<Biller>, HttpError> {
    let biller = console.app.directory.biller_by_slug(slug).await?;
    biller.ok_or_else(|| HttpError::from_status(StatusCode::NOT_FOUND))
}

pub(super) async fn find_job(console: &Console, id: &str) -> Result<Job, HttpError> {
    console.app.provisioning.job(id).await?.ok_or_else(|| HttpError::from_status(StatusCode::NOT_FOUND))
}
