//! Introspection: who is answered, and what (RFC 7662, RFC 9701).

use exequatur_federation::{
    introspection::{Introspection, introspect},
    jose::UnverifiedJws,
    revocation::{Revocation, RevocationView},
    time::UnixTime,
    token::RegionalToken,
};
use serde_json::{Value, json};

use super::world::{BANK, ISSUER, NOW, World, ada, jwks, signed_by, with};

fn answer(world: &World, caller: &str, token: Option<&RegionalToken>) -> Introspection {
    introspect(&world.law, &world.client(caller), token, &RevocationView::default(), world.now)
}

fn is_inactive_and_says_nothing_else(answer: &Introspection) -> bool {
    Value::Object(answer.members().clone()) == json!({"active": false}) && !answer.is_active()
}

#[test]
fn the_service_that_a_token_is_for_gets_its_claims() {
    let world = World::new();
    let ask = world.ask(&ada());
    let answer = answer(&world, "orders-api", Some(&ask.issued()));
    assert!(answer.is_active());
    let members = Value::Object(answer.members().clone());
    let mut expected = with(&ask.payload(), &json!({"active": true, "token_type": "Bearer"}));
    expected
        .as_object_mut()
        .unwrap()
        .retain(|name, _| !name.starts_with("exq") && name != "status");
    assert_eq!(members, expected);
    assert_eq!(members["roles"], json!(["reader", "editor"]));
}

#[test]
fn everybody_else_learns_nothing() {
    let world = World::new();
    let token = world.ask(&ada()).to(&[BANK], &[]).issued();
    assert!(answer(&world, "bank-api", Some(&token)).is_active());
    for caller in ["orders-api", "gateway-eu", "orders-only"] {
        let answer = answer(&world, caller, Some(&token));
        assert!(is_inactive_and_says_nothing_else(&answer), "{caller}");
    }
    assert!(is_inactive_and_says_nothing_else(&answer(&world, "bank-api", None)));
}

#[test]
fn a_token_that_ended_is_inactive() {
    let mut world = World::new();
    let token = world.ask(&ada()).issued();
    world.now = UnixTime::from_seconds(NOW + 299);
    assert!(answer(&world, "orders-api", Some(&token)).is_active());
    world.now = UnixTime::from_seconds(NOW + 300);
    assert!(is_inactive_and_says_nothing_else(&answer(&world, "orders-api", Some(&token))));
}

#[test]
fn a_revoked_token_is_inactive() {
    let world = World::new();
    let token = world.ask(&ada()).issued();
    let revocation = Revocation { status: token.status(), expires: token.expires() };
    let view = RevocationView::from_iter([revocation]);
    let caller = world.client("orders-api");
    let answer = introspect(&world.law, &caller, Some(&token), &view, world.now);
    assert!(is_inactive_and_says_nothing_else(&answer));
}

#[test]
fn tokens_end_with_the_client_and_the_service_that_they_are_for() {
    let token = World::new().ask(&ada()).issued();
    let mut without_client = World::new();
    without_client.law.clients.retain(|id, _| id.as_str() != "gateway-eu");
    let mut without_service = World::new();
    without_service.law.resources.retain(|id, _| id == BANK);
    for world in [without_client, without_service] {
        assert!(is_inactive_and_says_nothing_else(&answer(&world, "orders-api", Some(&token))));
    }
}

#[test]
fn a_signed_answer_is_for_the_caller_and_no_access_token() {
    let world = World::new();
    let answer = answer(&world, "orders-api", Some(&world.ask(&ada()).issued()));
    let as_of = UnixTime::from_seconds(NOW - 2);
    let payload = answer.to_signed_payload(&world.law, "orders-api", (world.now, as_of));
    let payload = serde_json::to_value(payload).unwrap();
    let members = payload.as_object().unwrap();
    let names: Vec<&str> = members.keys().map(String::as_str).collect();
    assert_eq!(names, ["as_of", "aud", "iat", "iss", "token_introspection"]);
    assert_eq!(payload["as_of"], json!(NOW - 2));
    assert_eq!((&payload["iss"], &payload["aud"]), (&json!(ISSUER), &json!("orders-api")));
    assert_eq!(payload["token_introspection"], Value::Object(answer.members().clone()));
}

/// Nothing that a key of the region signed for another purpose is taken for a token.
#[test]
fn only_what_this_region_issued_as_an_access_token_is_one() {
    let claims = World::new().ask(&ada()).payload();
    let read = |owner: &str, header: Value, claims: &Value| {
        let jws = UnverifiedJws::parse(&signed_by(owner, &header, claims)).unwrap();
        RegionalToken::verify(&jws, &jwks(&[ISSUER]), ISSUER).is_some()
    };
    let typ = json!({"typ": "at+jwt"});
    assert!(read(ISSUER, typ.clone(), &claims));
    assert!(!read("another", typ.clone(), &claims));
    for header in [
        json!({}),
        json!({"typ": "JWT"}),
        json!({"typ": "token-introspection+jwt"}),
        json!({"typ": "at+jwt", "kid": null}),
        json!({"typ": "at+jwt", "kid": "other"}),
    ] {
        assert!(!read(ISSUER, header.clone(), &claims), "{header}");
    }
    for change in [
        json!({"iss": "https://us-east.id.example"}),
        json!({"aud": ["a", "b"]}),
        json!({"exp": null}),
        json!({"exp": "1"}),
        json!({"status": null}),
        json!({"client_id": 1}),
        json!({"jti": null}),
        json!({"status": {"status_list": {"idx": 1 << 20, "uri": format!("{ISSUER}/statuslists/0000000000000007")}}}),
    ] {
        assert!(!read(ISSUER, typ.clone(), &with(&claims, &change)), "{change}");
    }
}
