//! Who acts for the subject (RFC 8693 sections 4.1 and 4.4).

use exequatur_federation::oauth::TokenType;
use serde_json::{Value, json};

use super::world::{GLOBAL, NOW, PARTNER, World, ada, batch, with};

fn bob() -> Value {
    with(&ada(), &json!({"sub": "bob"}))
}

/// An access token of another provider, whose people may have the same names.
fn partner(sub: &str) -> Value {
    json!({
        "iss": PARTNER, "sub": sub, "aud": ["https://exequatur.example", "gateway"],
        "client_id": "portal", "scope": "orders:read", "iat": NOW, "exp": NOW + 600, "jti": "p1",
    })
}

fn subject_client() -> World {
    World::edited(
        "upstream_ids = [\"gateway\"]\n\n[[client]]\nid           = \"orders-only\"",
        "upstream_ids = [\"gateway\"]\nacts_as = \"subject\"\n\n[[client]]\nid = \"orders-only\"",
    )
}

#[test]
fn a_delegating_client_stands_in_act_and_another_kind_does_not() {
    assert_eq!(World::new().ask(&ada()).payload()["act"], json!({"sub": "client:gateway-eu"}));
    assert!(subject_client().ask(&ada()).payload().get("act").is_none());
}

#[test]
fn the_party_of_an_actor_token_takes_the_clients_place() {
    let world = World::new();
    let person = world.ask(&ada()).actor(&bob()).payload();
    let bob_himself = world.ask(&bob()).payload();
    assert_eq!(person["act"], json!({"sub": bob_himself["sub"]}));
    let service = world.ask(&ada()).actor(&batch()).payload();
    assert_eq!(service["act"], json!({"sub": "client:global:batch"}));
    assert_eq!(service["client_id"], "gateway-eu");
}

#[test]
fn earlier_actors_are_carried_on_under_other_names() {
    let act = json!({"sub": "first-actor", "iss": GLOBAL, "act": {"client_id": "second-actor"}});
    let token = with(&ada(), &json!({ "act": act }));
    let payload = World::new().ask(&token).payload();
    assert_eq!(payload["act"]["sub"], "client:gateway-eu");
    let history = &payload["act"]["act"];
    assert_eq!(history["sub"].as_str().unwrap().len(), 43);
    assert_eq!(history["act"]["sub"].as_str().unwrap().len(), 43);
    assert_eq!(history.as_object().unwrap().len(), 2);
    assert!(!payload.to_string().contains("-actor"));
    let alone = subject_client().ask(&token).payload();
    assert_eq!(alone["act"], *history);
}

/// Members beside the names are the provider's and do not travel.
#[test]
fn nothing_of_an_actor_travels_but_a_pseudonym() {
    let act = json!({"sub": "x", "email": "canary@example.com", "canary": {"canary": "canary"}});
    let payload = World::new().ask(&with(&ada(), &json!({ "act": act }))).payload();
    assert!(!payload.to_string().contains("canary"));
}

#[test]
fn a_chain_of_actors_that_is_too_deep_is_refused_and_not_cut() {
    let world = World::new();
    let nested = |depth: usize| {
        (0..depth).fold(json!(null), |inner, level| {
            with(&json!({"sub": format!("actor-{level}")}), &json!({ "act": inner }))
        })
    };
    let refusal = |depth| world.ask(&with(&ada(), &json!({"act": nested(depth)}))).refusal();
    for depth in 1..=10 {
        let expected = if depth <= 4 { "" } else { "subject_token_claims" };
        assert_eq!(refusal(depth), expected, "{depth}");
    }
    assert_eq!(refusal(20), "subject_token_malformed");
}

#[test]
fn an_actor_without_a_readable_name_is_refused() {
    let world = World::new();
    let unreadable = [
        json!("bob"),
        json!([]),
        json!({}),
        json!({"sub": 1}),
        json!({"sub": ""}),
        json!({"sub": "x".repeat(256)}),
        json!({"sub": "x", "iss": 1}),
        json!({"sub": "x", "act": "y"}),
        json!({"sub": null, "client_id": "x"}),
    ];
    for act in unreadable {
        let token = with(&ada(), &json!({ "act": act }));
        assert_eq!(world.ask(&token).refusal(), "subject_token_claims", "{act}");
    }
}

#[test]
fn may_act_binds_the_client_where_there_is_no_actor_token() {
    let world = World::new();
    let allowed = [
        json!({"sub": "gateway"}),
        json!({"client_id": "gateway"}),
        json!({"azp": "gateway", "iss": GLOBAL}),
    ];
    for may_act in allowed {
        let token = with(&ada(), &json!({ "may_act": may_act }));
        assert_eq!(world.ask(&token).refusal(), "", "{may_act}");
    }
    let refused = [
        json!({}),
        json!({"sub": "somebody-else"}),
        json!({"sub": "gateway", "client_id": "somebody-else"}),
        json!({"sub": "gateway", "iss": PARTNER}),
        json!({"iss": GLOBAL}),
        json!({"sub": "gateway", "purpose": "support"}),
        json!({"sub": ["gateway"]}),
        json!("gateway"),
        json!([{"sub": "gateway"}]),
        // The client's id here is not its name there: it may be somebody else's.
        json!({"sub": "gateway-eu"}),
    ];
    for may_act in refused {
        let token = with(&ada(), &json!({ "may_act": may_act }));
        assert_eq!(world.ask(&token).refusal(), "actor_not_allowed", "{may_act}");
    }
}

#[test]
fn may_act_binds_the_party_of_an_actor_token() {
    let world = World::new();
    let asked = |may_act: &Value, actor: &Value| {
        world.ask(&with(&ada(), &json!({ "may_act": may_act }))).actor(actor).refusal()
    };
    assert_eq!(asked(&json!({"sub": "bob"}), &bob()), "");
    assert_eq!(asked(&json!({"sub": "bob", "iss": GLOBAL}), &bob()), "");
    assert_eq!(asked(&json!({"client_id": "batch"}), &batch()), "");
    for may_act in [
        json!({"sub": "carol"}),
        json!({"sub": "bob", "iss": PARTNER}),
        json!({"iss": GLOBAL}),
        json!({"sub": "bob", "email": "bob@example.com"}),
        // The client's own name does not help another actor.
        json!({"sub": "gateway"}),
    ] {
        assert_eq!(asked(&may_act, &bob()), "actor_not_allowed", "{may_act}");
    }
}

/// Whoever can choose names at another provider could otherwise act for everybody.
#[test]
fn a_party_of_the_same_name_at_another_provider_is_somebody_else() {
    let world = World::new();
    let asked = |may_act: Value| {
        world.ask(&with(&ada(), &json!({ "may_act": may_act }))).actor(&partner("bob")).refusal()
    };
    assert_eq!(asked(json!({"sub": "bob"})), "actor_not_allowed");
    assert_eq!(asked(json!({"sub": "bob", "iss": GLOBAL})), "actor_not_allowed");
    assert_eq!(asked(json!({"sub": "bob", "iss": PARTNER})), "");
}

#[test]
fn an_actor_token_that_was_issued_to_another_party_is_not_the_clients_to_use() {
    let leaked = with(&bob(), &json!({"azp": "another-app"}));
    assert_eq!(World::new().ask(&ada()).actor(&leaked).refusal(), "requester_not_allowed");
}

#[test]
fn an_actor_token_is_verified_and_admitted_like_a_subject_token() {
    let world = World::new();
    for (change, id) in [
        (json!({"exp": NOW}), "actor_token_time"),
        (json!({"exp": null}), "actor_token_malformed"),
        (json!({"iat": null}), "actor_token_malformed"),
        (json!({"aud": "account"}), "actor_token_audience"),
        (json!({"typ": "ID"}), "actor_token_kind"),
        (json!({"cnf": {"jkt": "x"}}), "actor_token_bound"),
        (json!({"sub": null}), "actor_token_claims"),
        (json!({"iss": "https://unknown.example"}), "actor_token_untrusted"),
    ] {
        let actor = with(&bob(), &change);
        assert_eq!(world.ask(&ada()).actor(&actor).refusal(), id, "{change}");
    }
}

#[test]
fn an_actor_token_and_its_type_stand_together() {
    let world = World::new();
    let mut ask = world.ask(&ada()).actor(&bob());
    ask.request.actor_token_type = None;
    assert_eq!(ask.refusal(), "actor_token_type_unsupported");
    for kind in [TokenType::IdToken.urn(), "", "urn:ietf:params:oauth:token-type:saml2"] {
        ask.request.actor_token_type = Some(kind.to_owned());
        assert_eq!(ask.refusal(), "actor_token_type_unsupported", "{kind}");
    }
    ask.request.actor_token_type = Some(TokenType::Jwt.urn().to_owned());
    assert_eq!(ask.refusal(), "");
    ask.actor = None;
    assert_eq!(ask.refusal(), "actor_token_type_unsupported");
}
