//! Revocation by clients (RFC 7009).

use exequatur_federation::{
    jose::UnverifiedJws,
    revocation::{Revocation, RevokeDecision, revoke},
    time::UnixTime,
    token::RegionalToken,
};
use serde_json::json;

use super::world::{ISSUER, NOW, US_ISSUER, World, ada, signed, signed_by, with};

fn decided(world: &World, caller: &str, token: Option<&RegionalToken>) -> RevokeDecision {
    revoke(&world.law, &world.client(caller), token, None, world.now)
}

fn refused(decision: &RevokeDecision) -> &'static str {
    match decision {
        RevokeDecision::Refused(id) => id.as_str(),
        RevokeDecision::Nothing | RevokeDecision::Revoke { .. } => "",
    }
}

#[test]
fn a_client_revokes_its_own_token() {
    let world = World::new();
    let token = world.ask(&ada()).issued();
    let expected = RevokeDecision::Revoke {
        revocation: Revocation { status: token.status(), expires: token.expires() },
        token_id: token.token_id().to_owned(),
    };
    assert_eq!(decided(&world, "gateway-eu", Some(&token)), expected);
    // A second time too: the first answer may have been lost.
    assert_eq!(decided(&world, "gateway-eu", Some(&token)), expected);
}

#[test]
fn another_clients_token_is_refused_even_to_the_service_that_it_is_for() {
    let mut world = World::new();
    let token = world.ask(&ada()).issued();
    for seconds in [0, 1_000] {
        world.now = UnixTime::from_seconds(NOW + seconds);
        for caller in ["orders-only", "orders-api"] {
            let decision = decided(&world, caller, Some(&token));
            assert_eq!(refused(&decision), "token_of_another_client", "{caller}");
        }
    }
}

#[test]
fn with_an_expired_or_unknown_token_there_is_nothing_to_do() {
    let mut world = World::new();
    let token = world.ask(&ada()).issued();
    assert_eq!(decided(&world, "gateway-eu", None), RevokeDecision::Nothing);
    world.now = token.expires();
    assert_eq!(decided(&world, "gateway-eu", Some(&token)), RevokeDecision::Nothing);
}

/// An answer of 200 would let the client believe that the global token is dead.
#[test]
fn a_global_token_is_told_to_be_revoked_elsewhere() {
    let world = World::new();
    let about = |text: &str| {
        let read = UnverifiedJws::parse(text).unwrap();
        revoke(&world.law, &world.client("gateway-eu"), None, Some(&read), world.now)
    };
    assert_eq!(refused(&about(&signed(&ada()))), "token_type_not_revocable");
    // So is another region's; it alone can tell whose token it is.
    let abroad = with(&ada(), &json!({"iss": US_ISSUER}));
    assert_eq!(refused(&about(&signed(&abroad))), "token_type_not_revocable");
    let unknown = with(&ada(), &json!({"iss": "https://unknown.example"}));
    assert_eq!(about(&signed(&unknown)), RevokeDecision::Nothing);
    // A text that claims to be ours and is not: unknown, like any other.
    let forged =
        signed_by("eve", &json!({"typ": "at+jwt"}), &with(&ada(), &json!({"iss": ISSUER})));
    assert_eq!(about(&forged), RevokeDecision::Nothing);
}
