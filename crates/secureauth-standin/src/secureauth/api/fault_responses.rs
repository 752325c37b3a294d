//! Responses of injected faults.

use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::Value;
use time::OffsetDateTime;

use crate::secureauth::response::ApiError;
use crate::secureauth::state::faults::RetryAfter;
use signpost_core::Timestamp;

/// The response of `Fault::Status`.
pub(crate) fn status(status: u16, body: &Value, retry_after: Option<&RetryAfter>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response =
        if body.is_null() { status.into_response() } else { (status, axum::Json(body.clone())).into_response() };
    let value = match retry_after {
        Some(RetryAfter::Seconds(seconds)) => Some(seconds.to_string()),
        Some(RetryAfter::At(moment)) => Some(http_date(*moment)),
        Some(RetryAfter::Text(text)) => Some(text.clone()),
        None => None,
    };
    if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}

/// The response of `Fault::ModeRefused`, if the query names a mode.
pub(crate) fn mode_refused(uri: &Uri) -> Option<Response> {
    let names_mode = form_urlencoded::parse(uri.query()?.as_bytes()).any(|(name, _)| name == "mode");
    names_mode.then(|| ApiError::bad_request("the parameter mode is not known").into_api_response().into_response())
}

/// The address with `mode=ignore`.
pub(crate) fn with_mode_ignored(uri: &Uri) -> Uri {
    let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let others = pairs.filter(|(name, _)| name != "mode");
    let query =
        form_urlencoded::Serializer::new(String::new()).extend_pairs(others).append_pair("mode", "ignore").finish();
    format!("{}?{query}", uri.path()).parse().unwrap_or_else(|_| uri.clone())
}

/// A JSON body without one of its fields.
pub(crate) fn without_field(body: &Bytes, name: &str) -> Bytes {
    let Ok(Value::Object(mut fields)) = serde_json::from_slice(body) else { return body.clone() };
    fields.remove(name);
    Bytes::from(Value::Object(fields).to_string())
}

pub(crate) fn garbage() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], "<html>{\"users\": [").into_response()
}

/// A body that fails before its first byte: the server closes the connection without a response.
pub(crate) fn dropped() -> Response {
    let failed: Result<Bytes, std::io::Error> = Err(std::io::Error::other("dropped by a rule"));
    Response::new(Body::from_stream(stream::iter([failed])))
}

/// Cuts the body of a response in half.
pub(crate) async fn truncated(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    if bytes.is_empty() {
        return dropped();
    }
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    let half = bytes.slice(..bytes.len() / 2);
    let steps = stream::unfold(Some(half), async |half| match half {
        Some(half) if !half.is_empty() => Some((Ok(half), Some(Bytes::new()))),
        Some(_) => {
            // The server sends the first half while it waits for more.
            tokio::time::sleep(Duration::from_millis(10)).await;
            Some((Err(std::io::Error::other("truncated by a rule")), None))
        }
        None => None,
    });
    Response::from_parts(parts, Body::from_stream(steps))
}

/// An HTTP date (RFC 9110, section 5.6.7).
fn http_date(moment: Timestamp) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(moment.seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (weekday, month) = (moment.weekday().to_string(), moment.month().to_string());
    format!(
        "{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
        &weekday[..3],
        moment.day(),
        &month[..3],
        moment.year(),
        moment.hour(),
        moment.minute(),
        moment.second()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_dates_follow_rfc_9110() {
        assert_eq!(http_date(Timestamp::from_millis(784_111_777_000)), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
