//! Reading what browsers send.

use axum::http::HeaderMap;
use http::{StatusCode, header};

use crate::web::HttpError;
use crate::web::fields::Fields;

/// A form's fields; anything but a browser's form is refused.
pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Fields, HttpError> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(HttpError::from_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    Fields::parse(body).map_err(|_| HttpError::from_status(StatusCode::BAD_REQUEST))
}

/// A reason that says something: 3 to 200 characters.
pub(super) fn reason(fields: &Fields) -> Option<String> {
    let text = fields.get("reason").unwrap_or_default().trim();
    let is_valid = (3..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    is_valid.then(|| text.to_owned())
}
