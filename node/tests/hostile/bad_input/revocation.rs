//! Requests to revoke (RFC 7009): a client ends its own tokens only, learns nothing of others, and
//! 200 is said only when there is nothing left to end.

use serde_json::json;

use crate::lab::{
    Lab, MARKER, REVOKE,
    case::{Case, Expected, case, refused, stranger},
    jwt::parts,
    region::{OTHER_ISSUER, SECRET, Variation},
    request::OAuthRequest,
};

const ANOTHERS: &str = "token_of_another_client";
const NOT_REVOCABLE: &str = "token_type_not_revocable";

#[test]
fn only_a_living_token_of_the_caller_is_revoked() {
    let lab = Lab::start();
    let token = lab.issued();
    let mut cases = unknown(&lab, &token);
    cases.extend(foreign(&lab, &token));
    cases.extend(parameters(&lab, &token));
    cases.extend(own(&lab, &token));
    lab.judge(&cases, 1);
}

#[test]
fn what_did_not_revoke_left_the_token_alive() {
    let lab = Lab::start();
    let token = lab.issued();
    for request in [
        lab.revoke(&token).basic("single", SECRET),
        lab.revoke(&token).basic("watcher", SECRET),
        lab.revoke(&token).anonymous(),
        lab.revoke(&token).basic("gateway", MARKER),
        lab.revoke(&token).add("token", &token),
        lab.revoke(&token).method("GET"),
        lab.revoke(&format!("{token}.")),
    ] {
        lab.send(&request);
        assert_eq!(lab.send(&lab.introspect(&token)).json()["active"], json!(true));
    }
}

#[test]
fn a_revocation_stands_over_a_restart_and_a_repetition() {
    let mut lab = Lab::start();
    let (token, other) = (lab.issued(), lab.issued());
    for _ in 0..2 {
        assert_eq!(lab.send(&lab.revoke(&token)).status, 200);
        assert_eq!(lab.send(&lab.introspect(&token)).text(), r#"{"active":false}"#);
        lab.restart(Variation::default());
        assert_eq!(lab.send(&lab.introspect(&token)).text(), r#"{"active":false}"#);
        assert_eq!(lab.send(&lab.introspect(&other)).json()["active"], json!(true));
    }
    assert_eq!(lab.stop().of_event("token_revoked").len(), 2);
}

/// Told as if it had worked (RFC 7009 section 2.2): there is nothing to end.
fn unknown(lab: &Lab, token: &str) -> Vec<Case> {
    let [header, payload, signature] = parts(token);
    let strange = lab.person().claim("iss", lab.trap.url("")).sign(&lab.keys.unknown_es);
    let forged = format!("{header}.{payload}.{}", parts(&strange)[2]);
    [
        ("nonsense", MARKER.to_owned()),
        ("a forged token", forged),
        ("no signature", format!("{header}.{payload}.")),
        ("four parts", format!("{token}.{signature}")),
        ("padding", format!("{token}==")),
        ("a token of an issuer that nobody trusts", strange),
        ("60,000 bytes", "a".repeat(60_000)),
        ("dots", "..".to_owned()),
        ("NUL, escaped twice", format!("{token}%00")),
    ]
    .into_iter()
    .map(|(name, text)| case(format!("revoke {name}"), lab.revoke(&text), Expected::Empty(None)))
    .collect()
}

fn foreign(lab: &Lab, token: &str) -> Vec<Case> {
    let id = lab.id_token().sign(&lab.keys.es);
    let elsewhere = lab.person().claim("iss", OTHER_ISSUER).sign(&lab.keys.unknown_es);
    let partner = lab.partner().sign(&lab.keys.partner_es);
    let assertion = lab.assertion().header("kid", "signer-es").sign(&lab.keys.signer_es);
    let mut cases: Vec<Case> = ["single", "outsider", "bearer", "watcher", "idle"]
        .map(|client| {
            let request = lab.revoke(token).basic(client, SECRET);
            refused(format!("another's token, by `{client}`"), request, ANOTHERS)
        })
        .into();
    cases.extend([
        refused("another's token, by assertion", lab.revoke(token).assertion(&assertion), ANOTHERS),
        refused("a global token", lab.revoke(&lab.subject_token()), NOT_REVOCABLE),
        refused("a global ID token", lab.revoke(&id), NOT_REVOCABLE),
        refused("a partner's token", lab.revoke(&partner), NOT_REVOCABLE),
        refused("another region's token", lab.revoke(&elsewhere), NOT_REVOCABLE),
        refused(
            "a forged global token",
            lab.revoke(&lab.person().sign(&lab.keys.unknown_es)),
            NOT_REVOCABLE,
        ),
    ]);
    cases
}

fn parameters(lab: &Lab, token: &str) -> Vec<Case> {
    let bare = || OAuthRequest::new(REVOKE).set("token", token);
    let forged = lab.assertion().sign(&lab.keys.unknown_es);
    vec![
        refused("revoke nothing", lab.revoke("x").remove("token"), "parameter_missing"),
        refused("revoke an empty token", lab.revoke(""), "parameter_missing"),
        refused("revoke two tokens", lab.revoke(token).add("token", MARKER), "parameter_repeated"),
        refused(
            "revoke one token twice in one request",
            lab.revoke(token).add("token", token),
            "parameter_repeated",
        ),
        stranger("revoke without credentials", bare(), "client_authentication_missing"),
        stranger(
            "revoke by a public client",
            bare().set("client_id", "gateway"),
            "client_authentication_missing",
        ),
        stranger(
            "revoke with a wrong secret",
            bare().basic("gateway", MARKER),
            "client_authentication_failed",
        ),
        stranger(
            "revoke with a forged assertion",
            bare().assertion(&forged),
            "client_authentication_failed",
        ),
    ]
}

fn own(lab: &Lab, token: &str) -> Vec<Case> {
    let revoked = Expected::Empty(Some("token_revoked"));
    let hinted = lab.revoke(token).set("token_type_hint", "refresh_token");
    let strange = lab.revoke(token).set("token_type_hint", MARKER);
    vec![
        case("revoke with a wrong hint", hinted, revoked),
        case("revoke again, with a strange hint", strange, revoked),
        case("introspect what was revoked", lab.introspect(token), Expected::Inactive(None)),
    ]
}
