//! The query of a page.

use axum::extract::{FromRef, FromRequestParts};
use http::request::Parts;

use crate::handoffs::FlowContext;
use crate::web::extract::Query;
use crate::web::fields::Fields;
use signpost_core::KeyRing;

/// The query of a page, and the flow context that its `t` carries. A token that does not open counts as absent.
pub(super) struct FlowQuery {
    pub fields: Fields,
    pub flow: FlowContext,
}

impl<S: Send + Sync> FromRequestParts<S> for FlowQuery
where
    KeyRing: FromRef<S>,
{
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let Query(fields) = Query::from_request_parts(parts, state).await?;
        let keys = KeyRing::from_ref(state);
        let flow = fields.get("t").and_then(|token| FlowContext::open_recovery(&keys, token)).unwrap_or_default();
        Ok(Self { fields, flow })
    }
}
