//! What a JWK set may hold: keys of no use are skipped, a poisoned key spoils the whole set.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::{Algorithm, JwkError, JwkSet, JwkSetError, PublicKey, base64url};

const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
const OKP_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
const MODULUS: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

/// A good P-256 key with `members` laid over it; `null` takes a member away.
fn ec(members: &Value) -> Value {
    over(json!({"kty": "EC", "crv": "P-256", "x": X, "y": Y, "kid": "ec"}), members)
}

fn rsa(members: &Value) -> Value {
    over(json!({"kty": "RSA", "n": MODULUS, "e": "AQAB", "kid": "rsa"}), members)
}

fn over(mut key: Value, members: &Value) -> Value {
    let object = key.as_object_mut().unwrap();
    for (name, value) in members.as_object().unwrap() {
        if value.is_null() {
            object.remove(name);
        } else {
            object.insert(name.clone(), value.clone());
        }
    }
    key
}

fn parse(keys: &[Value]) -> Result<JwkSet, JwkSetError> {
    JwkSet::parse(json!({"keys": keys}).to_string().as_bytes())
}

fn kids(set: &JwkSet) -> Vec<&str> {
    set.keys().iter().filter_map(|k| k.kid.as_deref()).collect()
}

#[test]
fn a_poisoned_key_spoils_the_whole_set_wherever_it_stands() {
    let cases = [
        ("symmetric", json!({"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1", "kid": "h"})),
        ("symmetric for encryption", json!({"kty": "oct", "k": "AyM1", "use": "enc"})),
        ("EC private part", ec(&json!({"kid": "p", "d": X}))),
        ("RSA private exponent", rsa(&json!({"kid": "p", "d": "AQAB"}))),
        ("RSA prime alone", rsa(&json!({"kid": "p", "p": "AQAB"}))),
        ("private part of an encryption key", rsa(&json!({"kid": "p", "use": "enc", "d": "AQ"}))),
        ("private part of an unknown curve", ec(&json!({"kid": "p", "crv": "P-521", "d": "AQ"}))),
        ("private part of an unknown type", json!({"kty": "AKP", "kid": "p", "k": "AQ"})),
    ];
    for (what, key) in cases {
        for (index, keys) in
            [vec![key.clone(), ec(&json!({}))], vec![ec(&json!({})), key]].into_iter().enumerate()
        {
            let expected = JwkSetError::Poisoned { index, cause: JwkError::Private };
            assert_eq!(parse(&keys).unwrap_err(), expected, "{what} at {index}");
        }
    }
}

#[test]
fn a_signing_key_that_is_no_key_spoils_the_set() {
    let small = base64url(&[0xff; 128]);
    let cases = [
        ("off the curve", ec(&json!({"y": X})), JwkError::OutOfRange),
        (
            "zero point",
            ec(&json!({"x": "A".repeat(43), "y": "A".repeat(43)})),
            JwkError::OutOfRange,
        ),
        ("short coordinate", ec(&json!({"x": "AQ"})), JwkError::Malformed),
        ("missing coordinate", ec(&json!({"y": null})), JwkError::Malformed),
        ("padded coordinate", ec(&json!({"x": format!("{X}=")})), JwkError::Malformed),
        ("1024 bits", rsa(&json!({"n": small})), JwkError::OutOfRange),
        ("even exponent", rsa(&json!({"e": "Ag"})), JwkError::OutOfRange),
        ("exponent one", rsa(&json!({"e": "AQ"})), JwkError::OutOfRange),
        ("no modulus", rsa(&json!({"n": null})), JwkError::Malformed),
        ("no type", ec(&json!({"kty": null})), JwkError::Malformed),
        ("algorithm of another type", ec(&json!({"alg": "RS256"})), JwkError::Malformed),
    ];
    for (what, key, cause) in cases {
        let found = parse(&[key]).unwrap_err();
        assert_eq!(found, JwkSetError::Poisoned { index: 0, cause }, "{what}");
    }
}

#[test]
fn two_signing_keys_under_one_kid_spoil_the_set_even_if_they_are_equal() {
    let twice = [ec(&json!({"kid": "a"})), rsa(&json!({"kid": "a"}))];
    assert_eq!(parse(&twice).unwrap_err(), JwkSetError::DuplicateKid);
    let equal = [ec(&json!({})), ec(&json!({}))];
    assert_eq!(parse(&equal).unwrap_err(), JwkSetError::DuplicateKid);
}

#[test]
fn keys_of_no_use_here_are_skipped() {
    let set = parse(&[
        rsa(&json!({"kid": "encryption", "use": "enc"})),
        rsa(&json!({"kid": "wrapping", "alg": "RSA-OAEP"})),
        rsa(&json!({"kid": "signs", "key_ops": ["sign"]})),
        ec(&json!({"kid": "p384", "crv": "P-384"})),
        json!({"kty": "OKP", "crv": "X25519", "x": OKP_X, "kid": "agreement"}),
        json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AQ", "kid": "post-quantum"}),
        ec(&json!({"kid": "sig", "use": "sig"})),
        // Skipped and kept keys may share a `kid`: nothing is ambiguous.
        rsa(&json!({"kid": "sig", "use": "enc"})),
        rsa(&json!({"kid": "verifies", "key_ops": ["verify"], "x5t": "AQ", "x5c": ["AQ=="]})),
    ])
    .unwrap();
    assert_eq!(kids(&set), ["sig", "verifies"]);
}

#[test]
fn a_key_without_alg_as_entra_publishes_it_is_judged_by_type_and_allow_list() {
    let set = parse(&[rsa(&json!({"kid": "entra", "use": "sig", "issuer": "https://i.example"}))])
        .unwrap();
    let key = set.select(Some("entra")).unwrap();
    assert_eq!(key.declared, None);
    assert_eq!(key.algorithm(&[Algorithm::Rs256]), Some(Algorithm::Rs256));
    assert_eq!(key.algorithm(&[Algorithm::Ps256]), Some(Algorithm::Ps256));
    assert_eq!(key.algorithm(&[Algorithm::Es256, Algorithm::EdDsa]), None);
    assert_eq!(key.algorithm(&[]), None);
}

#[test]
fn a_declared_algorithm_is_the_only_one() {
    let set = parse(&[rsa(&json!({"alg": "PS256"}))]).unwrap();
    let key = set.select(Some("rsa")).unwrap();
    assert_eq!(key.algorithm(&[Algorithm::Rs256]), None);
    assert_eq!(key.algorithm(&[Algorithm::Rs256, Algorithm::Ps256]), Some(Algorithm::Ps256));
}

#[test]
fn without_a_kid_only_the_only_key_is_meant() {
    let one = parse(&[ec(&json!({"kid": null}))]).unwrap();
    assert!(one.select(None).is_some());
    assert!(one.select(Some("ec")).is_none());
    let two = parse(&[ec(&json!({"kid": null})), rsa(&json!({}))]).unwrap();
    assert!(two.select(None).is_none());
    assert!(two.select(Some("rsa")).is_some());
    assert!(JwkSet::default().select(None).is_none());
}

#[test]
fn a_text_that_is_no_set_is_refused() {
    let member_twice = r#"{"keys":[],"keys":[]}"#;
    let key_member_twice = r#"{"keys":[{"kty":"EC","kty":"RSA"}]}"#;
    let texts = [
        "",
        "[]",
        "{}",
        "null",
        r#"{"keys":{}}"#,
        r#"{"keys":[1]}"#,
        r#"{"keys":[]} x"#,
        "{",
        "<a>",
    ];
    for text in texts.into_iter().chain([member_twice, key_member_twice]) {
        let found = JwkSet::parse(text.as_bytes());
        assert!(matches!(found, Err(JwkSetError::Malformed(_))), "{text}: {found:?}");
    }
    let many: Vec<_> = (0..101).map(|i| ec(&json!({"kid": i.to_string()}))).collect();
    assert_eq!(parse(&many).unwrap_err(), JwkSetError::TooLarge);
    assert_eq!(parse(&many[..100]).unwrap().keys().len(), 100);
}

#[test]
fn bytes_that_are_no_ed25519_point_or_one_of_small_order_are_refused() {
    let y = |first: u8| {
        let mut bytes = [0; 32];
        bytes[0] = first;
        bytes
    };
    // y = 3 is on the curve; 2 and 7 are not; 0 and 1 have small order.
    assert!(PublicKey::ed25519(y(3)).is_ok());
    let mut three_plus_p = [0xff; 32];
    (three_plus_p[0], three_plus_p[31]) = (0xf0, 0x7f);
    for bytes in [y(2), y(7), y(0), y(1), three_plus_p] {
        assert_eq!(PublicKey::ed25519(bytes).unwrap_err(), JwkError::OutOfRange, "{bytes:?}");
    }
}

#[test]
fn a_p256_key_is_the_same_from_either_form_of_its_point() {
    for seed in 0..16 {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let key = PublicKey::p256_from_point(pair.public_key().as_ref()).unwrap();
        let compressed = key.p256_compressed().unwrap();
        assert_eq!(PublicKey::p256_from_point(&compressed).unwrap(), key, "{seed}");
        assert_eq!(key.ed25519_bytes(), None);
    }
    // x = 5 is on the curve and x = 1 is not; no other first byte or length is a form of a point.
    let point = |first: u8, x: u8, length: usize| {
        let mut bytes = vec![0; length];
        (bytes[0], bytes[length - 1]) = (first, x);
        PublicKey::p256_from_point(&bytes)
    };
    assert!(point(2, 5, 33).is_ok() && point(3, 5, 33).is_ok());
    assert_eq!(point(2, 1, 33).unwrap_err(), JwkError::OutOfRange);
    for (first, length) in [(4, 33), (0, 33), (6, 33), (2, 32), (2, 34), (2, 65), (0, 1)] {
        assert_eq!(point(first, 5, length).unwrap_err(), JwkError::Malformed, "{first} {length}");
    }
}

#[test]
fn a_compressed_point_is_the_same_key_and_every_other_form_is_refused() {
    use aws_lc_rs::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
    };
    let (mut even, mut odd) = (0, 0);
    let random = SystemRandom::new();
    for _ in 0..32 {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.unwrap().as_ref());
        let pair = pair.unwrap();
        let point = pair.public_key().as_ref();
        let mut compressed = point[..33].to_vec();
        compressed[0] = 0x02 | (point[64] & 1);
        if compressed[0] == 0x02 {
            even += 1;
        } else {
            odd += 1;
        }
        let key = PublicKey::p256_from_point(&compressed).unwrap();
        assert_eq!(key, PublicKey::p256_from_point(point).unwrap());
        assert_eq!(key.thumbprint(), PublicKey::p256_from_point(point).unwrap().thumbprint());
        let signature = pair.sign(&random, b"message").unwrap();
        assert!(key.verify(Algorithm::Es256, b"message", signature.as_ref()));
        // The other sign is another key.
        compressed[0] ^= 1;
        assert_ne!(key, PublicKey::p256_from_point(&compressed).unwrap());
        // Neither hybrid nor infinity nor a wrong length is a key.
        let mut hybrid = point.to_vec();
        hybrid[0] = 0x06 | (point[64] & 1);
        for text in [&hybrid[..], &compressed[..32], &point[..64], &point[..33], &[0], &[]] {
            assert_eq!(PublicKey::p256_from_point(text), Err(JwkError::Malformed));
        }
    }
    assert!(even > 0 && odd > 0, "both signs were seen");
}

#[test]
fn a_compressed_point_off_the_curve_or_beyond_the_field_is_refused() {
    // About half of all x have no y.
    let refused = (0_u8..64).filter(|last| {
        let mut point = [0; 33];
        (point[0], point[32]) = (0x02, *last);
        PublicKey::p256_from_point(&point) == Err(JwkError::OutOfRange)
    });
    let refused = refused.count();
    assert!((10..54).contains(&refused), "{refused} of 64");
    let mut beyond = [0xff; 33];
    beyond[0] = 0x02;
    assert_eq!(PublicKey::p256_from_point(&beyond), Err(JwkError::OutOfRange));
}
