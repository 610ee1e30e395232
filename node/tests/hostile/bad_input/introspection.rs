//! Questions about tokens (RFC 7662, RFC 9701): whoever may not know, and whatever is no living
//! token of this region, gets `{"active":false}` and no other member.

use exequatur_federation::jose::{base64url, from_base64url};
use serde_json::{Value, json};

use crate::lab::{
    INTROSPECT, Lab, MARKER,
    case::{Case, Expected, case, inactive, refused, stranger},
    jwt::{parts, payload_of},
    region::{BILLING, ISSUER, ORDERS, SECRET},
    request::OAuthRequest,
};

const SIGNED: &str = "application/token-introspection+jwt";

#[test]
fn what_is_no_living_token_of_the_caller_is_inactive_and_nothing_else() {
    let lab = Lab::start();
    let token = lab.issued();
    let billed = lab
        .issued_by(&lab.exchange(&lab.subject_token()).remove("audience").set("resource", BILLING));
    let mut cases = texts(&lab, &token);
    cases.extend(forgeries(&lab, &token));
    cases.extend(callers(&lab, &token, &billed));
    cases.extend(signed(&lab, &token));
    cases.extend(unsigned(&lab));
    cases.extend(parameters(&lab, &token));
    lab.judge(&cases, 2);
}

#[test]
fn a_living_token_is_active_until_it_is_revoked_or_expires() {
    let lab = Lab::start();
    let (kept, revoked) = (lab.issued(), lab.issued());
    let ask = |token: &str| lab.send(&lab.introspect(token)).json();
    for token in [&kept, &revoked] {
        let answer = ask(token);
        assert_eq!((&answer["active"], &answer["aud"]), (&json!(true), &json!(ORDERS)));
    }
    assert_eq!(lab.send(&lab.revoke(&revoked)).status, 200);
    assert_eq!(ask(&revoked), json!({"active": false}));
    let expires_in = payload_of(&kept)["exp"].as_u64().unwrap() - lab.clock.seconds();
    lab.clock.advance(expires_in - 1);
    assert_eq!(ask(&kept)["active"], json!(true), "a second before its end");
    lab.clock.advance(1);
    assert_eq!(ask(&kept), json!({"active": false}), "at its end");
}

#[test]
fn a_signed_answer_is_for_its_caller_and_is_no_access_token() {
    let lab = Lab::start();
    let token = lab.issued();
    let answer = lab.send(&lab.introspect(&token).header("Accept", SIGNED));
    let payload = payload_of(&answer.text());
    assert_eq!((&payload["iss"], &payload["aud"]), (&json!(ISSUER), &json!("watcher")));
    assert_eq!(payload["token_introspection"]["active"], json!(true));
    let about_the_answer = lab.send(&lab.introspect(&answer.text()));
    assert_eq!(about_the_answer.text(), r#"{"active":false}"#);
}

/// Texts that are not exactly the token.
fn texts(lab: &Lab, token: &str) -> Vec<Case> {
    let [header, payload, signature] = parts(token);
    let lengthened = format!("{token}A");
    [
        ("nonsense", MARKER.to_owned()),
        ("a space after", format!("{token} ")),
        ("a newline after", format!("{token}\n")),
        ("padding", format!("{token}==")),
        ("one more digit", lengthened),
        ("Bearer before it", format!("Bearer {token}")),
        ("no signature", format!("{header}.{payload}.")),
        ("two parts", format!("{header}.{payload}")),
        ("four parts", format!("{token}.{signature}")),
        ("its id", payload_of(token)["jti"].as_str().unwrap().to_owned()),
        ("a global token", lab.subject_token()),
        ("an ID token", lab.id_token().sign(&lab.keys.es)),
        ("60,000 bytes", "a".repeat(60_000)),
        ("dots", "..".to_owned()),
    ]
    .into_iter()
    .map(|(name, text)| inactive(format!("introspect {name}"), lab.introspect(&text)))
    .collect()
}

/// Tokens that were changed, or signed by others.
fn forgeries(lab: &Lab, token: &str) -> Vec<Case> {
    let [header, _, signature] = parts(token);
    let mut claims = payload_of(token);
    claims["scope"] = json!("orders:write admin");
    let widened = base64url(claims.to_string().as_bytes());
    let head: Value = serde_json::from_slice(&from_base64url(header).unwrap()).unwrap();
    let with_header = |name: &str, value: Value| {
        let mut head = head.clone();
        head[name] = value;
        let text = format!("{}.{}", base64url(head.to_string().as_bytes()), parts(token)[1]);
        format!("{text}.{}", base64url(&lab.keys.unknown_es.sign("ES256", text.as_bytes())))
    };
    let own = lab.keys.unknown_es.published(head["kid"].as_str().unwrap(), "ES256");
    [
        ("wider, under the old signature", format!("{header}.{widened}.{signature}")),
        ("signed by a stranger", with_header("typ", json!("at+jwt"))),
        ("none", with_header("alg", json!("none"))),
        ("HS256", with_header("alg", json!("HS256"))),
        ("without kid", with_header("kid", json!(null))),
        ("another kid", with_header("kid", json!(MARKER))),
        ("with a key of its own", with_header("jwk", own)),
        ("with an address of keys", with_header("jku", json!(lab.trap.url("/introspect")))),
        ("critical", with_header("crit", json!(["exp"]))),
        ("another typ", with_header("typ", json!("JWT"))),
    ]
    .into_iter()
    .map(|(name, text)| inactive(format!("introspect a token: {name}"), lab.introspect(&text)))
    .collect()
}

fn callers(lab: &Lab, token: &str, billed: &str) -> Vec<Case> {
    let by = |client: &str, token: &str| lab.introspect(token).basic(client, SECRET);
    vec![
        inactive("by a client that no resource names", by("idle", token)),
        inactive("by a client of another resource", by("biller", token)),
        inactive("another resource's token", by("watcher", billed)),
        inactive("by the client that got it", by("gateway", token)),
        inactive("by a client with another grant", by("bearer", token)),
    ]
}

fn signed(lab: &Lab, token: &str) -> Vec<Case> {
    let by = |client: &str, token: &str| {
        lab.introspect(token).basic(client, SECRET).header("Accept", SIGNED)
    };
    let expected = Expected::InactiveSigned;
    let rather_not = lab.introspect(MARKER).header("Accept", &format!("{SIGNED};q=0.1"));
    vec![
        case("signed: rather not", rather_not, expected),
        case("signed: nonsense", by("watcher", MARKER), expected),
        case("signed: a global token", by("watcher", &lab.subject_token()), expected),
        case("signed: by a client that no resource names", by("idle", token), expected),
        case("signed: by a client of another resource", by("biller", token), expected),
        case(
            "signed: among other types",
            by("idle", token).header("Accept", "text/html, */*"),
            expected,
        ),
    ]
}

/// Not asked for, although it is named.
fn unsigned(lab: &Lab) -> Vec<Case> {
    ["q=0", "q=0.000", "Q=0", "charset=utf-8; q=0.0"]
        .map(|weight| {
            let request = lab.introspect(MARKER).header("Accept", &format!("{SIGNED}; {weight}"));
            inactive(format!("signed: not with {weight}"), request)
        })
        .into()
}

fn parameters(lab: &Lab, token: &str) -> Vec<Case> {
    let assertion = || lab.assertion().header("kid", "signer-es").sign(&lab.keys.signer_es);
    let authenticated = Expected::Inactive(Some("client_authenticated"));
    let bare = OAuthRequest::new(INTROSPECT);
    vec![
        refused("introspect nothing", lab.introspect("x").remove("token"), "parameter_missing"),
        refused("introspect an empty token", lab.introspect(""), "parameter_missing"),
        refused(
            "introspect two tokens",
            lab.introspect(token).add("token", MARKER),
            "parameter_repeated",
        ),
        refused(
            "introspect one token twice",
            lab.introspect(token).add("token", token),
            "parameter_repeated",
        ),
        inactive("a strange hint", lab.introspect(MARKER).set("token_type_hint", MARKER)),
        inactive(
            "two hints",
            lab.introspect(MARKER).add("token_type_hint", "a").add("token_type_hint", "b"),
        ),
        case("by an assertion", lab.introspect(MARKER).assertion(&assertion()), authenticated),
        stranger("without credentials", bare.set("token", token), "introspection_unauthenticated"),
    ]
}
