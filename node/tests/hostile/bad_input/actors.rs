//! Who acts for whom: actor tokens, `may_act`, and chains of `act` (RFC 8693 sections 2.1, 4.1 and
//! 4.4).

use serde_json::{Value, json};

use crate::lab::{
    Lab, MARKER,
    case::{Case, granted, refused},
    jwt::{Jwt, payload_of},
    request::{ACCESS_TOKEN, ID_TOKEN, JWT, OAuthRequest},
};

const TYPE: &str = "actor_token_type_unsupported";
const MALFORMED: &str = "actor_token_malformed";
const UNTRUSTED: &str = "actor_token_untrusted";
const KIND: &str = "actor_token_kind";
const TIME: &str = "actor_token_time";
const NOT_ALLOWED: &str = "actor_not_allowed";
const CLAIMS: &str = "subject_token_claims";

/// Longest chain of actors that is carried on.
const ACTORS_MAX: usize = 4;

#[test]
fn whoever_may_not_act_gets_no_token() {
    let lab = Lab::start();
    let mut cases = parameters(&lab);
    cases.extend(actor_tokens(&lab));
    cases.extend(may_act_without_actor(&lab));
    cases.extend(may_act_with_actor(&lab));
    cases.extend(chains(&lab));
    lab.judge(&cases, 0);
}

#[test]
fn an_actor_is_named_in_the_token_without_its_own_name() {
    let lab = Lab::start();
    let token = lab.issued_by(&acting(&lab, &lab.person(), &lab.service().sign(&lab.keys.es)));
    let act = &payload_of(&token)["act"];
    assert_eq!(act["sub"], "client:global:gateway-upstream");
    let chained = lab.person().claim("act", chain(ACTORS_MAX));
    let token = lab.issued_by(&lab.exchange(&chained.sign(&lab.keys.es)));
    assert!(!payload_of(&token)["act"].to_string().contains(MARKER));
}

fn acting(lab: &Lab, subject: &Jwt, actor: &str) -> OAuthRequest {
    lab.exchange(&subject.sign(&lab.keys.es))
        .set("actor_token", actor)
        .set("actor_token_type", ACCESS_TOKEN)
}

fn parameters(lab: &Lab) -> Vec<Case> {
    let actor = lab.service().sign(&lab.keys.es);
    let whole = || acting(lab, &lab.person(), &actor);
    let mut cases = vec![
        granted("an honest actor", whole()),
        granted("an honest actor, as jwt", whole().set("actor_token_type", JWT)),
        refused("an actor token without type", whole().remove("actor_token_type"), TYPE),
        refused("an actor token with an empty type", whole().set("actor_token_type", ""), TYPE),
        refused("a type without actor token", whole().remove("actor_token"), TYPE),
        refused("a type and an empty actor token", whole().set("actor_token", ""), TYPE),
    ];
    for kind in [
        ID_TOKEN,
        "urn:ietf:params:oauth:token-type:refresh_token",
        "urn:ietf:params:oauth:token-type:saml2",
        "access_token",
        MARKER,
    ] {
        let request = whole().set("actor_token_type", kind);
        cases.push(refused(format!("actor token type {kind}"), request, TYPE));
    }
    cases
}

fn actor_tokens(lab: &Lab) -> Vec<Case> {
    let now = lab.clock.seconds();
    let es = &lab.keys.es;
    let actor = || lab.service();
    let honest = actor().sign(es);
    let partner = lab.partner().claim("sub", "gateway-upstream").sign(&lab.keys.partner_es);
    let leaked = actor().claim("azp", MARKER).claim("aud", "exequatur").sign(es);
    let tokens: Vec<(&str, String, &str)> = vec![
        ("issued to another client", leaked, "requester_not_allowed"),
        ("opaque", MARKER.to_owned(), MALFORMED),
        ("two parts", "eyJ9.eyJ9".to_owned(), MALFORMED),
        ("padded", format!("{honest}=="), MALFORMED),
        ("none", actor().header("alg", "none").sign_as("ES256", es), MALFORMED),
        ("unsigned", actor().sign_by(|_| Vec::new()), UNTRUSTED),
        ("crit", actor().header("crit", json!(["exp"])).sign(es), MALFORMED),
        (
            "a member twice",
            actor().over_payload(&actor().payload_and("\"sub\":\"x\""), es),
            MALFORMED,
        ),
        ("longer than 16 KiB", actor().claim("pad", "p".repeat(13_000)).sign(es), MALFORMED),
        ("a key that nobody publishes", actor().sign(&lab.keys.unknown_es), UNTRUSTED),
        (
            "another issuer's key",
            actor().header("kid", "partner-es").sign(&lab.keys.partner_es),
            UNTRUSTED,
        ),
        (
            "an issuer that nobody trusts",
            actor().claim("iss", lab.trap.url("")).sign(es),
            UNTRUSTED,
        ),
        ("no issuer", actor().without("iss").sign(es), UNTRUSTED),
        ("an ID token", lab.id_token().sign(es), KIND),
        ("a logout token", actor().header("typ", "logout+jwt").sign(es), KIND),
        ("a DPoP proof", actor().header("typ", "dpop+jwt").sign(es), KIND),
        ("a refresh token", actor().claim("typ", "Refresh").sign(es), KIND),
        ("expired", actor().claim("exp", now).sign(es), TIME),
        ("from the future", actor().claim("iat", now + 60).sign(es), TIME),
        ("living for too long", actor().claim("exp", now + 90_000).sign(es), TIME),
        ("without exp", actor().without("exp").sign(es), MALFORMED),
        ("for others", actor().claim("aud", MARKER).sign(es), "actor_token_audience"),
        ("for nobody", actor().without("aud").sign(es), "actor_token_audience"),
        ("bound", actor().claim("cnf", json!({"jkt": MARKER})).sign(es), "actor_token_bound"),
        ("a person without subject", lab.person().without("sub").sign(es), "actor_token_claims"),
        (
            "a person with an empty subject",
            lab.person().claim("sub", "").sign(es),
            "actor_token_claims",
        ),
        (
            "a service without name",
            actor().claim("azp", "").claim("client_id", "").sign(es),
            "actor_token_claims",
        ),
        (
            "a person from elsewhere",
            lab.person().claim("region", "us").sign(es),
            "home_region_elsewhere",
        ),
        ("a person from nowhere", lab.person().without("region").sign(es), "home_region_unknown"),
        ("a service that is refused", partner, "service_not_allowed"),
    ];
    tokens
        .into_iter()
        .map(|(name, token, id)| {
            refused(format!("actor token: {name}"), acting(lab, &lab.person(), &token), id)
        })
        .collect()
}

fn may_act_without_actor(lab: &Lab) -> Vec<Case> {
    let issuer = lab.pages.url("/global");
    let send =
        |may_act: Value| lab.exchange(&lab.person().claim("may_act", may_act).sign(&lab.keys.es));
    let mut cases: Vec<Case> = [
        ("another client", json!({"sub": MARKER})),
        ("another client by client_id", json!({"client_id": MARKER})),
        ("nobody", json!({})),
        ("null", json!(null)),
        ("a text", json!("gateway")),
        ("an array", json!(["gateway"])),
        ("an array of objects", json!([{"sub": "gateway"}])),
        ("a number", json!({"sub": 1})),
        ("another issuer", json!({"sub": "gateway-upstream", "iss": MARKER})),
        ("a member that is not understood", json!({"sub": "gateway-upstream", MARKER: MARKER})),
        ("the client and another", json!({"sub": "gateway-upstream", "client_id": MARKER})),
        ("the client's case", json!({"sub": "Gateway-Upstream"})),
        ("the client's id here, which it has not there", json!({"sub": "gateway"})),
        ("everybody of the issuer", json!({"iss": issuer})),
        ("false", json!(false)),
    ]
    .into_iter()
    .map(|(name, may_act)| refused(format!("may_act: {name}"), send(may_act), NOT_ALLOWED))
    .collect();
    cases.push(granted("may_act: the client", send(json!({"sub": "gateway-upstream"}))));
    cases.push(granted(
        "may_act: the client's name there",
        send(json!({"sub": "gateway-upstream", "iss": issuer})),
    ));
    cases
}

fn may_act_with_actor(lab: &Lab) -> Vec<Case> {
    let issuer = lab.pages.url("/global");
    let actor = lab.service().sign(&lab.keys.es);
    let send = |may_act: Value| acting(lab, &lab.person().claim("may_act", may_act), &actor);
    // At the partner, somebody else has the same name.
    let namesake = lab.partner().sign(&lab.keys.partner_es);
    let same_name = lab.person().claim("may_act", json!({"client_id": "gateway-upstream"}));
    vec![
        refused(
            "may_act: a namesake of another issuer",
            acting(lab, &same_name, &namesake),
            NOT_ALLOWED,
        ),
        refused(
            "may_act: everybody of the issuer, with an actor",
            send(json!({"iss": issuer})),
            NOT_ALLOWED,
        ),
        refused("may_act: another than the actor", send(json!({"sub": MARKER})), NOT_ALLOWED),
        refused(
            "may_act: the client, but not the actor",
            send(json!({"sub": "gateway"})),
            NOT_ALLOWED,
        ),
        refused(
            "may_act: the actor of another issuer",
            send(json!({"client_id": "gateway-upstream", "iss": MARKER})),
            NOT_ALLOWED,
        ),
        refused(
            "may_act: the actor and more",
            send(json!({"client_id": "gateway-upstream", "x": "y"})),
            NOT_ALLOWED,
        ),
        refused("may_act: nobody, with an actor", send(json!({})), NOT_ALLOWED),
        granted(
            "may_act: the actor",
            send(json!({"client_id": "gateway-upstream", "iss": issuer})),
        ),
    ]
}

fn chains(lab: &Lab) -> Vec<Case> {
    let send = |act: Value| lab.exchange(&lab.person().claim("act", act).sign(&lab.keys.es));
    let mut cases = Vec::new();
    for depth in 1..=ACTORS_MAX {
        cases.push(granted(format!("{depth} actors"), send(chain(depth))));
    }
    for depth in [ACTORS_MAX + 1, ACTORS_MAX + 4] {
        cases.push(refused(format!("{depth} actors"), send(chain(depth)), CLAIMS));
    }
    // Deeper than JSON may be nested at all.
    cases.push(refused("20 actors", send(chain(20)), "subject_token_malformed"));
    for (name, act) in [
        ("a text", json!(MARKER)),
        ("null", json!(null)),
        ("an array", json!([{"sub": MARKER}])),
        ("nobody", json!({})),
        ("a number", json!({"sub": 1})),
        ("an inner text", json!({"sub": "a", "act": MARKER})),
        ("an inner nobody", json!({"sub": "a", "act": {}})),
    ] {
        cases.push(refused(format!("act: {name}"), send(act), CLAIMS));
    }
    cases
}

/// An `act` claim of this many actors.
fn chain(depth: usize) -> Value {
    (0..depth).fold(Value::Null, |inner, at| {
        let mut actor = json!({"sub": format!("actor-{MARKER}-{at}")});
        if !inner.is_null() {
            actor["act"] = inner;
        }
        actor
    })
}
