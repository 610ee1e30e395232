//! Scope and lifetime narrow: neither goes beyond the request, the subject token or the target.

use exequatur_federation::time::UnixTime;
use serde_json::json;

use super::world::{BANK, NOW, World, ada, with};

fn granted(world: &World, token: &str, asked: Option<&str>) -> Result<String, &'static str> {
    let mut ask = world.ask(&with(&ada(), &json!({ "scope": token })));
    ask.request.scope = asked.map(str::to_owned);
    ask.decide().map(|a| a.token.scope).map_err(|refusal| refusal.id.as_str())
}

#[test]
fn what_token_and_service_share_is_granted_and_a_request_narrows_it() {
    let world = World::new();
    let both = "openid orders:write orders:read email";
    assert_eq!(granted(&world, both, None).unwrap(), "orders:read orders:write");
    assert_eq!(granted(&world, both, Some("orders:write")).unwrap(), "orders:write");
    assert_eq!(granted(&world, both, Some("orders:write orders:write")).unwrap(), "orders:write");
    assert_eq!(granted(&world, "orders:read", None).unwrap(), "orders:read");
}

#[test]
fn a_scope_beyond_token_or_service_is_refused_and_not_left_out() {
    let world = World::new();
    for asked in ["orders:delete", "openid", "orders:read openid", "unknown", "ORDERS:READ"] {
        let result = granted(&world, "openid orders:read", Some(asked));
        assert_eq!(result, Err("scope_not_allowed"), "{asked}");
    }
    assert_eq!(granted(&world, "openid", None), Err("scope_not_allowed"));
}

#[test]
fn a_scope_that_breaks_the_grammar_is_refused_as_a_scope() {
    let world = World::new();
    let many = vec!["orders:read"; 65].join(" ");
    for asked in ["", " ", "orders:read ", " orders:read", "a  b", "a\tb", "a\"", "ä", &many] {
        assert_eq!(granted(&world, "orders:read", Some(asked)), Err("scope_malformed"), "{asked}");
    }
}

#[test]
fn a_service_without_scopes_gives_none() {
    let world = World::new();
    let ask = world.ask(&ada()).to(&[BANK], &[]);
    assert_eq!(ask.decide().unwrap().token.scope, "");
    assert!(ask.payload().get("scope").is_none());
    assert_eq!(
        world.ask(&ada()).to(&[BANK], &[]).scope("orders:read").refusal(),
        "scope_not_allowed"
    );
}

#[test]
fn scopes_of_the_token_are_mapped_or_left_to_policy_where_the_file_says_so() {
    let preset = "preset = \"keycloak\"";
    let mapped = World::edited(
        preset,
        "preset = \"keycloak\"\nscopes = { \"api.read\" = [\"orders:read\"], \"orders:write\" = [] }",
    );
    assert_eq!(granted(&mapped, "api.read", None).unwrap(), "orders:read");
    assert_eq!(
        granted(&mapped, "api.read orders:write", Some("orders:write")),
        Err("scope_not_allowed")
    );
    let policy = World::edited(preset, "preset = \"keycloak\"\nscopes = \"policy\"");
    assert_eq!(granted(&policy, "none", Some("orders:delete")).unwrap(), "orders:delete");
}

#[test]
fn a_token_ends_with_its_lifetime_or_with_the_first_of_the_tokens_behind_it() {
    let world = World::new();
    let ends = |subject: u64, actor: Option<u64>| {
        let until = |seconds| with(&ada(), &json!({"exp": NOW + seconds}));
        let ask = world.ask(&until(subject));
        let ask = match actor {
            Some(seconds) => ask.actor(&until(seconds)),
            None => ask,
        };
        ask.decide().unwrap().token.expires.since(UnixTime::from_seconds(NOW))
    };
    assert_eq!(ends(3_500, None), 300);
    assert_eq!(ends(20, None), 20);
    assert_eq!(ends(1, None), 1);
    assert_eq!(ends(3_500, Some(30)), 30);
    assert_eq!(ends(10, Some(30)), 10);
}

#[test]
fn a_service_asks_for_a_recent_and_strong_login() {
    let world = World::edited(
        "audience      = \"bank\"",
        "acr = \"urn:example:mfa\"\nauth_age_max = \"10m\"",
    );
    let result = |acr: &str, auth_time: serde_json::Value| {
        let claims = with(&ada(), &json!({"acr": acr, "auth_time": auth_time}));
        world.ask(&claims).to(&[BANK], &[]).refusal()
    };
    assert_eq!(result("urn:example:mfa", json!(NOW - 600)), "");
    let insufficient = "authentication_insufficient";
    assert_eq!(result("urn:example:mfa", json!(NOW - 601)), insufficient);
    assert_eq!(result("urn:example:mfa", json!(null)), insufficient);
    assert_eq!(result("urn:example:mfa", json!("1782000000")), insufficient);
    assert_eq!(result("urn:example:mfa", json!(NOW + 6)), insufficient);
    assert_eq!(result("urn:example:pwd", json!(NOW)), insufficient);
    assert_eq!(result("urn:example:unknown", json!(NOW)), insufficient);
}
