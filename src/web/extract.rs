//! Extractors. A handler gets parsed values; a request that cannot be parsed does not reach it.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};

use super::HttpError;
use super::fields::Fields;
use signpost_core::Slug;

#[derive(serde::Deserialize)]
struct Segments {
    slug: String,
}

/// The `{slug}` of the path. A segment that is not a slug is answered like an unknown biller, with 404.
#[derive(Clone, Debug)]
pub struct BillerPath(pub Slug);

impl<S: Send + Sync> FromRequestParts<S> for BillerPath {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        let segments = Path::from_request_parts(parts, state).await;
        let Path(Segments { slug }) = segments.map_err(|rejection| HttpError::from_status(rejection.status()))?;
        Slug::parse(&slug).map(Self).map_err(|_| HttpError::from_status(StatusCode::NOT_FOUND))
    }
}

/// The `{slug}` of an address that customers type themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypedBillerPath {
    Slug(Slug),
    /// Typed with capitals: the slug that it stands for.
    Capitals(Slug),
    Invalid,
}

impl<S: Send + Sync> FromRequestParts<S> for TypedBillerPath {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let Ok(Path(Segments { slug })) = Path::from_request_parts(parts, state).await else {
            return Ok(Self::Invalid);
        };
        let lower = |_| Slug::parse(&slug.to_ascii_lowercase()).map_or(Self::Invalid, Self::Capitals);
        Ok(Slug::parse(&slug).map_or_else(lower, Self::Slug))
    }
}

/// The query string, parsed leniently: a malformed one counts as empty, because a link that a mail program cut off must still
/// lead to its page.
#[derive(Clone, Debug, Default)]
pub struct Query(pub Fields);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(Fields::parse(parts.uri.query().unwrap_or_default().as_bytes()).unwrap_or_default()))
    }
}

/// The query string, parsed strictly: a malformed one is answered with 400.
#[derive(Clone, Debug)]
pub struct StrictQuery(pub Fields);

impl<S: Send + Sync> FromRequestParts<S> for StrictQuery {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, HttpError> {
        let fields = Fields::parse(parts.uri.query().unwrap_or_default().as_bytes());
        fields.map(Self).map_err(|_| HttpError::from_status(StatusCode::BAD_REQUEST))
    }
}

/// A form as browsers send it (`application/x-www-form-urlencoded`). Other media types are answered with 415.
#[derive(Clone, Debug)]
pub struct Form(pub Fields);

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let is_form = is_form(request.headers());
        let body = Bytes::from_request(request, state).await.map_err(BytesRejection::into_response)?;
        if !is_form {
            return Err(HttpError::from_status(StatusCode::UNSUPPORTED_MEDIA_TYPE).into_response());
        }
        Fields::parse(&body).map(Self).map_err(|_| HttpError::from_status(StatusCode::BAD_REQUEST).into_response())
    }
}

pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    media.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    async fn read(media: &str, body: &'static str) -> Result<Form, StatusCode> {
        let request = Request::post("/").header(header::CONTENT_TYPE, media).body(Body::from(body)).unwrap();
        Form::from_request(request, &()).await.map_err(|response| response.status())
    }

    #[tokio::test]
    async fn other_media_types_are_rejected() {
        const FORM: &str = "application/x-www-form-urlencoded";
        assert_eq!(read(FORM, "a=1").await.unwrap().0.get("a"), Some("1"));
        assert_eq!(
            read("Application/X-WWW-Form-Urlencoded; charset=utf-8", "a=1").await.unwrap().0.get("a"),
            Some("1")
        );
        assert_eq!(read("application/json", "{}").await.unwrap_err(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert_eq!(read(FORM, "a=%zz").await.unwrap_err(), StatusCode::BAD_REQUEST);
    }
}
