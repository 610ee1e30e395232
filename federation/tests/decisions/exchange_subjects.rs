//! Which subject tokens are admitted: kind, times, audience, subject, requester.

use exequatur_federation::oauth::TokenType;
use serde_json::{Value, json};

use super::world::{GLOBAL, NOW, PARTNER, World, ada, encoded, jwks, signed, signed_by, with};

fn refusals(cases: &[(Value, &str)]) {
    let world = World::new();
    for (change, id) in cases {
        assert_eq!(world.ask(&with(&ada(), change)).refusal(), *id, "{change}");
    }
}

/// An ID token of the Keycloak realm; `aud` of an ID token is the client.
fn id_token() -> Value {
    with(&ada(), &json!({"typ": "ID", "aud": "gateway", "scope": null, "nonce": "n"}))
}

fn policy_world() -> World {
    World::edited("preset = \"keycloak\"", "preset = \"keycloak\"\nscopes = \"policy\"")
}

#[test]
fn times_are_whole_seconds_and_exp_is_exact() {
    refusals(&[
        (json!({"exp": NOW + 1}), ""),
        (json!({"exp": NOW}), "subject_token_time"),
        (json!({"exp": NOW - 1}), "subject_token_time"),
        (json!({"exp": 0}), "subject_token_time"),
        (json!({"exp": null}), "subject_token_malformed"),
        (json!({"exp": -1}), "subject_token_malformed"),
        (json!({"exp": (NOW + 60).to_string()}), "subject_token_malformed"),
        (json!({"exp": 1_782_000_500.5}), "subject_token_malformed"),
        (json!({"exp": 1e308}), "subject_token_malformed"),
        (json!({"exp": u64::MAX}), "subject_token_time"),
        (json!({"iat": null}), "subject_token_malformed"),
        (json!({"iat": "1782000000"}), "subject_token_malformed"),
        (json!({"iat": NOW + 5}), ""),
        (json!({"iat": NOW + 6}), "subject_token_time"),
        (json!({"nbf": NOW + 5}), ""),
        (json!({"nbf": NOW + 6}), "subject_token_time"),
        (json!({"nbf": []}), "subject_token_malformed"),
        (json!({"iat": NOW + 5, "exp": NOW + 5}), "subject_token_malformed"),
    ]);
}

#[test]
fn a_token_that_lives_longer_than_its_provider_gives_is_refused() {
    let hours = |h: u64| json!({"iat": NOW, "nbf": NOW, "exp": NOW + h * 3_600});
    refusals(&[
        (hours(24), ""),
        (with(&hours(24), &json!({"iat": NOW - 1})), "subject_token_time"),
    ]);
    // Entra's tokens live up to 28 hours with continuous access evaluation.
    let staff = |h: u64| {
        with(
            &json!({
                "iss": "https://login.staff.example/one/v2.0", "tid": "one",
                "aud": "api://exequatur", "azp": "gateway", "oid": "o-1", "sub": "s",
                "scp": "orders:read",
            }),
            &hours(h),
        )
    };
    let world = World::new();
    assert_eq!(world.ask(&staff(28)).refusal(), "");
    assert_eq!(world.ask(&staff(30)).refusal(), "subject_token_time");
    let strict =
        World::edited("preset = \"keycloak\"", "preset = \"keycloak\"\nlifetime_max = \"1h\"");
    assert_eq!(strict.ask(&ada()).refusal(), "");
    let long = with(&ada(), &json!({"exp": NOW + 3_501}));
    assert_eq!(strict.ask(&long).refusal(), "subject_token_time");
}

#[test]
fn the_audience_names_this_federation_and_holds_texts_only() {
    let ours = "https://exequatur.example";
    refusals(&[
        (json!({ "aud": ours }), ""),
        (json!({"aud": [ours, "another"]}), ""),
        (json!({"aud": null}), "subject_token_audience"),
        (json!({"aud": []}), "subject_token_audience"),
        (json!({"aud": ""}), "subject_token_audience"),
        (json!({"aud": 7}), "subject_token_audience"),
        (json!({"aud": {"https://exequatur.example": 1}}), "subject_token_audience"),
        (json!({"aud": [ours, 7]}), "subject_token_audience"),
        (json!({"aud": [[ours]]}), "subject_token_audience"),
        (json!({"aud": "https://exequatur.example/"}), "subject_token_audience"),
        (json!({"aud": "HTTPS://EXEQUATUR.EXAMPLE"}), "subject_token_audience"),
        (json!({"aud": "https://eu-central.id.example"}), "subject_token_audience"),
    ]);
}

#[test]
fn a_subject_is_a_text_of_up_to_255_bytes() {
    refusals(&[
        (json!({"sub": "x".repeat(255)}), ""),
        (json!({"sub": "x".repeat(256)}), "subject_token_claims"),
        (json!({"sub": ""}), "subject_token_claims"),
        (json!({"sub": null}), "subject_token_claims"),
        (json!({"sub": 42}), "subject_token_claims"),
        (json!({"sub": ["ada"]}), "subject_token_claims"),
        (json!({"sub": {"ada": 1}}), "subject_token_claims"),
    ]);
}

/// One person under two spellings of a name is two subjects: the provider compares bytes, so we do.
#[test]
fn subjects_are_compared_byte_for_byte() {
    let world = World::new();
    let sub =
        |text: &str| world.ask(&with(&ada(), &json!({ "sub": text }))).payload()["sub"].clone();
    let names = ["ada", "Ada", "ada ", "ada\u{0}", "\u{e9}", "e\u{301}", "\u{202e}ada"];
    for (at, name) in names.iter().enumerate() {
        for other in &names[at + 1..] {
            assert_ne!(sub(name), sub(other), "{name:?} {other:?}");
        }
    }
}

#[test]
fn the_client_is_the_tokens_audience_or_authorized_party() {
    let ours = "https://exequatur.example";
    refusals(&[
        (json!({"azp": "gateway", "aud": ours}), ""),
        (json!({"azp": "another", "aud": [ours, "gateway"]}), ""),
        (json!({"azp": null, "aud": [ours, "gateway"]}), ""),
        (json!({"azp": "another", "aud": ours}), "requester_not_allowed"),
        (json!({"azp": null, "aud": ours}), "requester_not_allowed"),
        (json!({"azp": ["gateway"], "aud": ours}), "requester_not_allowed"),
        (json!({"azp": "gateway-eu", "aud": ours}), "requester_not_allowed"),
        (json!({"azp": "Gateway", "aud": ours}), "requester_not_allowed"),
    ]);
    let any = World::edited(
        "upstream_ids = [\"gateway\"]\n\n[[client]]\nid           = \"orders-only\"",
        "upstream_ids = [\"*\"]\n\n[[client]]\nid = \"orders-only\"",
    );
    let foreign = with(&ada(), &json!({"azp": "another", "aud": ours}));
    assert_eq!(any.ask(&foreign).refusal(), "");
}

#[test]
fn an_id_token_for_several_audiences_belongs_to_its_authorized_party() {
    let world = policy_world();
    let refusal = |aud: Value, azp: Value| {
        let claims = with(&id_token(), &json!({"aud": aud, "azp": azp}));
        world.ask(&claims).of_type(TokenType::IdToken.urn()).refusal()
    };
    assert_eq!(refusal(json!("gateway"), json!("gateway")), "");
    // An app on a phone gets tokens for its server: one audience, another party.
    assert_eq!(refusal(json!(["gateway"]), json!("phone")), "");
    assert_eq!(refusal(json!(["gateway", "phone"]), json!("gateway")), "");
    assert_eq!(refusal(json!(["gateway", "phone"]), json!("phone")), "requester_not_allowed");
    assert_eq!(refusal(json!(["gateway", "phone"]), json!(null)), "requester_not_allowed");
}

#[test]
fn a_token_is_what_it_is_declared_to_be() {
    let world = policy_world();
    for (claims, accepted) in [
        (ada(), [TokenType::AccessToken, TokenType::Jwt].as_slice()),
        (id_token(), [TokenType::IdToken].as_slice()),
    ] {
        for kind in [TokenType::AccessToken, TokenType::Jwt, TokenType::IdToken] {
            let expected = if accepted.contains(&kind) { "" } else { "subject_token_kind" };
            assert_eq!(world.ask(&claims).of_type(kind.urn()).refusal(), expected, "{kind:?}");
        }
    }
    for other in ["refresh_token", "saml1", "saml2", "id-jag", "txn_token", ""] {
        let urn = format!("urn:ietf:params:oauth:token-type:{other}");
        let refusal = world.ask(&ada()).of_type(&urn).refusal();
        assert_eq!(refusal, "subject_token_type_unsupported", "{other}");
    }
    assert_eq!(world.ask(&ada()).of_type("").refusal(), "subject_token_type_unsupported");
}

/// With the plain profile a logout token without `typ` differs from an ID token in `events` only.
#[test]
fn logout_tokens_events_and_grants_are_never_subject_tokens() {
    let world = World::edited(
        "algorithms = [\"EdDSA\"]\n\n[[upstream]]\nname       = \"staff\"",
        "algorithms = [\"EdDSA\"]\nscopes = \"policy\"\n\n[[upstream]]\nname = \"staff\"",
    );
    let claims = json!({
        "iss": PARTNER, "sub": "ada", "aud": ["https://exequatur.example", "gateway"],
        "azp": "gateway", "iat": NOW, "exp": NOW + 60, "jti": "l1",
    });
    let asked = |header: Value, claims: &Value, kind: TokenType| {
        world.ask_with(&signed_by(PARTNER, &header, claims)).of_type(kind.urn()).refusal()
    };
    assert_eq!(asked(json!({}), &claims, TokenType::IdToken), "");
    let events = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
    let logout = with(&claims, &json!({ "events": events }));
    assert_eq!(asked(json!({}), &logout, TokenType::IdToken), "subject_token_kind");
    for typ in [
        "logout+jwt",
        "secevent+jwt",
        "oauth-id-jag+jwt",
        "authorization-grant+jwt",
        "dpop+jwt",
        "client-authentication+jwt",
        "token-introspection+jwt",
        "statuslist+jwt",
        "",
    ] {
        for kind in [TokenType::AccessToken, TokenType::Jwt, TokenType::IdToken] {
            let id = asked(json!({ "typ": typ }), &claims, kind);
            assert_eq!(id, "subject_token_kind", "{typ} {kind:?}");
        }
    }
    let access = with(&claims, &json!({"client_id": "gateway"}));
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt"] {
        assert_eq!(asked(json!({ "typ": typ }), &access, TokenType::AccessToken), "", "{typ}");
    }
    assert_eq!(asked(json!({}), &access, TokenType::AccessToken), "subject_token_kind");
}

#[test]
fn only_a_key_of_the_exact_issuer_vouches_for_a_token() {
    let mut world = World::new();
    let typ = json!({"typ": "JWT"});
    let untrusted = "subject_token_untrusted";
    assert_eq!(world.ask_with(&signed_by(PARTNER, &typ, &ada())).refusal(), untrusted);
    for iss in [
        json!("https://login.example.com/realms/global/"),
        json!("unknown"),
        json!(""),
        json!(null),
        json!([GLOBAL]),
        json!("HTTPS://login.example.com/realms/global"),
    ] {
        let token = signed_by(GLOBAL, &typ, &with(&ada(), &json!({ "iss": iss })));
        assert_eq!(world.ask_with(&token).refusal(), untrusted, "{iss}");
    }
    let unknown = signed_by(GLOBAL, &json!({"typ": "JWT", "kid": "another"}), &ada());
    assert_eq!(world.ask_with(&unknown).refusal(), untrusted);
    let no_kid = signed_by(GLOBAL, &json!({"typ": "JWT", "kid": null}), &ada());
    assert_eq!(world.ask_with(&no_kid).refusal(), "");
    let original = signed(&ada());
    let mut parts: Vec<&str> = original.split('.').collect();
    let other = encoded(&with(&ada(), &json!({"sub": "eve"})));
    parts[1] = &other;
    assert_eq!(world.ask_with(&parts.join(".")).refusal(), untrusted);
    assert_eq!(world.ask_with("not.a.token").refusal(), "subject_token_malformed");
    assert_eq!(world.ask_with("").refusal(), "subject_token_malformed");
    // Without a `kid`, two keys leave it open which one is meant.
    world.keys.insert(GLOBAL.to_owned(), jwks(&[GLOBAL, "next"]));
    assert_eq!(world.ask_with(&no_kid).refusal(), untrusted);
    world.keys.remove(GLOBAL);
    assert_eq!(world.ask(&ada()).refusal(), "issuer_keys_unavailable");
}

#[test]
fn a_bound_token_is_refused_until_proofs_are_checked() {
    let bound = "subject_token_bound";
    refusals(&[
        (json!({"cnf": {"jkt": "x"}}), bound),
        (json!({"cnf": {"x5t#S256": "x"}}), bound),
        (json!({"cnf": {}}), bound),
    ]);
}

#[test]
fn what_the_rules_release_must_leave_the_token_small() {
    let world = World::edited(
        "action   = { map = { reader = \"reader\", EU-EDIT = \"editor\" } }",
        "action   = \"rename\"",
    );
    let refusal = |count: usize| {
        let roles: Vec<String> = (0..count).map(|n| format!("{n:032}")).collect();
        world.ask(&with(&ada(), &json!({"realm_access": {"roles": roles}}))).refusal()
    };
    assert_eq!(refusal(20), "");
    assert_eq!(refusal(60), "subject_token_claims");
}
