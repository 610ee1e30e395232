//! Global issuers that are down, rotate their keys, or publish what they must not (fault matrix
//! F50, F51, F52).

use serde_json::{Value, json};

use super::{exchange, outcome, readiness};
use crate::lab::{Lab, MARKER, http::Answer, keys::Key, region::Variation};

/// Seconds after which a request may make the node ask again: the pause between fetches that
/// requests cause, or the longest pause after failures.
const LONGEST_PAUSE: u64 = 61;
/// Longest time that held keys are believed without a fetch, in seconds.
const STALE_MAX: u64 = 86_400;
const JWKS: &str = "/global/jwks";
const UNAVAILABLE: (u16, &str) = (503, "issuer_keys_unavailable");
const UNTRUSTED: (u16, &str) = (400, "subject_token_untrusted");

fn assert_outcome(answer: &Answer, (status, id): (u16, &str)) {
    assert_eq!(outcome(answer), (status, id.to_owned()), "{answer:?}");
}

fn send_signed(lab: &Lab, kid: &str, key: &Key) -> Answer {
    lab.send(&lab.exchange(&lab.person().header("kid", kid).sign(key)))
}

#[test]
fn an_issuer_that_is_down_at_the_start_stops_only_its_own_people() {
    let mut lab = Lab::prepare(Variation::default());
    lab.pages.set_down(true);
    lab.initialise();
    lab.run();
    let answer = lab.send(&exchange(&lab));
    assert_outcome(&answer, UNAVAILABLE);
    assert!(answer.header("retry-after").parse::<u32>().unwrap() >= 1);
    assert_eq!(lab.send(&lab.introspect(MARKER)).text(), r#"{"active":false}"#);
    assert_eq!(lab.send(&lab.revoke(MARKER)).status, 200);
    lab.pages.set_down(false);
    lab.clock.advance(LONGEST_PAUSE);
    assert_eq!(lab.send(&exchange(&lab)).status, 200);
    assert_eq!(readiness(&lab).status, 200);
    let log = lab.stop();
    assert_eq!(log.of_event("refused").len(), 1);
    assert_eq!(log.of_event("token_authorized").len(), 1);
}

#[test]
fn held_keys_outlast_an_outage_of_a_day_and_no_longer() {
    let lab = Lab::start();
    assert_eq!(lab.send(&exchange(&lab)).status, 200);
    lab.pages.set_down(true);
    lab.clock.advance(STALE_MAX - 1);
    assert_eq!(lab.send(&exchange(&lab)).status, 200, "a second before the limit");
    lab.clock.advance(2);
    assert_outcome(&lab.send(&exchange(&lab)), UNAVAILABLE);
    let known = lab.person();
    lab.pages.set_down(false);
    lab.clock.advance(LONGEST_PAUSE);
    assert_eq!(lab.send(&lab.exchange(&known.sign(&lab.keys.es))).status, 200);
}

#[test]
fn a_flood_of_unknown_key_ids_costs_the_issuer_one_fetch() {
    let lab = Lab::start();
    assert_eq!(lab.send(&exchange(&lab)).status, 200);
    let before = lab.pages.asked(JWKS);
    for at in 0..200 {
        let answer = send_signed(&lab, &format!("{MARKER}-{at}"), &lab.keys.unknown_es);
        assert_outcome(&answer, UNTRUSTED);
    }
    assert!(lab.pages.asked(JWKS) <= before + 1, "{} fetches", lab.pages.asked(JWKS) - before);
    lab.clock.advance(LONGEST_PAUSE);
    for at in 0..50 {
        send_signed(&lab, &format!("{MARKER}-again-{at}"), &lab.keys.unknown_es);
    }
    assert!(lab.pages.asked(JWKS) <= before + 2);
}

#[test]
fn a_new_key_is_found_by_its_first_token_and_a_withdrawn_one_ends_what_it_signed() {
    let lab = Lab::start();
    let kept = lab.subject_token();
    assert_eq!(lab.send(&lab.exchange(&kept)).status, 200);
    lab.clock.advance(LONGEST_PAUSE);
    let new = &lab.keys.unknown_es;
    let before = lab.pages.asked(JWKS);
    lab.pages.publish("/global", &[new.published("new", "ES256")]);
    assert_eq!(send_signed(&lab, "new", new).status, 200);
    assert_eq!(lab.pages.asked(JWKS), before + 1);
    // The same token had passed: it is in the cache of verified tokens, which must not help it.
    assert_outcome(&lab.send(&lab.exchange(&kept)), UNTRUSTED);
    assert_outcome(&lab.send(&exchange(&lab)), UNTRUSTED);
}

#[test]
fn a_poisoned_set_is_refused_whole_and_the_old_one_kept() {
    let lab = Lab::start();
    let new = Key::ec();
    let poisons: [(&str, Vec<Value>); 6] = [
        ("two keys under one kid", vec![lab.keys.unknown_es.published("new", "ES256")]),
        ("a symmetric key", vec![json!({"kty": "oct", "k": "AAAA", "kid": "x"})]),
        (
            "a symmetric key that says RS256",
            vec![json!({"kty": "oct", "k": "AAAA", "kid": "x", "alg": "RS256"})],
        ),
        ("a private part", vec![private(&lab.keys.ed)]),
        ("a point off its curve", vec![off_curve(&lab.keys.es)]),
        (
            "an RSA key of 512 bits",
            vec![json!({"kty": "RSA", "n": "v".repeat(86), "e": "AQAB", "kid": "x"})],
        ),
    ];
    assert_eq!(lab.send(&exchange(&lab)).status, 200);
    for (name, poison) in poisons {
        let mut keys = lab.keys.global();
        keys.push(new.published("new", "ES256"));
        keys.extend(poison);
        lab.pages.publish("/global", &keys);
        lab.clock.advance(LONGEST_PAUSE);
        let before = lab.pages.asked(JWKS);
        assert_outcome(&send_signed(&lab, "new", &new), UNAVAILABLE);
        assert!(lab.pages.asked(JWKS) > before, "{name}: the set was fetched");
        assert_eq!(lab.send(&exchange(&lab)).status, 200, "{name}: the old keys stand");
    }
    let mut keys = lab.keys.global();
    keys.push(new.published("new", "ES256"));
    lab.pages.publish("/global", &keys);
    lab.clock.advance(LONGEST_PAUSE);
    assert_eq!(send_signed(&lab, "new", &new).status, 200, "a clean set is taken");
}

#[test]
fn an_issuer_that_speaks_for_another_is_not_believed() {
    let mut lab = Lab::prepare(Variation::default());
    let metadata = json!({"issuer": lab.pages.url("/partner"), "jwks_uri": lab.pages.url(JWKS)});
    lab.pages.put("/global/.well-known/openid-configuration", &metadata);
    lab.initialise();
    lab.run();
    assert_outcome(&lab.send(&exchange(&lab)), UNAVAILABLE);
    assert_eq!(lab.pages.asked(JWKS), 0);
}

fn private(key: &Key) -> Value {
    let mut jwk = key.published("x", "EdDSA");
    jwk["d"] = json!("AAAA");
    jwk
}

fn off_curve(key: &Key) -> Value {
    let mut jwk = key.published("x", "ES256");
    jwk["y"] = jwk["x"].clone();
    jwk
}
