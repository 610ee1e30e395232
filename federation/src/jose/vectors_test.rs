//! Published vectors: RFC 7515 A.2 and A.3, RFC 8037 A.3 and A.4, RFC 7638 section 3.1, and the
//! key of RFC 9449. No published example is a PS256 token, so that one is signed with aws-lc-rs.

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PSS_SHA256},
};
use serde_json::{Map, Value, json};

use super::{Algorithm, JwsError, PublicKey, UnverifiedJws, base64url, from_base64url};

/// The payload that the examples of RFC 7515 share.
const PAYLOAD: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

const RS256_MODULUS: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
const RS256_SIGNATURE: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
const ES256_SIGNATURE: &str =
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

const THUMBPRINT_MODULUS: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

fn key(jwk: &Value) -> PublicKey {
    PublicKey::from_jwk(jwk.as_object().unwrap()).unwrap()
}

fn rs256_key() -> PublicKey {
    key(&json!({"kty": "RSA", "n": RS256_MODULUS, "e": "AQAB"}))
}

fn es256_key() -> PublicKey {
    key(&json!({
        "kty": "EC",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
    }))
}

fn eddsa_key() -> PublicKey {
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    key(&json!({"kty": "OKP", "crv": "Ed25519", "x": x}))
}

fn rs256_token() -> UnverifiedJws {
    UnverifiedJws::parse(&format!("eyJhbGciOiJSUzI1NiJ9.{PAYLOAD}.{RS256_SIGNATURE}")).unwrap()
}

fn es256_token() -> UnverifiedJws {
    UnverifiedJws::parse(&format!("eyJhbGciOiJFUzI1NiJ9.{PAYLOAD}.{ES256_SIGNATURE}")).unwrap()
}

#[test]
fn the_rs256_example_of_rfc_7515_verifies() {
    let token = rs256_token();
    assert_eq!(token.verify(&rs256_key(), Algorithm::Rs256), Ok(()));
    assert_eq!((token.issuer(), token.typ(), token.kid()), (Some("joe"), None, None));
}

#[test]
fn the_es256_example_of_rfc_7515_verifies() {
    let token = es256_token();
    assert_eq!(token.verify(&es256_key(), Algorithm::Es256), Ok(()));
    let payload = token.into_payload();
    assert_eq!(payload.get("exp"), Some(&json!(1_300_819_380)));
    assert_eq!(payload.get("http://example.com/is_root"), Some(&json!(true)));
}

#[test]
fn the_eddsa_example_of_rfc_8037_verifies_though_its_payload_is_no_claim_set() {
    let signed = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature =
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    let mut bytes = from_base64url(signature).unwrap();
    assert!(eddsa_key().verify(Algorithm::EdDsa, signed.as_bytes(), &bytes));
    assert!(!eddsa_key().verify(Algorithm::EdDsa, b"another text", &bytes));
    bytes[0] ^= 1;
    assert!(!eddsa_key().verify(Algorithm::EdDsa, signed.as_bytes(), &bytes));
    assert!(UnverifiedJws::parse(&format!("{signed}.{signature}")).is_err());
}

#[test]
fn a_ps256_token_verifies_as_ps256_only() {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    // RFC 8017 appendix A.1.1: two headers of four bytes and a leading zero stand before the
    // 256 bytes of the modulus; the exponent 65537 follows.
    let modulus = &pair.public_key().as_ref()[9..265];
    let public = PublicKey::rsa(modulus, &[1, 0, 1]).unwrap();
    let signed = format!("{}.{PAYLOAD}", base64url(br#"{"alg":"PS256"}"#));
    let mut signature = vec![0; pair.public_modulus_len()];
    let random = SystemRandom::new();
    pair.sign(&RSA_PSS_SHA256, &random, signed.as_bytes(), &mut signature).unwrap();
    let token = UnverifiedJws::parse(&format!("{signed}.{}", base64url(&signature))).unwrap();
    assert_eq!(token.verify(&public, Algorithm::Ps256), Ok(()));
    assert_eq!(token.verify(&public, Algorithm::Rs256), Err(JwsError::Signature));
    assert!(!public.verify(Algorithm::Rs256, signed.as_bytes(), &signature));
    assert_eq!(token.verify(&rs256_key(), Algorithm::Ps256), Err(JwsError::Signature));
}

#[test]
fn no_key_verifies_a_token_of_another_type_of_key() {
    for algorithm in Algorithm::ALL {
        assert!(rs256_token().verify(&es256_key(), algorithm).is_err(), "{algorithm:?}");
        assert!(rs256_token().verify(&eddsa_key(), algorithm).is_err(), "{algorithm:?}");
        assert!(es256_token().verify(&rs256_key(), algorithm).is_err(), "{algorithm:?}");
    }
    assert!(rs256_token().verify(&rs256_key(), Algorithm::Ps256).is_err());
}

#[test]
fn one_changed_bit_anywhere_in_a_signature_is_noticed() {
    let signature = from_base64url(ES256_SIGNATURE).unwrap();
    for index in 0..signature.len() {
        let mut changed = signature.clone();
        changed[index] ^= 0x10;
        let text = format!("eyJhbGciOiJFUzI1NiJ9.{PAYLOAD}.{}", base64url(&changed));
        let token = UnverifiedJws::parse(&text).unwrap();
        assert!(token.verify(&es256_key(), Algorithm::Es256).is_err(), "byte {index}");
    }
}

#[test]
fn the_thumbprints_of_rfc_7638_rfc_8037_and_rfc_9449_are_met() {
    let rsa = json!({
        "kty": "RSA", "n": THUMBPRINT_MODULUS, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"
    });
    let dpop = json!({
        "kty": "EC",
        "crv": "P-256",
        "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
        "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"
    });
    let thumbprint = |key: &PublicKey| key.thumbprint().as_str().to_owned();
    assert_eq!(thumbprint(&key(&rsa)), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    assert_eq!(thumbprint(&eddsa_key()), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    assert_eq!(thumbprint(&key(&dpop)), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
}

#[test]
fn what_is_published_reads_back_as_the_same_key() {
    let keys = [
        (rs256_key(), Algorithm::Rs256),
        (rs256_key(), Algorithm::Ps256),
        (es256_key(), Algorithm::Es256),
        (eddsa_key(), Algorithm::EdDsa),
    ];
    for (public, algorithm) in keys {
        let jwk = public.to_jwk(algorithm);
        assert_eq!(key(&jwk), public);
        let members: &Map<String, Value> = jwk.as_object().unwrap();
        assert_eq!(members.get("kid"), Some(&json!(public.thumbprint())));
        assert_eq!(members.get("alg"), Some(&json!(algorithm.as_str())));
    }
}
