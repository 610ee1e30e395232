//! People who are at home elsewhere, or nowhere: the first question about a verified token, before
//! anything in it is unpacked.

use serde_json::{Value, json};

use crate::lab::{
    Lab, MARKER,
    case::{Case, granted, refused},
    jwt::Jwt,
    region::OTHER_ISSUER,
    request::ID_TOKEN,
};

const ELSEWHERE: &str = "home_region_elsewhere";
const UNKNOWN: &str = "home_region_unknown";

#[test]
fn nobody_from_elsewhere_or_nowhere_gets_a_token_here() {
    let lab = Lab::start();
    let mut cases = people(&lab);
    cases.extend(before_all_else(&lab));
    cases.extend(services(&lab));
    lab.judge(&cases, 0);
}

#[test]
fn whoever_is_at_home_elsewhere_is_told_where_and_nothing_more() {
    let lab = Lab::start();
    let token = lab.person().claim("region", "us").sign(&lab.keys.es);
    let answer = lab.send(&lab.exchange(&token));
    let body = answer.json();
    let names: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        ["error", "error_description", "error_id", "error_uri", "home_issuer", "request_id"]
    );
    assert_eq!(body["home_issuer"], OTHER_ISSUER);
}

fn people(lab: &Lab) -> Vec<Case> {
    let at = |region: Value| lab.exchange(&lab.person().claim("region", region).sign(&lab.keys.es));
    let mut cases = vec![
        granted("at home here", at(json!("eu"))),
        refused("at home in another region", at(json!("us")), ELSEWHERE),
        refused(
            "no home",
            lab.exchange(&lab.person().without("region").sign(&lab.keys.es)),
            UNKNOWN,
        ),
    ];
    for (name, region) in [
        ("unmapped", json!(MARKER)),
        ("empty", json!("")),
        ("another case", json!("EU")),
        ("a space after", json!("eu ")),
        ("the region's name", json!("eu-central")),
        ("a number", json!(1)),
        ("null", json!(null)),
        ("true", json!(true)),
        ("an array", json!(["eu"])),
        ("two", json!(["eu", "us"])),
        ("an object", json!({"eu": true})),
        ("NUL after", json!("eu\u{0}")),
    ] {
        cases.push(refused(format!("home: {name}"), at(region), UNKNOWN));
    }
    cases
}

/// A token from elsewhere is not unpacked: what else is wrong with it stays unseen.
fn before_all_else(lab: &Lab) -> Vec<Case> {
    let us = || lab.person().claim("region", "us");
    let send = |jwt: Jwt| lab.exchange(&jwt.sign(&lab.keys.es));
    let id = lab.id_token().claim("region", "us").sign(&lab.keys.es);
    vec![
        refused("elsewhere, without subject", send(us().without("sub")), ELSEWHERE),
        refused(
            "elsewhere, with a claim that breaks a rule",
            send(us().claim("needs_department", true)),
            ELSEWHERE,
        ),
        refused("elsewhere, issued to another client", send(us().claim("azp", MARKER)), ELSEWHERE),
        refused("elsewhere, without scope", send(us().without("scope")), ELSEWHERE),
        refused(
            "elsewhere, with a strange actor chain",
            send(us().claim("act", MARKER)),
            ELSEWHERE,
        ),
        refused(
            "elsewhere, by ID token",
            lab.exchange(&id).set("subject_token_type", ID_TOKEN),
            ELSEWHERE,
        ),
        // What is verified comes before the home.
        refused("elsewhere, expired", send(us().claim("exp", 1)), "subject_token_time"),
        refused("elsewhere, for others", send(us().claim("aud", MARKER)), "subject_token_audience"),
        refused(
            "elsewhere, forged",
            lab.exchange(&us().sign(&lab.keys.unknown_es)),
            "subject_token_untrusted",
        ),
    ]
}

fn services(lab: &Lab) -> Vec<Case> {
    let partner = lab.partner().claim("sub", "gateway-upstream").sign(&lab.keys.partner_es);
    let homeless = lab.service().without("region").sign(&lab.keys.es);
    let abroad = lab.service().claim("region", "us").sign(&lab.keys.es);
    vec![
        refused(
            "a service of a provider whose services are refused",
            lab.exchange(&partner),
            "service_not_allowed",
        ),
        granted("a service without home, where services come as they are", lab.exchange(&homeless)),
        granted("a service with a home claim", lab.exchange(&abroad)),
    ]
}
