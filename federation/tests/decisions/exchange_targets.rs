//! One token, one target (RFC 8693 section 2.1, RFC 8707 section 2).

use super::world::{BANK, ISSUER, ORDERS, US_ISSUER, World, ada};

#[test]
fn a_service_is_asked_for_by_identifier_or_by_logical_name() {
    let world = World::new();
    let forms: [(&[&str], &[&str]); 6] = [
        (&[BANK], &[]),
        (&[], &["bank"]),
        (&[], &[BANK]),
        (&[BANK], &["bank"]),
        (&[BANK, BANK], &[BANK, "bank"]),
        (&[BANK], &[BANK]),
    ];
    for (resource, audience) in forms {
        let payload = world.ask(&ada()).to(resource, audience).payload();
        assert_eq!(payload["aud"], BANK, "{resource:?} {audience:?}");
    }
}

#[test]
fn names_of_two_services_are_refused() {
    let world = World::new();
    let forms: [(&[&str], &[&str]); 4] = [
        (&[ORDERS, BANK], &[]),
        (&[], &["orders", "bank"]),
        (&[ORDERS], &["bank"]),
        (&[BANK], &[BANK, "orders"]),
    ];
    for (resource, audience) in forms {
        let ask = world.ask(&ada()).to(resource, audience);
        assert_eq!(ask.refusal(), "target_ambiguous", "{resource:?} {audience:?}");
    }
}

#[test]
fn what_is_no_service_of_this_region_is_unknown_in_whatever_form() {
    let world = World::new();
    let fragment = format!("{ORDERS}#x");
    let slash = format!("{ORDERS}/");
    let resources = [
        "orders",
        "",
        "/orders",
        "relative",
        &fragment,
        &slash,
        ISSUER,
        "gateway-eu",
        "*",
        "HTTPS://api.eu.example/orders",
        "https://api.eu.example:443/orders",
        "https://api.eu.example/%6Frders",
        "https://api.eu.example/orders?x=1",
    ];
    for name in resources {
        for (resource, audience) in [(vec![name], vec![]), (vec![name, ORDERS], vec!["orders"])] {
            let ask = world.ask(&ada()).to(&resource, &audience);
            assert_eq!(ask.refusal(), "target_unknown", "{resource:?} {audience:?}");
        }
    }
    for name in ["Orders", "", ISSUER, "orders "] {
        assert_eq!(world.ask(&ada()).to(&[], &[name]).refusal(), "target_unknown", "{name}");
    }
}

/// Otherwise a client could find out which services a region has.
#[test]
fn a_service_that_the_client_may_not_have_and_one_that_does_not_exist_are_told_alike() {
    let world = World::new();
    for other in [BANK, "https://api.eu.example/nothing"] {
        for resource in [vec![other], vec![ORDERS, other], vec![other, ORDERS]] {
            let ask = world.ask(&ada()).by_client("orders-only").to(&resource, &[]);
            assert_eq!(ask.refusal(), "target_unknown", "{resource:?}");
        }
    }
}

#[test]
fn without_a_name_the_clients_only_service_is_meant() {
    let world = World::new();
    let ask = world.ask(&ada()).by_client("orders-only").to(&[], &[]);
    assert_eq!(ask.payload()["aud"], ORDERS);
    assert_eq!(world.ask(&ada()).to(&[], &[]).refusal(), "target_missing");
}

#[test]
fn another_region_is_a_target_that_is_not_offered_yet() {
    let world = World::new();
    assert_eq!(world.ask(&ada()).to(&[], &[US_ISSUER]).refusal(), "transfer_not_offered");
    assert_eq!(world.ask(&ada()).to(&[US_ISSUER], &[]).refusal(), "transfer_not_offered");
}

#[test]
fn a_service_that_wants_bound_tokens_gets_none() {
    let world = World::edited("audience      = \"bank\"", "require_sender_constraint = true");
    assert_eq!(world.ask(&ada()).to(&[BANK], &[]).refusal(), "sender_constraint_required");
    assert_eq!(world.ask(&ada()).refusal(), "");
}

#[test]
fn only_an_access_token_may_be_requested() {
    let world = World::new();
    let urn = |name: &str| format!("urn:ietf:params:oauth:token-type:{name}");
    let mut ask = world.ask(&ada());
    ask.request.requested_token_type = Some(urn("access_token"));
    assert_eq!(ask.refusal(), "");
    for name in ["jwt", "id_token", "refresh_token", "saml2", "id-jag", "Access_Token"] {
        ask.request.requested_token_type = Some(urn(name));
        assert_eq!(ask.refusal(), "requested_token_type_unsupported", "{name}");
    }
    ask.request.requested_token_type = Some(String::new());
    assert_eq!(ask.refusal(), "requested_token_type_unsupported");
}

#[test]
fn only_token_exchange_is_offered_and_only_to_clients_that_may() {
    let world = World::new();
    let mut ask = world.ask(&ada());
    for grant in ["", "client_credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer"] {
        ask.request.grant_type = grant.to_owned();
        assert_eq!(ask.refusal(), "grant_type_unsupported", "{grant}");
    }
    assert_eq!(world.ask(&ada()).by_client("orders-api").refusal(), "grant_not_allowed");
}
