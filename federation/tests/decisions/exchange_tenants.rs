//! Tenants: one provider, several exact issuers, and nothing that joins them.

use exequatur_federation::{introspection::introspect, revocation::RevocationView};
use serde_json::{Value, json};

use super::world::{NOW, World, ada, signed_by, with};

fn staff(tenant: &str) -> Value {
    json!({
        "iss": format!("https://login.staff.example/{tenant}/v2.0"), "tid": tenant,
        "aud": "api://exequatur", "azp": "gateway", "oid": "o-1", "sub": "pairwise-there",
        "scp": "orders:read", "iat": NOW, "exp": NOW + 600, "uti": "u1", "ver": "2.0",
    })
}

fn service(tenant: &str) -> Value {
    with(&staff(tenant), &json!({"scp": "orders:read", "sub": "o-1"}))
}

fn bound(client: &str, resource: &str) -> World {
    let tables = format!(
        "[[resource]]\nid = \"https://api.eu.example/one\"\nscopes = [\"orders:read\"]\n\
         introspect_as = [\"one-api\", \"orders-api\"]\n{resource}\n\
         [[client]]\nid = \"one\"\nauth = {{ secret_sha256 = [\"SECRET_HASH\"] }}\n\
         grants = [\"token-exchange\"]\nresources = [\"https://api.eu.example/one\"]\n\
         upstream_ids = [\"gateway\"]\n{client}\n\
         [[client]]\nid = \"one-api\"\nauth = {{ secret_sha256 = [\"SECRET_HASH\"] }}\n\
         grants = []\ntenant = \"one\""
    );
    World::with(&tables)
}

fn refusal(world: &World, claims: &Value) -> &'static str {
    world.ask(claims).by_client("one").to(&[], &[]).refusal()
}

#[test]
fn one_subject_in_two_tenants_is_two_people() {
    let world = World::new();
    let sub = |claims: &Value| world.ask(claims).payload()["sub"].clone();
    assert_ne!(sub(&staff("one")), sub(&staff("two")));
    assert_eq!(sub(&staff("one")), sub(&staff("one")));
    assert_eq!(sub(&service("one")), "client:staff:one:gateway");
    assert_eq!(sub(&service("two")), "client:staff:two:gateway");
}

#[test]
fn a_tenant_that_is_not_listed_is_no_issuer() {
    assert_eq!(World::new().ask(&staff("three")).refusal(), "subject_token_untrusted");
}

#[test]
fn a_token_whose_claim_names_another_tenant_than_its_issuer_is_refused() {
    let world = World::new();
    for tid in [json!("two"), json!(null), json!(1)] {
        let claims = with(&staff("one"), &json!({ "tid": tid }));
        assert_eq!(world.ask(&claims).refusal(), "subject_token_claims", "{tid}");
    }
}

#[test]
fn the_keys_of_one_tenant_do_not_vouch_for_another() {
    let claims = staff("one");
    let owner = "https://login.staff.example/two/v2.0";
    let token = signed_by(owner, &json!({"typ": "JWT"}), &claims);
    assert_eq!(World::new().ask_with(&token).refusal(), "subject_token_untrusted");
}

#[test]
fn a_client_and_a_service_of_a_tenant_serve_its_people_only() {
    for world in [bound("tenant = \"one\"", ""), bound("", "tenant = \"one\"")] {
        assert_eq!(refusal(&world, &staff("one")), "");
        assert_eq!(refusal(&world, &staff("two")), "target_tenant");
        assert_eq!(refusal(&world, &ada()), "target_tenant");
    }
    let contrary = bound("tenant = \"one\"", "tenant = \"two\"");
    for claims in [staff("one"), staff("two")] {
        assert_eq!(refusal(&contrary, &claims), "target_tenant");
    }
}

#[test]
fn a_caller_of_a_tenant_asks_only_about_tokens_for_its_tenants_services() {
    let view = RevocationView::default();
    for (resource, one_may) in [("tenant = \"one\"", true), ("", false)] {
        let world = bound("", resource);
        let token = world.ask(&staff("one")).by_client("one").to(&[], &[]).issued();
        let active = |caller: &str| {
            let caller = world.client(caller);
            introspect(&world.law, &caller, Some(&token), &view, world.now).is_active()
        };
        assert_eq!(active("one-api"), one_may, "{resource}");
        assert!(active("orders-api"), "a caller of no tenant, named by the service");
    }
}
