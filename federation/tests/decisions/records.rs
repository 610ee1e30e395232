//! Audit records: what stands in the part that everybody of the region's operators may read, and
//! what in the part that can be erased.

use exequatur_federation::{audit::AuditRecord, refusal::RefusalId};
use serde_json::{Value, json};

use super::world::{BANK, GLOBAL, World, ada, batch, with};

fn parts(record: &AuditRecord) -> (Value, Value) {
    let public = serde_json::from_slice(&record.to_json().unwrap()).unwrap();
    let personal = record.personal_to_json().unwrap();
    (public, personal.map_or(Value::Null, |bytes| serde_json::from_slice(&bytes).unwrap()))
}

#[test]
fn a_token_is_recorded_with_its_parents_and_the_rules_behind_its_claims() {
    let world = World::new();
    let authorization = world.ask(&ada()).to(&[BANK], &[]).decide().unwrap();
    let record = AuditRecord::of_authorization(&world.law, &authorization, "r-1");
    let (public, personal) = parts(&record);
    assert_eq!(public["event"], "token_authorized");
    assert_eq!(public["request_id"], "r-1");
    assert_eq!((&public["client"], &public["resource"]), (&json!("gateway-eu"), &json!(BANK)));
    assert_eq!(public["claims"], json!(["email_domain", "roles"]));
    assert_eq!(public["rules"], json!([0, 1]));
    assert!(public.get("actor_sha256").is_none() && public.get("tenant").is_none());
    let token = Value::Object(authorization.token.to_payload());
    assert_eq!(public["token_id"], token["jti"]);
    assert_eq!(public["expires"], token["exp"]);
    let expected = json!({"issuer": GLOBAL, "subject": "ada", "regional_subject": token["sub"]});
    assert_eq!(personal, expected);
}

/// A rule may release a claim that this service does not get.
#[test]
fn only_rules_behind_claims_of_the_token_are_named() {
    let world = World::new();
    let authorization = world.ask(&ada()).decide().unwrap();
    let record = AuditRecord::of_authorization(&world.law, &authorization, "r-1");
    let (public, _) = parts(&record);
    assert_eq!((&public["claims"], &public["rules"]), (&json!(["roles"]), &json!([0])));
}

#[test]
fn who_acted_is_recorded_in_the_part_that_names_people() {
    let world = World::new();
    let bob = with(&ada(), &json!({"sub": "bob"}));
    for (actor, issuer, name) in [(bob, GLOBAL, "bob"), (batch(), GLOBAL, "batch")] {
        let authorization = world.ask(&ada()).actor(&actor).decide().unwrap();
        let record = AuditRecord::of_authorization(&world.law, &authorization, "r-1");
        let (public, personal) = parts(&record);
        assert_eq!(personal["actor"], json!({"issuer": issuer, "subject": name}));
        assert_eq!(public["actor_sha256"].as_str().unwrap().len(), 43);
        assert!(!public.to_string().contains(name));
    }
}

#[test]
fn a_refusal_is_recorded_by_its_id_and_names_nobody() {
    let world = World::new();
    let refusal = world.ask(&with(&ada(), &json!({"home_region": "us"}))).decide().unwrap_err();
    let client = world.client("gateway-eu");
    let record =
        AuditRecord::of_refusal(world.now, "r-2", (&client.client().id, "token"), refusal.id);
    let (public, personal) = parts(&record);
    let expected = json!({
        "at": world.now, "request_id": "r-2", "event": "refused", "client": "gateway-eu",
        "endpoint": "token", "error_id": "home_region_elsewhere",
    });
    assert_eq!((public, personal), (expected, Value::Null));
    assert_eq!(RefusalId::find("home_region_elsewhere"), Some(refusal.id));
}
