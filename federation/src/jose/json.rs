//! JSON objects read strictly: no duplicate member at any depth, bounded depth and size, nothing
//! after the object. RFC 8725 section 2.4 and RFC 7515 section 4 allow last-member-wins; two
//! programs that read one token differently are an attack, so here it is an error.

use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Deepest nesting of objects and arrays: real tokens stay under six.
pub const JSON_DEPTH_MAX: usize = 16;
/// Most values in one document: a token of 16 KiB with short members stays under this.
pub const JSON_VALUES_MAX: usize = 2_000;

/// Why a text was not read as a JSON object. The text itself is never part of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// A member name stands twice in one object.
    #[error("a member stands twice in one object")]
    DuplicateMember,
    /// The text is no JSON object in UTF-8, or something follows it.
    #[error("not a JSON object")]
    Malformed,
    /// More than [`JSON_DEPTH_MAX`] levels or [`JSON_VALUES_MAX`] values.
    #[error("nested deeper than {JSON_DEPTH_MAX} or more than {JSON_VALUES_MAX} values")]
    TooLarge,
}

const DUPLICATE: &str = "duplicate member";
const TOO_LARGE: &str = "too large";

/// Reads one JSON object.
///
/// # Errors
/// See [`JsonError`].
pub fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, JsonError> {
    let mut values_left = JSON_VALUES_MAX;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let seed = Strict { depth_left: JSON_DEPTH_MAX, values_left: &mut values_left };
    let value = seed.deserialize(&mut deserializer).map_err(|e| classify(&e))?;
    deserializer.end().map_err(|_| JsonError::Malformed)?;
    match value {
        Value::Object(map) => Ok(map),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(JsonError::Malformed)
        }
    }
}

fn classify(error: &serde_json::Error) -> JsonError {
    let text = error.to_string();
    if text.starts_with(DUPLICATE) {
        JsonError::DuplicateMember
    } else if text.starts_with(TOO_LARGE) {
        JsonError::TooLarge
    } else {
        JsonError::Malformed
    }
}

struct Strict<'a> {
    depth_left: usize,
    values_left: &'a mut usize,
}

impl Strict<'_> {
    fn deeper(&mut self) -> Option<Strict<'_>> {
        let depth_left = self.depth_left.checked_sub(1)?;
        *self.values_left = self.values_left.checked_sub(1)?;
        Some(Strict { depth_left, values_left: self.values_left })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        loop {
            let Some(seed) = self.deeper() else { return Err(A::Error::custom(TOO_LARGE)) };
            match access.next_element_seed(seed)? {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut access: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            let Some(seed) = self.deeper() else { return Err(A::Error::custom(TOO_LARGE)) };
            let value = access.next_value_seed(seed)?;
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom(DUPLICATE));
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_an_ordinary_object() {
        let object = parse_object(br#"{"a":[1,-2,1.5,true,null,"x"],"b":{"c":{}}}"#).unwrap();
        assert_eq!(
            Value::Object(object).to_string(),
            r#"{"a":[1,-2,1.5,true,null,"x"],"b":{"c":{}}}"#
        );
    }

    #[test]
    fn refuses_a_duplicate_member_at_any_depth_and_under_an_escape() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"x":[{"a":1,"a":2}]}"#, r#"{"alg":1,"\u0061lg":2}"#] {
            assert_eq!(parse_object(text.as_bytes()), Err(JsonError::DuplicateMember), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_single_object() {
        let texts: [&[u8]; 12] = [
            b"",
            b"[]",
            b"1",
            b"null",
            b"{} {}",
            b"{}x",
            b"{\"a\":1,}",
            b"{/**/}",
            b"{\"a\":NaN}",
            b"{\"a\":1e400}",
            b"{\"a\":\"\\ud800\"}",
            b"{\"a\":\"\xff\"}",
        ];
        for text in texts {
            assert_eq!(parse_object(text), Err(JsonError::Malformed), "{text:?}");
        }
    }

    #[test]
    fn refuses_depth_and_size_beyond_the_bounds() {
        let nested = |depth| format!("{}{}", "{\"a\":".repeat(depth), "[]") + &"}".repeat(depth);
        assert!(parse_object(nested(JSON_DEPTH_MAX - 1).as_bytes()).is_ok());
        for depth in [JSON_DEPTH_MAX + 1, 100, 10_000] {
            assert_eq!(parse_object(nested(depth).as_bytes()), Err(JsonError::TooLarge), "{depth}");
        }
        let wide = format!("{{\"a\":[{}]}}", vec!["0"; JSON_VALUES_MAX + 1].join(","));
        assert_eq!(parse_object(wide.as_bytes()), Err(JsonError::TooLarge));
    }
}
