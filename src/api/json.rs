//! Requests' JSON bodies, read strictly: a name that stands twice in an object is refused (RFC 8259, section 4, leaves open what
//! it means).

use std::fmt;
use std::marker::PhantomData;

use http::{HeaderMap, StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::{Map, Number, Value};

use serde_path_to_error::{Path, Segment};

use super::problem::problem;
use crate::web::HttpError;

/// What stands as it is in a URI fragment (RFC 3986, section 3.5), of what names of fields are made of.
const UNESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A request's body. Names that stand twice are refused by what is derived for structs. A refusal names the part that is not as
/// expected.
pub(super) fn read_json<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, HttpError> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !media.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        let detail = "Send JSON, with Content-Type: application/json.";
        return Err(problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail));
    }
    let malformed = |why: String| {
        problem(StatusCode::BAD_REQUEST, "malformed_request", &format!("The body is not as expected: {why}"))
    };
    // What is derived for structs would take a list of their fields without names.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(malformed("an object is expected".to_owned()));
    }
    if has_nul(body) {
        return Err(malformed("U+0000 stands in a text".to_owned()));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let what = error.inner().to_string();
        let mut part = pointer(error.path()).filter(|_| error.inner().is_data());
        // A field that is not there has no place of its own: the one it should have.
        if let Some(name) = what.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
            part = Some(format!("{}/{name}", part.unwrap_or_else(|| "#".to_owned())));
        }
        HttpError { fields: part.map(|part| (part, what.clone())).into_iter().collect(), ..malformed(what) }
    })?;
    reader.end().map_err(|error| malformed(error.to_string()))?;
    Ok(read)
}

/// A part of a body: a JSON pointer (RFC 6901, section 6) as a URI fragment; none: the whole.
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

/// A field that is a list of objects: what is derived for structs would take lists of their fields without names.
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

/// Whether a text holds U+0000, which PostgreSQL does not take. JSON has it as an escape only.
fn has_nul(body: &[u8]) -> bool {
    let mut rest = body;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        if rest[at + 1..].starts_with(b"u0000") {
            return true;
        }
        // Another backslash behind it is what it escapes.
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    false
}

/// The same for an object whose fields are looked at one by one.
pub(super) fn read_fields(headers: &HeaderMap, body: &[u8]) -> Result<Map<String, Value>, HttpError> {
    let Fields(fields) = read_json(headers, body)?;
    Ok(fields)
}

struct Fields(Map<String, Value>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Strict::deserialize(deserializer)?.0 {
            Value::Object(fields) => Ok(Self(fields)),
            _ => Err(D::Error::custom("an object is expected")),
        }
    }
}

/// Any value in which no object has a name twice.
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
                // Not with the name: it may be a secret that was typed in the wrong place.
                return Err(A::Error::custom("a name stands twice in an object"));
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
