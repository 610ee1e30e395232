//! Clients that are not who they say (RFC 6749 section 2.3, RFC 7523 section 3, RFC 7523bis), and
//! assertions that come back.

use std::sync::Barrier;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::lab::{
    INTROSPECT, Lab, MARKER, REVOKE, TOKEN,
    case::{Case, Expected, case, granted, refused, stranger},
    jwt::{Jwt, assertion, parts},
    keys::hs256,
    region::{ISSUER, OTHER_ISSUER, SECRET, Variation},
    request::{JWT_BEARER, OAuthRequest, basic},
};

const FAILED: &str = "client_authentication_failed";
const REPEATED: &str = "client_authentication_repeated";
const AUDIENCE: &str = "client_assertion_audience";
const TIME: &str = "client_assertion_time";
const REPLAYED: &str = "client_assertion_replayed";

/// Slack that a client's clock is given, and the longest life of an assertion, in seconds.
const SLACK: u64 = 30;
const LIFETIME_MAX: u64 = 3_600;

#[test]
fn whoever_proves_nothing_is_nobody() {
    let lab = Lab::start();
    let mut cases = secrets(&lab);
    cases.extend(several_ways(&lab));
    cases.extend(other_endpoints(&lab));
    lab.judge(&cases, 0);
}

#[test]
fn an_assertion_that_is_not_right_authenticates_nobody() {
    let lab = Lab::start();
    let mut cases = assertions(&lab);
    cases.extend(assertion_headers(&lab));
    cases.extend(assertion_audiences(&lab));
    cases.extend(assertion_times(&lab));
    lab.judge(&cases, 0);
}

fn request(lab: &Lab) -> OAuthRequest {
    lab.exchange(&lab.subject_token())
}

fn secrets(lab: &Lab) -> Vec<Case> {
    let with = |id: &str, secret: &str| request(lab).basic(id, secret);
    let header = |value: &str| request(lab).authorization(value);
    let posted = |id: &str, secret: &str| {
        request(lab).anonymous().set("client_id", id).set("client_secret", secret)
    };
    let other_last = SECRET.replace('Q', "R");
    let mut cases = vec![
        stranger("no credentials", request(lab).anonymous(), "client_authentication_missing"),
        stranger(
            "an id alone",
            request(lab).anonymous().set("client_id", "gateway"),
            "client_authentication_missing",
        ),
        granted("the right secret", with("gateway", SECRET)),
        granted("the right secret in the body, where it may be", posted("single", SECRET)),
        granted(
            "the scheme in small letters",
            header(&basic("gateway", SECRET).replace("Basic", "basic")),
        ),
    ];
    for (name, request) in [
        ("an unknown client", with(MARKER, SECRET)),
        ("a wrong secret", with("gateway", &other_last)),
        ("an empty secret", with("gateway", "")),
        ("a shorter secret", with("gateway", SECRET.trim_end_matches('Q'))),
        ("a longer secret", with("gateway", &format!("{SECRET}Q"))),
        ("a weak secret", with("gateway", "password")),
        ("the secret's case", with("gateway", &SECRET.to_lowercase())),
        ("a space after", with("gateway", &format!("{SECRET} "))),
        ("a newline after", with("gateway", &format!("{SECRET}\n"))),
        ("NUL after", with("gateway", &format!("{SECRET}\u{0}"))),
        ("NUL after, escaped", with("gateway", &format!("{SECRET}%00"))),
        ("the id's case", with("Gateway", SECRET)),
        ("a space before the id", with(" gateway", SECRET)),
        ("an empty id", with("", SECRET)),
        ("an id of 1,000 bytes", with(&"g".repeat(1_000), SECRET)),
        ("a secret for a client with keys", with("signer", SECRET)),
        ("the hash for the secret", with("gateway", "sha256:BwcHBwcHBwcHBwcHBwcHBw:AAAA")),
        ("Bearer", header(&format!("Bearer {}", lab.subject_token()))),
        ("Digest", header(&format!("Digest username=\"{MARKER}\""))),
        ("a scheme alone", header("Basic")),
        ("an empty header", header("")),
        ("no base64", header("Basic !!!!")),
        ("base64url", header(&basic("gateway", "\u{ff}\u{ff}\u{ff}").replace('/', "_"))),
        ("no colon", header(&format!("Basic {}", STANDARD.encode("gateway")))),
        ("no UTF-8", header(&format!("Basic {}", STANDARD.encode(b"gateway:\xff\xfe")))),
        ("a bad escape", with("gateway", "%zz")),
        ("two schemes", header(&format!("Basic {}, Basic x", STANDARD.encode("a:b")))),
        ("a secret in the body, where it may not be", posted("gateway", SECRET)),
        ("a wrong secret in the body", posted("single", &other_last)),
        ("a secret in the body without id", posted("x", SECRET).remove("client_id")),
        ("another id in the body", with("gateway", SECRET).set("client_id", "single")),
    ] {
        cases.push(stranger(format!("secret: {name}"), request, FAILED));
    }
    cases
}

fn several_ways(lab: &Lab) -> Vec<Case> {
    let signed = || lab.assertion().sign(&lab.keys.signer_es);
    let with_assertion = |request: OAuthRequest| {
        request.set("client_assertion_type", JWT_BEARER).set("client_assertion", &signed())
    };
    let two_headers = request(lab).header("Authorization", &basic("single", SECRET));
    let twice = request(lab).header("Authorization", &basic("gateway", SECRET));
    let body = request(lab).set("client_secret", SECRET);
    let mut cases: Vec<Case> = [
        ("two headers", two_headers),
        ("one header twice", twice),
        ("header and secret", body),
        (
            "header, secret and id",
            request(lab).set("client_secret", SECRET).set("client_id", "gateway"),
        ),
        ("header and assertion", with_assertion(request(lab))),
        (
            "secret and assertion",
            with_assertion(request(lab).anonymous().set("client_secret", SECRET)),
        ),
        ("all three", with_assertion(request(lab).set("client_secret", SECRET))),
        ("header and an empty assertion's type", request(lab).set("client_assertion", MARKER)),
    ]
    .into_iter()
    .map(|(name, request)| stranger(format!("several: {name}"), request, REPEATED))
    .collect();
    for name in ["client_id", "client_secret", "client_assertion", "client_assertion_type"] {
        let request = request(lab).anonymous().add(name, MARKER).add(name, MARKER);
        cases.push(stranger(format!("{name} twice"), request, "parameter_repeated"));
    }
    cases
}

fn other_endpoints(lab: &Lab) -> Vec<Case> {
    let mut cases = Vec::new();
    for path in [INTROSPECT, REVOKE] {
        let base = || OAuthRequest::new(path).set("token", &lab.subject_token());
        let missing = if path == INTROSPECT {
            "introspection_unauthenticated"
        } else {
            "client_authentication_missing"
        };
        cases.push(stranger(format!("{path}: no credentials"), base(), missing));
        let bad = lab.assertion().sign(&lab.keys.unknown_es);
        let elsewhere = lab.assertion().header("kid", "signer-es").claim("aud", OTHER_ISSUER);
        let elsewhere = elsewhere.sign(&lab.keys.signer_es);
        for (name, request, id) in [
            ("an unknown client", base().basic(MARKER, SECRET), FAILED),
            ("a wrong secret", base().basic("watcher", MARKER), FAILED),
            ("Bearer", base().authorization(&format!("Bearer {MARKER}")), FAILED),
            ("a forged assertion", base().assertion(&bad), FAILED),
            ("an assertion for elsewhere", base().assertion(&elsewhere), AUDIENCE),
            ("two ways", base().basic("watcher", SECRET).set("client_secret", SECRET), REPEATED),
            ("no token and no client", base().remove("token"), missing),
        ] {
            cases.push(stranger(format!("{path}: {name}"), request, id));
        }
    }
    cases
}

fn assertions(lab: &Lab) -> Vec<Case> {
    let es = &lab.keys.signer_es;
    let send = |jwt: &Jwt| request(lab).assertion(&jwt.sign(es));
    let honest = lab.assertion().sign(es);
    let by_rsa = lab.assertion().header("alg", "RS256").header("kid", "signer-rs");
    let mut cases = vec![
        granted(
            "an honest assertion",
            request(lab).assertion(&lab.assertion().header("kid", "signer-es").sign(es)),
        ),
        granted("by the other key", request(lab).assertion(&by_rsa.sign(&lab.keys.partner_rsa))),
        granted(
            "with the id beside it",
            request(lab)
                .assertion(&lab.assertion().header("kid", "signer-es").sign(es))
                .set("client_id", "signer"),
        ),
    ];
    let kid = |jwt: Jwt| jwt.header("kid", "signer-es");
    let claims: Vec<(&str, Jwt)> = vec![
        (
            "iss and sub of an unknown client",
            lab.assertion().claim("iss", MARKER).claim("sub", MARKER),
        ),
        ("iss of another client", lab.assertion().claim("iss", "lenient")),
        ("sub of another client", lab.assertion().claim("sub", "lenient")),
        ("another client in both", lab.assertion().claim("iss", "lenient").claim("sub", "lenient")),
        ("a client with a secret", lab.assertion().claim("iss", "gateway").claim("sub", "gateway")),
        ("no iss", lab.assertion().without("iss")),
        ("no sub", lab.assertion().without("sub")),
        ("iss is an array", lab.assertion().claim("iss", json!(["signer"]))),
        ("sub is a number", lab.assertion().claim("sub", 1)),
        ("no jti", lab.assertion().without("jti")),
        ("an empty jti", lab.assertion().claim("jti", "")),
        ("a jti of 129 bytes", lab.assertion().claim("jti", "j".repeat(129))),
        ("a numeric jti", lab.assertion().claim("jti", 1)),
        ("a jti in an array", lab.assertion().claim("jti", json!([MARKER]))),
        ("iss's case", lab.assertion().claim("iss", "Signer").claim("sub", "Signer")),
    ];
    for (name, jwt) in claims {
        cases.push(stranger(format!("assertion: {name}"), send(&kid(jwt)), FAILED));
    }
    let other_type =
        |kind: &str| request(lab).assertion(&honest).set("client_assertion_type", kind);
    for (name, request) in [
        ("another id beside it", request(lab).assertion(&honest).set("client_id", "lenient")),
        ("no type", other_type("")),
        ("SAML", other_type("urn:ietf:params:oauth:client-assertion-type:saml2-bearer")),
        ("the type's case", other_type(&JWT_BEARER.to_uppercase())),
        ("another type", other_type(MARKER)),
        ("no token at all", request(lab).assertion(MARKER)),
        ("two parts", request(lab).assertion("eyJ9.eyJ9")),
        ("a global token", request(lab).assertion(&lab.subject_token())),
        ("a type without assertion", request(lab).assertion(MARKER).set("client_assertion", "x")),
    ] {
        cases.push(stranger(format!("assertion: {name}"), request, FAILED));
    }
    cases.push(stranger(
        "assertion: empty",
        request(lab).assertion(MARKER).set("client_assertion", ""),
        "client_authentication_missing",
    ));
    cases
}

fn assertion_headers(lab: &Lab) -> Vec<Case> {
    let es = &lab.keys.signer_es;
    let base = || lab.assertion().header("kid", "signer-es");
    let own = lab.keys.unknown_es.published("signer-es", "ES256");
    let trap = lab.trap.url("/assertion");
    let rsa = &lab.keys.partner_rsa;
    let confusion = base().header("alg", "HS256").header("kid", "signer-rs");
    let token = |jwt: Jwt| jwt.sign_as("ES256", es);
    let honest = token(base());
    let [header, payload, signature] = parts(&honest);
    let texts = [
        ("none", token(base().header("alg", "none"))),
        ("none, unsigned", base().header("alg", "none").sign_by(|_| Vec::new())),
        ("unsigned", base().sign_by(|_| Vec::new())),
        (
            "HS256 under the public key",
            confusion.sign_by(|input| hs256(&rsa.public_bytes(), input)),
        ),
        (
            "HS256 under the PEM",
            confusion.sign_by(|input| hs256(rsa.public_pem().as_bytes(), input)),
        ),
        ("RS256 under the key for ES256", base().header("alg", "RS256").sign(rsa)),
        (
            "PS256 under the key for RS256",
            base().header("alg", "PS256").header("kid", "signer-rs").sign(rsa),
        ),
        ("another client's key", base().header("kid", "lenient-es").sign(&lab.keys.lenient_es)),
        ("another client's key under this kid", base().sign(&lab.keys.lenient_es)),
        ("a key that nobody has", base().sign(&lab.keys.unknown_es)),
        ("the issuer's key", base().header("kid", "es").sign(&lab.keys.es)),
        ("an unknown kid", token(base().header("kid", MARKER))),
        ("no kid among two keys", token(lab.assertion())),
        ("jwk", base().header("jwk", own).sign(&lab.keys.unknown_es)),
        ("jku", base().header("jku", trap.clone()).sign(&lab.keys.unknown_es)),
        ("x5u", base().header("x5u", trap).sign(&lab.keys.unknown_es)),
        ("crit", token(base().header("crit", json!(["exp"])))),
        ("b64", token(base().header("b64", false))),
        ("typ of an access token", token(base().header("typ", "at+jwt"))),
        ("typ of a logout token", token(base().header("typ", "logout+jwt"))),
        ("typ of a DPoP proof", token(base().header("typ", "dpop+jwt"))),
        ("typ of a grant", token(base().header("typ", "authorization-grant+jwt"))),
        ("a padded signature", format!("{honest}==")),
        ("a fourth part", format!("{honest}.{signature}")),
        ("no signature part", format!("{header}.{payload}")),
        ("a member twice", base().over_payload(&base().payload_and("\"jti\":\"x\""), es)),
        (
            "an escaped member twice",
            base().over_payload(&base().payload_and("\"\\u006ati\":\"x\""), es),
        ),
    ];
    texts
        .into_iter()
        .map(|(name, text)| {
            stranger(format!("assertion: {name}"), request(lab).assertion(&text), FAILED)
        })
        .collect()
}

fn assertion_audiences(lab: &Lab) -> Vec<Case> {
    let endpoint = format!("{ISSUER}/token");
    let send = |aud: Value| {
        let jwt = lab.assertion().header("kid", "signer-es").claim("aud", aud);
        request(lab).assertion(&jwt.sign(&lab.keys.signer_es))
    };
    let mut cases: Vec<Case> = [
        ("another region", json!(OTHER_ISSUER)),
        ("the token endpoint", json!(endpoint)),
        ("the introspection endpoint", json!(format!("{ISSUER}/introspect"))),
        ("the issuer and the endpoint", json!([ISSUER, endpoint])),
        ("the issuer and another", json!([ISSUER, MARKER])),
        ("the issuer twice", json!([ISSUER, ISSUER])),
        ("an empty array", json!([])),
        ("a number", json!(1)),
        ("null", json!(null)),
        ("empty", json!("")),
        ("a trailing slash", json!(format!("{ISSUER}/"))),
        ("another case", json!(ISSUER.to_uppercase())),
        ("the default port", json!(ISSUER.replace(".example", ".example:443"))),
        ("the listener's address", json!(format!("http://{}/eu", lab.public()))),
        ("the upstream's audience", json!("exequatur")),
    ]
    .into_iter()
    .map(|(name, aud)| stranger(format!("assertion's aud: {name}"), send(aud), AUDIENCE))
    .collect();
    let absent = lab.assertion().header("kid", "signer-es").without("aud");
    let absent = request(lab).assertion(&absent.sign(&lab.keys.signer_es));
    cases.push(stranger("assertion's aud: missing", absent, AUDIENCE));
    cases.push(granted("assertion's aud: the issuer in an array", send(json!([ISSUER]))));
    let now = lab.clock.seconds();
    let lenient = |aud: &str| {
        let jwt = assertion("lenient", aud, now, &lab.jti()).header("kid", "lenient-es");
        request(lab).assertion(&jwt.sign(&lab.keys.lenient_es))
    };
    cases.push(granted("the endpoint, where it is allowed", lenient(&endpoint)));
    cases.push(granted("the issuer, where both are allowed", lenient(ISSUER)));
    let elsewhere = lenient(&format!("{OTHER_ISSUER}/token"));
    cases.push(stranger("another region's endpoint, where ours is allowed", elsewhere, AUDIENCE));
    cases
}

fn assertion_times(lab: &Lab) -> Vec<Case> {
    let now = lab.clock.seconds();
    let base = || lab.assertion().header("kid", "signer-es");
    let send = |jwt: Jwt| request(lab).assertion(&jwt.sign(&lab.keys.signer_es));
    let mut cases: Vec<Case> = [
        ("expired now", base().claim("exp", now), TIME),
        ("expired long ago", base().claim("exp", 1), TIME),
        ("living for too long", base().claim("exp", now + LIFETIME_MAX + 1), TIME),
        ("living for ever", base().claim("exp", u64::MAX), TIME),
        (
            "living for too long without iat",
            base().without("iat").claim("exp", now + LIFETIME_MAX + 1),
            TIME,
        ),
        ("in milliseconds", base().claim("exp", now * 1_000), TIME),
        ("from the future", base().claim("iat", now + SLACK + 1), TIME),
        ("not yet valid", base().claim("nbf", now + SLACK + 1), TIME),
        (
            "made an hour before it ends",
            base().claim("iat", now - LIFETIME_MAX).claim("exp", now + 1),
            TIME,
        ),
        ("no exp", base().without("exp"), FAILED),
        ("exp is a text", base().claim("exp", format!("{now}")), FAILED),
        ("exp is negative", base().claim("exp", -1), FAILED),
        ("exp is a fraction", base().claim("exp", now as f64 + 9.5), FAILED),
        ("iat is null", base().claim("iat", json!(null)), FAILED),
        ("ended before it began", base().claim("iat", now + 9).claim("exp", now + 8), FAILED),
    ]
    .into_iter()
    .map(|(name, jwt, id)| stranger(format!("assertion: {name}"), send(jwt), id))
    .collect();
    for (name, jwt) in [
        ("within the slack", base().claim("iat", now + SLACK).claim("exp", now + SLACK + 9)),
        ("for a whole hour", base().claim("exp", now + LIFETIME_MAX)),
        ("for one second more", base().claim("exp", now + 1)),
        ("without iat", base().without("iat")),
    ] {
        cases.push(granted(format!("assertion: {name}"), send(jwt)));
    }
    cases
}

#[test]
fn an_assertion_is_good_for_one_request_whatever_became_of_it() {
    let lab = Lab::start();
    let signed = || lab.assertion().header("kid", "signer-es").sign(&lab.keys.signer_es);
    let [granted_once, refused_once, introspected, revoked] =
        [signed(), signed(), signed(), signed()];
    let wrong_scope = || request(&lab).set("scope", MARKER);
    let introspect = |assertion: &str| lab.introspect(MARKER).assertion(assertion);
    let revoke = |assertion: &str| lab.revoke(MARKER).assertion(assertion);
    let authenticated = Some("client_authenticated");
    let cases = [
        granted("first", request(&lab).assertion(&granted_once)),
        refused("again", request(&lab).assertion(&granted_once), REPLAYED),
        refused("a third time", request(&lab).assertion(&granted_once), REPLAYED),
        refused("again, elsewhere", introspect(&granted_once), REPLAYED),
        refused("in vain", wrong_scope().assertion(&refused_once), "scope_not_allowed"),
        refused("after it was used in vain", request(&lab).assertion(&refused_once), REPLAYED),
        case("to introspect", introspect(&introspected), Expected::Inactive(authenticated)),
        refused("to introspect again", introspect(&introspected), REPLAYED),
        refused("to exchange after that", request(&lab).assertion(&introspected), REPLAYED),
        case("to revoke", revoke(&revoked), Expected::Empty(authenticated)),
        refused("to revoke again", revoke(&revoked), REPLAYED),
    ];
    lab.judge(&cases, 0);
}

#[test]
fn of_fifty_requests_at_once_with_one_assertion_exactly_one_passes() {
    const AT_ONCE: usize = 50;
    let mut lab = Lab::start();
    let assertion = lab.assertion().header("kid", "signer-es").sign(&lab.keys.signer_es);
    let request = request(&lab).assertion(&assertion).http();
    let (address, barrier) = (lab.public(), Barrier::new(AT_ONCE));
    let answers: Vec<_> = std::thread::scope(|scope| {
        let send = || {
            barrier.wait();
            request.send(address)
        };
        let senders: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(send)).collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    let passed = answers.iter().filter(|answer| answer.status == 200).count();
    let replayed = answers.iter().filter(|answer| answer.member("error_id") == REPLAYED).count();
    assert_eq!((passed, replayed), (1, AT_ONCE - 1), "{answers:?}");
    let log = lab.stop();
    assert_eq!(log.of_event("token_authorized").len(), 1);
    assert_eq!(log.of_event("refused").len(), AT_ONCE - 1);
}

#[test]
fn an_assertion_stays_used_over_a_restart_and_a_change_of_endpoint() {
    let mut lab = Lab::start();
    let assertion = lab.assertion().header("kid", "signer-es").sign(&lab.keys.signer_es);
    assert_eq!(lab.send(&request(&lab).assertion(&assertion)).status, 200);
    lab.restart(Variation::default());
    for again in [request(&lab), lab.introspect(MARKER), lab.revoke(MARKER)] {
        let answer = lab.send(&again.assertion(&assertion));
        assert_eq!((answer.status, answer.member("error_id").as_str()), (401, REPLAYED));
    }
}

#[test]
fn what_did_not_authenticate_uses_nothing_up() {
    let mut lab = Lab::start();
    let jwt = lab.assertion().header("kid", "signer-es");
    let send = |lab: &Lab, assertion: &str| lab.send(&request(lab).assertion(assertion));
    // Each of these has the id of the assertion that comes after.
    for forged in [
        jwt.sign(&lab.keys.unknown_es),
        jwt.clone().claim("aud", OTHER_ISSUER).sign(&lab.keys.signer_es),
        jwt.clone().claim("exp", 1).sign(&lab.keys.signer_es),
        jwt.clone().header("typ", "at+jwt").sign(&lab.keys.signer_es),
        format!("{}=", jwt.sign(&lab.keys.signer_es)),
    ] {
        assert_eq!(send(&lab, &forged).status, 401);
    }
    assert_eq!(send(&lab, &jwt.sign(&lab.keys.signer_es)).status, 200);
    let id = jwt.payload["jti"].as_str().unwrap();
    let other = assertion("lenient", ISSUER, lab.clock.seconds(), id).header("kid", "lenient-es");
    let other = send(&lab, &other.sign(&lab.keys.lenient_es));
    assert_eq!(other.status, 200, "another client's assertion may have the same id: {other:?}");
    // Signed anew, it is still the same assertion: the id counts, not the text.
    let again = send(&lab, &jwt.claim("exp", lab.clock.seconds() + 30).sign(&lab.keys.signer_es));
    assert_eq!(again.member("error_id"), REPLAYED);
    lab.stop();
}

#[test]
fn a_client_that_left_the_register_is_nobody_on_every_path_and_its_tokens_are_dead() {
    let mut lab = Lab::start();
    let token = lab.issued();
    assert_eq!(lab.send(&lab.introspect(&token)).json()["active"], json!(true));
    lab.restart(Variation { without_client: Some("gateway"), ..Variation::default() });
    assert_eq!(lab.send(&lab.introspect(&token)).text(), r#"{"active":false}"#);
    let introspection = OAuthRequest::new(INTROSPECT).basic("gateway", SECRET).set("token", &token);
    for request in [
        request(&lab),
        introspection,
        lab.revoke(&token),
        OAuthRequest::new(TOKEN).basic("gateway", SECRET),
    ] {
        let answer = lab.send(&request);
        assert_eq!((answer.status, answer.member("error_id").as_str()), (401, FAILED));
    }
    assert_eq!(lab.stop().counted(FAILED), 4);
}
