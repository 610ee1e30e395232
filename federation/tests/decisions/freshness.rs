//! Decisions under a view of revocations that is not fresh.

use std::time::Duration;

use exequatur_federation::{
    audit::AuditRecord,
    freshness::{AsOf, Freshness, Moment, ViewFacts},
    introspection::judge_view,
    jose::UnverifiedJws,
    refusal::{self, Refusal},
};
use serde_json::{Value, json};

use super::world::{BANK, FEDERATION, ISSUER, NOW, REGION, US_ISSUER, World, ada, signed_by};

/// The region's bounds; the bank is stricter.
const STRICT: &str = r#"
[revocation]
max_staleness = "20s"
stale_ttl     = "30s"
local_max     = "10m"
"#;

fn world() -> World {
    let bank = "claims        = [\"roles\", \"email_domain\"]";
    assert_eq!(REGION.matches(bank).count(), 1);
    let stricter = format!("{bank}\nmax_staleness = \"10s\"\non_stale = \"refuse\"");
    World::of(&format!("{}\n{STRICT}", REGION.replace(bank, &stricter)), FEDERATION)
}

fn aged(seconds: u64) -> ViewFacts {
    let moment = |seconds| Moment {
        boottime: Duration::from_secs(seconds),
        wall: Duration::from_secs(NOW + seconds),
    };
    ViewFacts { now: moment(seconds), as_of: AsOf::Probe(moment(0)) }
}

#[test]
fn a_token_under_a_stale_view_is_short_and_says_so_as_does_its_record() {
    let world = world();
    let fresh = world.ask(&ada()).under(aged(19)).decide().unwrap();
    assert_eq!(fresh.token.expires.since(world.now), 300);
    assert!(!fresh.token.to_payload().contains_key("exq_stale"));
    let stale = world.ask(&ada()).under(aged(20)).decide().unwrap();
    assert_eq!(stale.token.expires.since(world.now), 30);
    assert_eq!(stale.token.to_payload()["exq_stale"], json!(true));
    let mark = |authorization| {
        let record = AuditRecord::of_authorization(&world.law, authorization, "r");
        let record: Value = serde_json::from_slice(&record.to_json().unwrap()).unwrap();
        record.get("stale").cloned()
    };
    assert_eq!((mark(&fresh), mark(&stale)), (None, Some(json!(true))));
}

#[test]
fn nothing_is_issued_when_local_mode_has_ended_or_was_never_allowed() {
    let world = world();
    let refused = refusal::VIEW_STALE.as_str();
    assert!(world.ask(&ada()).under(aged(599)).decide().is_ok());
    assert_eq!(world.ask(&ada()).under(aged(600)).refusal(), refused);
    assert!(world.ask(&ada()).to(&[BANK], &[]).under(aged(9)).decide().is_ok());
    assert_eq!(world.ask(&ada()).to(&[BANK], &[]).under(aged(10)).refusal(), refused);
    let never = ViewFacts { as_of: AsOf::Never, ..aged(0) };
    assert_eq!(world.ask(&ada()).under(never).refusal(), refused);
}

#[test]
fn a_token_that_waited_for_its_signature_leaves_only_if_the_view_still_allows_it() {
    let world = world();
    let fresh = world.ask(&ada()).under(aged(0)).decide().unwrap();
    assert_eq!(fresh.permit_to_leave(&world.law, &aged(19)), Ok(()));
    let refused: Refusal = refusal::VIEW_STALE.into();
    assert_eq!(fresh.permit_to_leave(&world.law, &aged(20)), Err(refused.clone()), "too long");
    let local = world.ask(&ada()).under(aged(20)).decide().unwrap();
    assert_eq!(local.permit_to_leave(&world.law, &aged(599)), Ok(()));
    assert_eq!(local.permit_to_leave(&world.law, &aged(600)), Err(refused.clone()));
    let bank = world.ask(&ada()).to(&[BANK], &[]).under(aged(0)).decide().unwrap();
    assert_eq!(bank.permit_to_leave(&world.law, &aged(10)), Err(refused));
}

#[test]
fn an_answer_about_a_token_goes_by_its_service_and_one_about_another_region_by_the_border() {
    let world = world();
    let orders = world.ask(&ada()).issued();
    let bank = world.ask(&ada()).to(&[BANK], &[]).issued();
    let of = |issuer: &str| {
        let text = signed_by(issuer, &json!({"typ": "at+jwt"}), &json!({"iss": issuer}));
        UnverifiedJws::parse(&text).unwrap()
    };
    let judged = |token, read: Option<&UnverifiedJws>, seconds| {
        judge_view(&world.law, token, read, &aged(seconds))
    };
    let is_local = |freshness| matches!(freshness, Freshness::Local { .. });
    assert_eq!(judged(Some(&orders), None, 19), Freshness::Fresh);
    assert!(is_local(judged(Some(&orders), None, 20)));
    assert_eq!(judged(Some(&bank), None, 10), Freshness::Stale);
    assert_eq!(judged(None, Some(&of(US_ISSUER)), 19), Freshness::Fresh);
    assert_eq!(judged(None, Some(&of(US_ISSUER)), 20), Freshness::Stale);
    for unknown in [None, Some(&of(ISSUER)), Some(&of("https://nobody.example"))] {
        assert!(is_local(judged(None, unknown, 20)));
    }
}
