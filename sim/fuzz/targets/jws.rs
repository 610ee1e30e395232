//! Tokens and keys as strangers send them: the compact JWS, the JWK set and the strict JSON below
//! both (RFC 7515, RFC 7517). The same bytes are read as each of the three, and as the three parts
//! of a token before they are encoded, so that the fuzzer gets behind base64url and JSON.

#![no_main]

use std::{collections::BTreeSet, sync::LazyLock};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use exequatur_federation::jose::{
    Algorithm, JSON_DEPTH_MAX, JSON_VALUES_MAX, JWK_SET_KEYS_MAX, JsonError, JwkSet, PublicKey,
    TOKEN_BYTES_MAX, UnverifiedJws, parse_object, sha256,
};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

/// Keys of each type. No seed is signed with one of them, so no token here verifies.
static STRANGERS: LazyLock<Vec<PublicKey>> = LazyLock::new(|| {
    let keys = JwkSet::parse(include_bytes!("../strangers.jwks")).expect("the set is valid");
    keys.keys().iter().map(|jwk| jwk.key.clone()).collect()
});

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        check_token(text);
    }
    let parts = bytes.splitn(3, |byte| *byte == b'\n');
    let encoded: Vec<String> = parts.map(|part| URL_SAFE_NO_PAD.encode(part)).collect();
    if encoded.len() == 3 {
        check_token(&encoded.join("."));
    }
    check_object(bytes);
    check_key_set(bytes);
});

fn check_token(text: &str) {
    let Ok(token) = UnverifiedJws::parse(text) else { return };
    assert!(text.len() <= TOKEN_BYTES_MAX, "{} bytes were read", text.len());
    let parts: Vec<Vec<u8>> =
        text.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).expect("base64url")).collect();
    let rewritten: Vec<String> = parts.iter().map(|part| URL_SAFE_NO_PAD.encode(part)).collect();
    assert_eq!(rewritten.join("."), text, "one token has two texts");
    assert_eq!(token.digest(), sha256(text.as_bytes()), "the digest is not of the text");

    let [header, payload, _signature] = parts.as_slice() else { panic!("{} parts", parts.len()) };
    let header: Map<String, Value> = serde_json::from_slice(header).expect("the header is JSON");
    let member = |name| header.get(name).and_then(Value::as_str);
    assert_eq!(member("alg").and_then(Algorithm::from_name), Some(token.claimed_algorithm()));
    assert_eq!((member("kid"), member("typ")), (token.kid(), token.typ()));
    assert!(!header.contains_key("crit"), "a critical header was ignored");
    let payload: Map<String, Value> = serde_json::from_slice(payload).expect("the payload is JSON");
    assert_eq!(&payload, token.payload());
    assert_eq!(token.issuer(), payload.get("iss").and_then(Value::as_str));

    for key in STRANGERS.iter() {
        for algorithm in Algorithm::ALL {
            assert!(token.verify(key, algorithm).is_err(), "{key:?} verified under {algorithm:?}");
        }
    }
    let shown = format!("{token:?}");
    assert!(shown.len() < 64, "more than the algorithm is shown: {shown}");
}

fn check_object(bytes: &[u8]) {
    let other: Result<Map<String, Value>, _> = serde_json::from_slice(bytes);
    match parse_object(bytes) {
        Ok(object) => {
            let object = Value::Object(object);
            let size = Size::of(&object);
            // A member is a colon outside a string: as many were kept as the text has.
            assert_eq!(size.members, colons_outside_strings(bytes), "a member stood twice");
            // The outermost object counts neither as a level nor as a value.
            assert!(size.depth <= JSON_DEPTH_MAX, "{} levels were read", size.depth);
            assert!(size.values <= JSON_VALUES_MAX, "{} values were read", size.values);
            assert_eq!(object, Value::Object(other.expect("serde_json reads it as well")));
        }
        Err(JsonError::Malformed) => assert!(other.is_err(), "serde_json reads it as an object"),
        Err(JsonError::DuplicateMember | JsonError::TooLarge) => {}
    }
}

fn check_key_set(bytes: &[u8]) {
    let Ok(set) = JwkSet::parse(bytes) else { return };
    assert!(set.keys().len() <= JWK_SET_KEYS_MAX, "{} keys were read", set.keys().len());
    let mut seen = BTreeSet::new();
    for jwk in set.keys() {
        for algorithm in jwk.key.algorithms() {
            let published = jwk.key.to_jwk(*algorithm);
            let read = PublicKey::from_jwk(published.as_object().expect("a JWK is an object"));
            let read = read.expect("what is published can be read");
            assert_eq!(read, jwk.key);
            assert_eq!(read.thumbprint(), jwk.key.thumbprint());
            assert!(!jwk.key.verify(*algorithm, b"never signed", &[0; 64]), "{jwk:?} verified");
        }
        assert!(jwk.declared.is_none_or(|declared| jwk.key.algorithms().contains(&declared)));
        if let Some(kid) = jwk.kid.as_deref() {
            assert!(seen.insert(kid), "two keys share one `kid`");
            assert_eq!(set.select(Some(kid)).map(|found| &found.key), Some(&jwk.key));
        }
    }
}

/// How large a value is, counted by itself.
#[derive(Default)]
struct Size {
    depth: usize,
    values: usize,
    members: usize,
}

impl Size {
    fn of(value: &Value) -> Self {
        let (members, children): (usize, Vec<&Value>) = match value {
            Value::Object(object) => (object.len(), object.values().collect()),
            Value::Array(items) => (0, items.iter().collect()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => (0, Vec::new()),
        };
        let mut size = Self { depth: 0, values: children.len(), members };
        for child in children.into_iter().map(Self::of) {
            size.depth = size.depth.max(child.depth + 1);
            size.values += child.values;
            size.members += child.members;
        }
        size
    }
}

fn colons_outside_strings(json: &[u8]) -> usize {
    let (mut colons, mut inside, mut escaped) = (0, false, false);
    for byte in json {
        match (inside, escaped, byte) {
            (true, true, _) => escaped = false,
            (true, false, b'\\') => escaped = true,
            (_, _, b'"') => inside = !inside,
            (false, _, b':') => colons += 1,
            _ => {}
        }
    }
    colons
}
