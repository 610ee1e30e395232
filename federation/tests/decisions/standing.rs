//! Nothing is issued to whom a revocation concerns: a person, a login session, who acts for them, a
//! client; and nothing is said while it is open whether one does.

use std::sync::Arc;

use exequatur_federation::{
    client::ClientId,
    ledger::{Lix, Mode, Revoke, Target},
    refusal::{Hint, Refusal},
    region::RegionNumber,
    revocation::{Marks, PERSON_CUTOFF_LIFETIME, RevocationView},
    seal::DigestKey,
    subject::Subject,
    time::{Ttl, UnixTime},
};
use serde_json::{Value, json};

use super::{
    sealed::numbered,
    world::{Ask, GLOBAL, NOW, World, ada, batch, seal_keys, with},
};

fn here() -> RegionNumber {
    RegionNumber::new(1).unwrap()
}

fn named(value: &str) -> Subject<'_> {
    Subject { issuer: GLOBAL, tenant: None, value }
}

fn digest_key(world: &World) -> DigestKey {
    seal_keys(&world.law).digest.newest().1.clone()
}

fn person(world: &World, value: &str) -> Target {
    digest_key(world).subject(here(), &named(value)).target()
}

fn session(world: &World, value: &str) -> Target {
    digest_key(world).session(here(), &named(value)).target()
}

/// Revokes at second `at`; what is decided is in force, and else only proposed.
fn revoke(world: &mut World, target: Target, (mode, at): (Mode, u64), decided: bool) {
    let end = match mode {
        Mode::Cutoff => UnixTime::from_seconds(at).plus(PERSON_CUTOFF_LIFETIME),
        Mode::Block | Mode::Lift => UnixTime::from_seconds(at).plus(Ttl::from_seconds(3_600)),
    };
    let revoke = Revoke { owner: here(), target, mode, expires_at: end };
    let mut marks = Marks::default();
    marks.add(&revoke);
    if decided {
        marks.refuse(&revoke, Lix { epoch: 2, index: 70 });
    }
    world.revocations = RevocationView::alone(Arc::new(marks));
}

fn refused(ask: &Ask<'_>) -> Refusal {
    ask.decide().unwrap_err()
}

/// Ada, who logged in at `NOW - 90`, in a session.
fn logged_in() -> Value {
    with(&ada(), &json!({"auth_time": NOW - 90, "sid": "s1"}))
}

const LOG_IN_AGAIN: Option<Hint> =
    Some(Hint::Authentication { acr_values: None, max_age: Some(0) });

#[test]
fn who_logged_in_before_the_cut_off_must_do_so_again() {
    let mut world = numbered();
    let ada = person(&world, "ada");
    // The clock of the provider may be five seconds ahead.
    for (at, again) in [(NOW - 90, true), (NOW - 95, true), (NOW - 96, false)] {
        revoke(&mut world, ada, (Mode::Cutoff, at), true);
        let decided = world.ask(&logged_in()).decide();
        assert_eq!(decided.is_err(), again, "cut off at NOW - {}", NOW - at);
    }
    revoke(&mut world, ada, (Mode::Cutoff, NOW), true);
    let refusal = refused(&world.ask(&logged_in()));
    assert_eq!((refusal.id.as_str(), refusal.hint), ("login_revoked", LOG_IN_AGAIN));
    for other in [json!({"sub": "grace"}), json!({"auth_time": NOW + 6})] {
        assert!(world.ask(&with(&logged_in(), &other)).decide().is_ok(), "{other}");
    }
}

#[test]
fn without_session_and_login_time_the_tokens_age_stands_for_them() {
    let mut world = numbered();
    let target = person(&world, "ada");
    // It was issued at NOW - 100.
    for (at, again) in [(NOW - 160, true), (NOW - 161, false)] {
        revoke(&mut world, target, (Mode::Cutoff, at), true);
        assert_eq!(world.ask(&ada()).decide().is_err(), again);
    }
    // A session tells enough for the provider's own slack.
    revoke(&mut world, target, (Mode::Cutoff, NOW - 106), true);
    assert!(world.ask(&with(&ada(), &json!({"sid": "s1"}))).decide().is_ok());
}

#[test]
fn a_session_that_is_logged_out_stays_so() {
    let mut world = numbered();
    let target = session(&world, "s1");
    revoke(&mut world, target, (Mode::Cutoff, NOW - 500), true);
    assert_eq!(refused(&world.ask(&logged_in())).id.as_str(), "login_revoked");
    assert!(world.ask(&with(&logged_in(), &json!({"sid": "s2"}))).decide().is_ok());
    assert!(world.ask(&ada()).decide().is_ok());
}

#[test]
fn a_blocked_person_gets_nothing_by_any_login_and_through_nobody() {
    let mut world = numbered();
    let target = person(&world, "bob");
    revoke(&mut world, target, (Mode::Block, NOW), true);
    let bob = with(&logged_in(), &json!({"sub": "bob", "auth_time": NOW}));
    assert_eq!(refused(&world.ask(&bob)).id.as_str(), "login_revoked");
    assert!(world.ask(&logged_in()).decide().is_ok());
    let delegated = with(&logged_in(), &json!({"may_act": {"sub": "bob"}}));
    let ask = world.ask(&delegated).actor(&bob);
    assert_eq!(refused(&ask).id.as_str(), "login_revoked");
}

#[test]
fn a_service_is_no_person_of_the_same_name() {
    let mut world = numbered();
    let of_service = digest_key(&world).service(here(), &named("batch")).target();
    revoke(&mut world, of_service, (Mode::Block, NOW), true);
    assert_eq!(refused(&world.ask(&batch())).id.as_str(), "login_revoked");
    let namesake = person(&world, "batch");
    revoke(&mut world, namesake, (Mode::Block, NOW), true);
    assert!(world.ask(&batch()).decide().is_ok());
}

#[test]
fn a_blocked_client_gets_nothing_and_is_told_so() {
    let mut world = numbered();
    let number = |id: &str| Target::Client(ClientId::new(id).number());
    revoke(&mut world, number("gateway-eu"), (Mode::Block, NOW), true);
    assert_eq!(refused(&world.ask(&ada())).id.as_str(), "client_blocked");
    revoke(&mut world, number("orders-only"), (Mode::Block, NOW), true);
    assert!(world.ask(&ada()).decide().is_ok());
}

#[test]
fn while_a_revocation_is_proposed_nothing_is_issued_that_it_may_concern() {
    let mut world = numbered();
    let targets = [
        person(&world, "ada"),
        session(&world, "s1"),
        Target::Client(ClientId::new("gateway-eu").number()),
    ];
    for target in targets {
        revoke(&mut world, target, (Mode::Cutoff, NOW - 500), false);
        let refusal = refused(&world.ask(&logged_in()));
        assert_eq!((refusal.id.as_str(), refusal.id.status()), ("revocation_undecided", 503));
    }
    let other = person(&world, "grace");
    revoke(&mut world, other, (Mode::Cutoff, NOW), false);
    assert!(world.ask(&logged_in()).decide().is_ok());
}
