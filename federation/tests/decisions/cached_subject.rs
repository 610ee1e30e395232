//! A verified token that is kept: presented again it gets the answer that its text would get.

use std::sync::Arc;

use exequatur_federation::{jose::Algorithm, time::UnixTime, verified::VerifiedToken};
use serde_json::json;

use super::world::{GLOBAL, NOW, World, ada, jwks, with};

fn kept(world: &World) -> Arc<VerifiedToken> {
    world.ask(&ada()).decide().unwrap().subject_token
}

/// The answer to the text and to the kept token, which must be one.
fn both(world: &World, token: &Arc<VerifiedToken>) -> &'static str {
    let fresh = world.ask(&ada());
    let known = world.ask(&ada()).known(Arc::clone(token));
    match (fresh.decide(), known.decide()) {
        (Ok(a), Ok(b)) => {
            assert!(a.signing_input == b.signing_input);
            assert_eq!(a.subject_token.digest(), b.subject_token.digest());
        }
        (a, b) => assert_eq!(a.unwrap_err(), b.unwrap_err()),
    }
    known.refusal()
}

#[test]
fn a_kept_token_is_accepted_while_everything_stands() {
    let world = World::new();
    assert_eq!(both(&world, &kept(&world)), "");
}

#[test]
fn a_kept_token_ends_when_it_expires() {
    let mut world = World::new();
    let token = kept(&world);
    for (seconds, id) in [(3_499, ""), (3_500, "subject_token_time")] {
        world.now = UnixTime::from_seconds(NOW + seconds);
        assert_eq!(both(&world, &token), id);
    }
}

#[test]
fn a_kept_token_ends_with_its_key() {
    let mut world = World::new();
    let token = kept(&world);
    world.keys.insert(GLOBAL.to_owned(), jwks(&["next"]));
    assert_eq!(both(&world, &token), "subject_token_untrusted");
    // Another key under the same id is another key.
    let renamed = with(
        &super::world::public_key("next").to_jwk(Algorithm::EdDsa),
        &json!({
            "kid": super::world::public_key(GLOBAL).thumbprint()
        }),
    );
    let set = json!({ "keys": [renamed] }).to_string();
    let set = exequatur_federation::jose::JwkSet::parse(set.as_bytes()).unwrap();
    world.keys.insert(GLOBAL.to_owned(), set);
    assert_eq!(both(&world, &token), "subject_token_untrusted");
    world.keys.insert(GLOBAL.to_owned(), jwks(&["next", GLOBAL]));
    assert_eq!(both(&world, &token), "");
    world.keys.remove(GLOBAL);
    assert_eq!(both(&world, &token), "issuer_keys_unavailable");
}

#[test]
fn a_kept_token_ends_with_its_algorithm_and_its_issuer() {
    let token = kept(&World::new());
    let preset = "preset = \"keycloak\"";
    let rsa = World::edited(preset, "preset = \"keycloak\"\nalgorithms = [\"RS256\"]");
    assert_eq!(both(&rsa, &token), "subject_token_untrusted");
    let mut gone = World::new();
    gone.law.upstreams.remove(GLOBAL);
    assert_eq!(both(&gone, &token), "subject_token_untrusted");
}

#[test]
fn a_kept_token_is_judged_anew_by_the_law_of_now() {
    let token = kept(&World::new());
    let strict =
        World::edited("preset = \"keycloak\"", "preset = \"keycloak\"\nlifetime_max = \"10m\"");
    assert_eq!(both(&strict, &token), "subject_token_time");
    let federation = super::world::FEDERATION.replace("eu = \"eu-central\"", "eu = \"us-east\"");
    let moved = World::of(super::world::REGION, &federation);
    assert_eq!(both(&moved, &token), "home_region_elsewhere");
    let federation = super::world::FEDERATION
        .replace("\"https://exequatur.example\", \"gateway\"", "\"another\"");
    let other = World::of(super::world::REGION, &federation);
    assert_eq!(both(&other, &token), "subject_token_audience");
}

#[test]
fn a_kept_access_token_is_no_id_token() {
    let world = World::new();
    let urn = "urn:ietf:params:oauth:token-type:id_token";
    let ask = world.ask(&ada()).of_type(urn).known(kept(&world));
    assert_eq!(ask.refusal(), "subject_token_kind");
}
