//! `token inspect`, `token verify`.

use serde_json::{Value, json};

use crate::exequatur;
use crate::region::Region;
use crate::tokens::{Signer, global};

const ISSUER: &str = "https://eu.id.example";
const AUDIENCE: &str = "https://api.eu.example/orders";

fn regional() -> Value {
    // The command reads the machine's clock, so the token must be valid now.
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "x", "iat": now - 10, "exp": now + 300})
}

#[test]
fn a_token_is_shown_with_the_word_that_nothing_is_proved() {
    let region = Region::new();
    let token = region.file("token.txt", &Signer::new().sign("JWT", &global()));
    let text = exequatur(["token", "inspect", &token]).done();
    assert!(
        text.starts_with("verified   no: nothing below is proved\nalgorithm  ES256\n"),
        "{text}"
    );
    let json = exequatur(["token", "inspect", &token, "--output", "json"]).json();
    assert_eq!((&json["verified"], &json["claims"]["azp"]), (&json!(false), &json!("gateway")));
}

#[test]
fn a_regional_token_is_verified_and_a_wrong_one_refused() {
    let region = Region::new();
    let signer = Signer::new();
    let token = region.file("token.txt", &signer.sign("at+jwt", &regional()));
    let global = region.file("global.txt", &signer.sign("JWT", &regional()));
    let keys = region.file("keys.jwks", &signer.jwks());
    let others = region.file("others.jwks", &Signer::new().jwks());
    let verify = |token: &str, keys: &str, audience: &str| {
        let arguments = ["token", "verify", token, "--jwks", keys, "--issuer", ISSUER];
        exequatur(arguments.into_iter().chain(["--audience", audience]))
    };
    let text = verify(&token, &keys, AUDIENCE).done();
    assert!(text.starts_with("verified   yes\n"), "{text}");
    assert_eq!(
        verify(&token, &keys, "https://other.example").failed(3),
        "error: not valid: `aud` is another audience\n"
    );
    assert_eq!(
        verify(&token, &others, AUDIENCE).failed(3),
        "error: not valid: the JWK set has no key with the token's `kid`\n"
    );
    assert!(verify(&global, &keys, AUDIENCE).failed(3).contains("`typ` is not `at+jwt`"));
    assert!(verify(&token, "/nowhere", AUDIENCE).failed(1).contains("`/nowhere` cannot be read"));
}

#[test]
fn a_missing_token_file_is_named() {
    let answer = exequatur(["token", "inspect", "/nowhere/token"]);
    assert_eq!(
        answer.failed(1),
        "error: `/nowhere/token` cannot be read: No such file or directory (os error 2)\n"
    );
}
