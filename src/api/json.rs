//! JSON request bodies, read strictly: an object with a duplicate name is rejected, because RFC 8259, section 4, leaves its meaning
//! open.

use std::fmt;
use std::marker::PhantomData;

use axum::body::Bytes;
use axum::extract::{FromRequest, OptionalFromRequest, Request};
use http::{HeaderMap, StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::{Map, Number, Value};

use serde_path_to_error::{Path, Segment};

use super::problem::problem;
use crate::web::HttpError;
use crate::web::error::FieldError;

/// The characters of field names that a URI fragment takes unescaped (RFC 3986, section 3.5).
const UNESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A JSON body. The last argument of a handler, so that the API key is checked first.
#[derive(Debug)]
pub(super) struct JsonBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = HttpError;

    async fn from_request(request: Request, state: &S) -> Result<Self, HttpError> {
        let (headers, body) = read_body(request, state).await?;
        read_json(&headers, &body).map(Self)
    }
}

/// An empty body is none.
impl<S: Send + Sync, T: DeserializeOwned> OptionalFromRequest<S> for JsonBody<T> {
    type Rejection = HttpError;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, HttpError> {
        let (headers, body) = read_body(request, state).await?;
        if body.is_empty() { Ok(None) } else { read_json(&headers, &body).map(Self).map(Some) }
    }
}

async fn read_body<S: Send + Sync>(request: Request, state: &S) -> Result<(HeaderMap, Bytes), HttpError> {
    let headers = request.headers().clone();
    let body = Bytes::from_request(request, state).await;
    Ok((headers, body.map_err(|rejection| HttpError::from_status(rejection.status()))?))
}

/// Parses a body. The derived code of structs rejects duplicate names. An error names the field where parsing failed.
pub(super) fn read_json<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, HttpError> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    // A merge patch (RFC 7396) is what our PATCH requests send: omitted fields stay.
    if !["application/json", "application/merge-patch+json"].iter().any(|json| media.eq_ignore_ascii_case(json)) {
        let detail = "Send a JSON body with the header `Content-Type: application/json`.";
        return Err(problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail));
    }
    let malformed = |why: String| {
        problem(StatusCode::BAD_REQUEST, "malformed_request", &format!("The request body is invalid: {why}."))
    };
    // Derived deserializers also accept a struct as an array of its fields.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(malformed("expected an object".to_owned()));
    }
    if has_nul(body) {
        return Err(malformed("a string contains U+0000".to_owned()));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let what = error.inner().to_string();
        let mut part = pointer(error.path()).filter(|_| error.inner().is_data());
        // serde reports a missing field at its parent.
        if let Some(name) = what.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
            part = Some(format!("{}/{name}", part.unwrap_or_else(|| "#".to_owned())));
        }
        HttpError { fields: part.map(|part| FieldError::new(part, &*what)).into_iter().collect(), ..malformed(what) }
    })?;
    reader.end().map_err(|error| malformed(error.to_string()))?;
    Ok(read)
}

/// The path of a field as a JSON pointer in a URI fragment (RFC 6901, section 6); none for the whole body.
fn pointer(path: &Path) -> Option<String> {
    let part = |segment: &Segment| match segment {
        Segment::Seq { index } => index.to_string(),
        Segment::Map { key } | Segment::Enum { variant: key } => {
            utf8_percent_encode(&key.replace('~', "~0").replace('/', "~1"), UNESCAPED).to_string()
        }
        Segment::Unknown => "?".to_owned(),
    };
    (path.iter().len() > 0).then(|| path.iter().fold("#".to_owned(), |all, segment| all + "/" + &part(segment)))
}

/// Deserializes a list of objects. Derived deserializers would also accept each object as an array of its fields.
pub(super) fn list_of_objects<'de, D: Deserializer<'de>, T: Deserialize<'de>>(list: D) -> Result<Vec<T>, D::Error> {
    Ok(Vec::deserialize(list)?.into_iter().map(|Object(one)| one).collect())
}

struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Named<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Named<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(fields))
            }
        }

        deserializer.deserialize_map(Named(PhantomData)).map(Self)
    }
}

/// Whether a string contains U+0000, which PostgreSQL refuses. In JSON it is always escaped.
fn has_nul(body: &[u8]) -> bool {
    let mut rest = body;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        if rest[at + 1..].starts_with(b"u0000") {
            return true;
        }
        // Skip the escaped character, which may be another backslash.
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    false
}

/// A body whose fields are read one by one.
pub(super) struct Fields(pub Map<String, Value>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Strict::deserialize(deserializer)?.0 {
            Value::Object(fields) => Ok(Self(fields)),
            _ => Err(D::Error::custom("expected an object")),
        }
    }
}

/// A value without duplicate names in any object.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue).map(Self)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Strict(value))) = fields.next_entry::<String, _>()? {
            if object.insert(name, value).is_some() {
                // Without the name: it may be a secret in the wrong place.
                return Err(A::Error::custom("an object has a duplicate name"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_nul_is_detected() {
        for (text, expected) in [
            (r#""a\u0000""#, true),
            (r#""\\\u0000""#, true),
            (r#""\\u0000""#, false),
            (r#""\n""#, false),
            ("\"\\", false),
        ] {
            assert_eq!(has_nul(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn values_round_trip_and_duplicate_keys_are_rejected() {
        for text in [r#"{"a":[1,-2,2.5,"x",null,true,{"b":{}}],"c":""}"#, "{}"] {
            let read: Fields = serde_json::from_str(text).unwrap();
            assert_eq!(Value::Object(read.0), serde_json::from_str::<Value>(text).unwrap());
        }
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":{"b":1,"\u0062":2}}"#, r#"{"a":[{"b":1,"b":2}]}"#, "[]", "1"] {
            assert!(serde_json::from_str::<Fields>(text).is_err(), "{text}");
        }
    }
}
