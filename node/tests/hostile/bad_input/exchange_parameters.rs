//! Parameters of a token request (RFC 8693 section 2.1, RFC 6749 section 3.2).

use crate::lab::{
    Lab, MARKER,
    case::{Case, granted, refused, stranger},
    jwt::Jwt,
    region::{ISSUER, OTHER_ISSUER, SECRET},
    request::{ACCESS_TOKEN, EXCHANGE, ID_TOKEN, JWT, OAuthRequest},
};

const REPEATED: &str = "parameter_repeated";
const MISSING: &str = "parameter_missing";

#[test]
fn a_request_that_asks_wrongly_gets_no_token() {
    let lab = Lab::start();
    let mut cases = grants(&lab);
    cases.extend(token_types(&lab));
    cases.extend(missing_and_repeated(&lab));
    cases.extend(requesters(&lab));
    cases.extend(regional_tokens(&lab));
    // One regional token was issued to be presented again.
    lab.judge(&cases, 1);
}

#[test]
fn a_client_that_asks_too_often_waits_and_nobody_can_use_up_its_turns() {
    let mut lab = Lab::start();
    let slow = |lab: &Lab| request(lab).basic("slow", SECRET);
    // Whoever does not prove to be the client takes no turn of its.
    for _ in 0..5 {
        assert_eq!(lab.send(&request(&lab).basic("slow", MARKER)).status, 401);
    }
    for _ in 0..2 {
        assert_eq!(lab.send(&slow(&lab)).status, 200);
    }
    let introspection = lab.introspect(MARKER).basic("slow", SECRET);
    for request in [slow(&lab), introspection, lab.revoke(MARKER).basic("slow", SECRET)] {
        let answer = lab.send(&request);
        assert_eq!((answer.status, answer.member("error_id").as_str()), (429, "rate_limited"));
        assert!(answer.header("retry-after").parse::<u32>().unwrap() >= 1, "{answer:?}");
    }
    assert_eq!(lab.send(&request(&lab)).status, 200, "another client goes on");
    lab.clock.advance(1);
    assert_eq!(lab.send(&slow(&lab)).status, 200);
    let log = lab.stop();
    assert_eq!(log.of_event("refused").len(), 0, "none of them buys a record");
    let counted = log.of_event("refused_counted");
    let limited = counted.iter().filter(|record| record["error_id"] == "rate_limited");
    assert_eq!(limited.filter_map(|record| record["count"].as_u64()).sum::<u64>(), 3);
}

fn request(lab: &Lab) -> OAuthRequest {
    lab.exchange(&lab.subject_token())
}

fn grants(lab: &Lab) -> Vec<Case> {
    let unsupported = [
        "authorization_code",
        "client_credentials",
        "password",
        "implicit",
        "refresh_token",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "urn:ietf:params:oauth:grant-type:saml2-bearer",
        "urn:ietf:params:oauth:grant-type:device_code",
        "token-exchange",
        MARKER,
    ];
    let mut cases: Vec<Case> = unsupported
        .iter()
        .map(|grant| {
            let request = request(lab).set("grant_type", grant);
            refused(format!("grant {grant}"), request, "grant_type_unsupported")
        })
        .collect();
    for (name, grant) in [
        ("case", EXCHANGE.to_uppercase()),
        ("a space after", format!("{EXCHANGE} ")),
        ("two in one", format!("{EXCHANGE} {EXCHANGE}")),
        ("a newline", format!("{EXCHANGE}\n")),
    ] {
        let request = request(lab).set("grant_type", &grant);
        cases.push(refused(format!("grant type: {name}"), request, "grant_type_unsupported"));
    }
    for client in ["bearer", "watcher", "idle"] {
        let request = request(lab).basic(client, SECRET);
        cases.push(refused(
            format!("a grant that `{client}` has not"),
            request,
            "grant_not_allowed",
        ));
    }
    cases
}

fn token_types(lab: &Lab) -> Vec<Case> {
    let mut cases = Vec::new();
    let kinds = [
        "urn:ietf:params:oauth:token-type:refresh_token",
        "urn:ietf:params:oauth:token-type:saml1",
        "urn:ietf:params:oauth:token-type:saml2",
        "urn:ietf:params:oauth:token-type:id-jag",
        "urn:ietf:params:oauth:token-type:device-secret",
        "access_token",
        "JWT",
        MARKER,
        "URN:IETF:PARAMS:OAUTH:TOKEN-TYPE:JWT",
        "urn:ietf:params:oauth:token-type:jwt ",
    ];
    for kind in kinds {
        let subject = request(lab).set("subject_token_type", kind);
        cases.push(refused(
            format!("subject token type {kind}"),
            subject,
            "subject_token_type_unsupported",
        ));
        let wanted = request(lab).set("requested_token_type", kind);
        cases.push(refused(
            format!("requested type {kind}"),
            wanted,
            "requested_token_type_unsupported",
        ));
    }
    for kind in [ID_TOKEN, JWT] {
        let wanted = request(lab).set("requested_token_type", kind);
        cases.push(refused(
            format!("requested type {kind}"),
            wanted,
            "requested_token_type_unsupported",
        ));
    }
    cases.push(granted(
        "requested type access_token",
        request(lab).set("requested_token_type", ACCESS_TOKEN),
    ));
    cases.push(granted(
        "an empty requested type counts as none",
        request(lab).set("requested_token_type", ""),
    ));
    let none = request(lab).remove("subject_token_type");
    cases.push(refused("no subject token type", none, "subject_token_type_unsupported"));
    cases
}

fn missing_and_repeated(lab: &Lab) -> Vec<Case> {
    let mut cases = Vec::new();
    for name in ["grant_type", "subject_token"] {
        cases.push(refused(format!("no {name}"), request(lab).remove(name), MISSING));
        cases.push(refused(format!("an empty {name}"), request(lab).set(name, ""), MISSING));
    }
    for (name, value) in
        [("grant_type", EXCHANGE), ("subject_token", MARKER), ("subject_token_type", ACCESS_TOKEN)]
    {
        cases.push(refused(format!("{name} twice"), request(lab).add(name, value), REPEATED));
    }
    for (name, value) in [
        ("scope", "orders:read"),
        ("requested_token_type", ACCESS_TOKEN),
        ("actor_token", MARKER),
        ("actor_token_type", ACCESS_TOKEN),
    ] {
        let request = request(lab).add(name, value).add(name, value);
        cases.push(refused(format!("{name} twice"), request, REPEATED));
    }
    let escaped = request(lab).and_raw(b"&%67rant_type=x");
    cases.push(refused("grant_type twice, once escaped", escaped, REPEATED));
    let other_case = request(lab).remove("subject_token").add("Subject_Token", MARKER);
    cases.push(refused("a name in other case", other_case, MISSING));
    let spaced = request(lab).remove("subject_token").add(" subject_token", MARKER);
    cases.push(refused("a name with a space", spaced, MISSING));
    let indexed = request(lab).remove("subject_token").add("subject_token[]", MARKER);
    cases.push(refused("a name with brackets", indexed, MISSING));
    cases.push(granted("an unknown parameter", request(lab).add(MARKER, MARKER)));
    cases.push(granted(
        "an unknown parameter twice",
        request(lab).add("x", MARKER).add("x", MARKER),
    ));
    cases.push(granted("empty pairs", request(lab).and_raw(b"&&=&&x&")));
    let nothing = request(lab).raw("");
    cases.push(refused("nothing", nothing, MISSING));
    let separators = request(lab).raw("grant_type=x;subject_token=y");
    cases.push(refused("semicolons", separators, "grant_type_unsupported"));
    let id_twice = request(lab).add("client_id", "gateway").add("client_id", "gateway");
    cases.push(stranger("client_id twice", id_twice, REPEATED));
    cases
}

/// Tokens that somebody else got.
fn requesters(lab: &Lab) -> Vec<Case> {
    const NOT_ALLOWED: &str = "requester_not_allowed";
    let send = |jwt: Jwt| lab.exchange(&jwt.sign(&lab.keys.es));
    vec![
        refused(
            "a client that the token does not name",
            request(lab).basic("outsider", SECRET),
            NOT_ALLOWED,
        ),
        refused("issued to another client", send(lab.person().claim("azp", MARKER)), NOT_ALLOWED),
        refused("issued to nobody", send(lab.person().without("azp")), NOT_ALLOWED),
        refused(
            "the party's case",
            send(lab.person().claim("azp", "Gateway-Upstream")),
            NOT_ALLOWED,
        ),
        refused(
            "the party in an array",
            send(lab.person().claim("azp", vec!["gateway-upstream"])),
            NOT_ALLOWED,
        ),
        refused(
            "the client's id here, which it has not there",
            send(lab.person().claim("azp", "gateway")),
            NOT_ALLOWED,
        ),
        refused(
            "named by another claim",
            send(lab.person().without("azp").claim("appid", "gateway-upstream")),
            NOT_ALLOWED,
        ),
        granted(
            "named as audience",
            send(lab.person().without("azp").claim("aud", vec!["exequatur", "gateway-upstream"])),
        ),
    ]
}

/// Tokens of this region and of another one are no subject tokens.
fn regional_tokens(lab: &Lab) -> Vec<Case> {
    let own = lab.issued();
    let mut cases = Vec::new();
    for kind in [ACCESS_TOKEN, JWT, ID_TOKEN] {
        let request = lab.exchange(&own).set("subject_token_type", kind);
        cases.push(refused(
            format!("this region's own token as {kind}"),
            request,
            "subject_token_untrusted",
        ));
    }
    let disguised = lab.person().header("typ", "at+jwt").header("kid", "es");
    let foreign = disguised.claim("iss", OTHER_ISSUER).sign(&lab.keys.unknown_es);
    cases.push(refused(
        "another region's token",
        lab.exchange(&foreign),
        "subject_token_untrusted",
    ));
    let grant = lab.person().header("typ", "authorization-grant+jwt").claim("iss", OTHER_ISSUER);
    let grant = grant.claim("aud", ISSUER).sign(&lab.keys.unknown_es);
    cases.push(refused("a border grant", lab.exchange(&grant), "subject_token_untrusted"));
    let acting = lab.exchange(&lab.subject_token()).set("actor_token", &own);
    let acting = acting.set("actor_token_type", ACCESS_TOKEN);
    cases.push(refused("this region's own token as actor", acting, "actor_token_untrusted"));
    cases
}
