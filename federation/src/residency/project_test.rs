//! Projections: single rules, and properties over arbitrary rules and claims.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::residency::{
    Bounds, ClaimClass, Coarsening, Condition, Join, Selector, Separator, ValueKind,
    is_linking_claim,
};

/// 2026-06-20T00:00:00Z.
const NOW: UnixTime = UnixTime::from_seconds(1_781_913_600);

fn rule(from: &str, action: Action, to: &str) -> ClaimRule {
    ClaimRule {
        line: 1,
        upstream: None,
        from: vec![Pointer::new(from).unwrap()],
        class: ClaimClass::Technical,
        when: None,
        selector: Selector::Whole,
        bounds: Bounds { kind: None, bytes_max: 64, items_max: 4 },
        action,
        to: to.to_owned(),
        required: false,
    }
}

fn map(pairs: &[(&str, &str)]) -> Action {
    Action::Map(pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect())
}

fn run(rules: &[ClaimRule], claims: Value) -> Result<Projection, ProjectionFault> {
    run_at(rules, claims, NOW)
}

fn run_at(
    rules: &[ClaimRule],
    claims: Value,
    now: UnixTime,
) -> Result<Projection, ProjectionFault> {
    let Value::Object(members) = claims else { panic!("claims are an object") };
    let key = PairwiseKey::new(&[7; 32]);
    let subject = Subject { issuer: "https://login.example", tenant: None, value: "ada" };
    let input = ProjectionInput { upstream: "global", subject, pairwise: &key, now };
    project(rules, &GlobalClaims::new(members), &input)
}

fn told(rules: &[ClaimRule], claims: Value) -> Vec<Step> {
    let Value::Object(members) = claims else { panic!("claims are an object") };
    let key = PairwiseKey::new(&[7; 32]);
    let subject = Subject { issuer: "https://login.example", tenant: None, value: "ada" };
    let input = ProjectionInput { upstream: "global", subject, pairwise: &key, now: NOW };
    explain(rules, &GlobalClaims::new(members), &input).steps
}

fn out(rules: &[ClaimRule], claims: Value) -> Value {
    Value::Object(run(rules, claims).unwrap().claims.into_token_members())
}

#[test]
fn an_explanation_goes_on_where_a_projection_stops() {
    let mut missing = rule("/department", Action::Keep, "department");
    missing.required = true;
    let rules = [missing, rule("/locale", Action::Keep, "locale")];
    let key = PairwiseKey::new(&[7; 32]);
    let subject = Subject { issuer: "https://login.example", tenant: None, value: "ada" };
    let input = ProjectionInput { upstream: "global", subject, pairwise: &key, now: NOW };
    let Value::Object(members) = json!({"locale": "de"}) else { unreachable!() };
    let claims = GlobalClaims::new(members);
    let fault = ProjectionFault::Required { rule: 0 };
    assert_eq!(project(&rules, &claims, &input).unwrap_err(), fault);
    let explained = explain(&rules, &claims, &input);
    assert_eq!(explained.fault, Some(fault));
    let causes: Vec<_> = explained.steps.iter().map(|s| s.cause).collect();
    assert_eq!(causes, [Some(Cause::Absent), None]);
}

#[test]
fn nothing_leaves_that_no_rule_names() {
    let rules = [rule("/locale", Action::Keep, "locale")];
    let claims = json!({"locale": "de", "email": "a@b.example", "sub": "ada"});
    assert_eq!(out(&rules, claims), json!({"locale": "de"}));
    assert_eq!(out(&[], json!({"email": "a@b.example"})), json!({}));
}

#[test]
fn map_drops_values_that_it_does_not_list_and_joins_equal_results() {
    let roles =
        map(&[("reader", "reader"), ("EU-EDIT", "editor"), ("EU-ALL", "editor"), ("7", "seven")]);
    let rules = [rule("/realm_access/roles", roles, "roles")];
    let claims = |value| json!({"realm_access": {"roles": value}});
    let roles = |value| out(&rules, claims(value));
    assert_eq!(roles(json!(["EU-EDIT", "EU-ALL", "x"])), json!({"roles": ["editor"]}));
    assert_eq!(roles(json!("reader")), json!({"roles": "reader"}));
    assert_eq!(roles(json!(7)), json!({"roles": "seven"}));
    assert_eq!(roles(json!(["x"])), json!({}));
    assert_eq!(roles(json!([])), json!({}));
    assert_eq!(roles(json!(null)), json!({}));
}

#[test]
fn an_object_or_a_nested_array_never_passes_whole() {
    let rules = [rule("/a", Action::Keep, "a")];
    assert_eq!(out(&rules, json!({"a": {"sid": "s"}})), json!({}));
    assert_eq!(out(&rules, json!({"a": [["s"], {"sid": 1}, null, "x"]})), json!({"a": ["x"]}));
}

#[test]
fn values_beyond_the_bounds_are_dropped() {
    let mut bounded = rule("/a", Action::Keep, "a");
    bounded.bounds.kind = Some(ValueKind::Text);
    let rules = [bounded];
    assert_eq!(out(&rules, json!({"a": "x".repeat(64)})), json!({"a": "x".repeat(64)}));
    assert_eq!(out(&rules, json!({"a": "x".repeat(65)})), json!({}));
    assert_eq!(out(&rules, json!({"a": ["1", "2", "3", "4", "5"]})), json!({}));
    assert_eq!(out(&rules, json!({"a": 1})), json!({}));
    assert_eq!(out(&rules, json!({"a": true})), json!({}));
}

#[test]
fn selectors_take_a_value_apart_and_refuse_other_types() {
    let with = |selector| ClaimRule { selector, ..rule("/a", Action::Keep, "a") };
    let each = with(Selector::Each(Some(Pointer::new("/name").unwrap())));
    let claims = json!({"a": [{"name": "x", "id": 1}, {"id": 2}, "y"]});
    assert_eq!(out(std::slice::from_ref(&each), claims), json!({"a": ["x"]}));
    assert_eq!(out(&[each], json!({"a": "x"})), json!({}));
    let keys = with(Selector::Keys);
    assert_eq!(
        out(std::slice::from_ref(&keys), json!({"a": {"x": {}, "y": 1}})),
        json!({"a": ["x", "y"]})
    );
    assert_eq!(out(&[keys], json!({"a": ["x"]})), json!({}));
    let space = with(Selector::Split(Separator::Space));
    assert_eq!(out(&[space], json!({"a": " x  y x"})), json!({"a": ["x", "y"]}));
    let comma = with(Selector::Split(Separator::Comma));
    assert_eq!(
        out(std::slice::from_ref(&comma), json!({"a": "x, y z,,"})),
        json!({"a": ["x", "y z"]})
    );
    assert_eq!(out(&[comma], json!({"a": ["x,y"]})), json!({}));
}

#[test]
fn the_first_place_that_holds_a_value_counts() {
    let mut first_of = rule("/mail", Action::Rename, "m");
    first_of.from.push(Pointer::new("/email").unwrap());
    let rules = [first_of];
    assert_eq!(out(&rules, json!({"mail": "1", "email": "2"})), json!({"m": "1"}));
    assert_eq!(out(&rules, json!({"mail": null, "email": "2"})), json!({"m": "2"}));
    let steps = told(&rules, json!({"email": "2"}));
    assert_eq!(steps[0].claim, "/email");
}

#[test]
fn a_condition_that_does_not_hold_switches_the_rule_off_even_a_required_one() {
    let at = Pointer::new("/kind").unwrap();
    let conditional = ClaimRule {
        when: Some(Condition { at, equals: json!("staff") }),
        required: true,
        ..rule("/badge", Action::Keep, "badge")
    };
    let rules = [conditional];
    assert_eq!(out(&rules, json!({"kind": "staff", "badge": "7"})), json!({"badge": "7"}));
    assert_eq!(out(&rules, json!({"kind": "guest", "badge": "7"})), json!({}));
    let fault = run(&rules, json!({"kind": "staff"})).unwrap_err();
    assert_eq!(fault, ProjectionFault::Required { rule: 0 });
}

#[test]
fn a_constant_stands_alone_or_in_place_of_a_value() {
    let constant = || Action::Constant(json!("gold"));
    let lone = ClaimRule { from: Vec::new(), ..rule("/x", constant(), "tier") };
    assert_eq!(out(&[lone], json!({})), json!({"tier": "gold"}));
    let in_place = [rule("/x", constant(), "tier")];
    assert_eq!(out(&in_place, json!({"x": "secret"})), json!({"tier": "gold"}));
    assert_eq!(out(&in_place, json!({})), json!({}));
}

#[test]
fn pseudonyms_hide_the_value_and_join_only_as_far_as_declared() {
    let per_subject = [rule("/n", Action::Pseudonymise(Join::Subject), "n")];
    let per_region = [rule("/n", Action::Pseudonymise(Join::Region), "n")];
    let claims = json!({"n": "4711"});
    let (a, b) = (out(&per_subject, claims.clone()), out(&per_region, claims));
    assert_ne!(a, b);
    assert!(!a.to_string().contains("4711") && !b.to_string().contains("4711"));
}

#[test]
fn a_claim_that_the_provider_keeps_elsewhere_is_refused_only_if_a_rule_reads_it() {
    let overage = json!({"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {}}});
    let reads = [rule("/roles", Action::Keep, "r"), rule("/groups", Action::Keep, "g")];
    let fault = ProjectionFault::GroupOverage { rule: 1 };
    assert_eq!(run(&reads, overage.clone()).unwrap_err(), fault);
    assert_eq!(run(&reads, json!({"hasgroups": true})).unwrap_err(), fault);
    assert!(run(&reads[..1], overage.clone()).is_ok());
    assert!(run(&[rule("/groups", Action::Drop, "groups")], overage).is_ok());
    assert!(run(&reads, json!({"hasgroups": false})).is_ok());
    let mut first_of = rule("/teams", Action::Rename, "teams");
    first_of.from.push(Pointer::new("/groups").unwrap());
    let first_of = [first_of];
    assert!(run(&first_of, json!({"hasgroups": true, "teams": ["a"]})).is_ok());
    assert!(run(&first_of, json!({"hasgroups": true})).is_err());
}

#[test]
fn rules_of_another_upstream_do_not_apply() {
    let mut other = rule("/locale", Action::Keep, "locale");
    other.upstream = Some("elsewhere".to_owned());
    assert_eq!(out(&[other], json!({"locale": "de"})), json!({}));
}

#[test]
fn steps_say_what_happened_to_every_claim_and_never_a_value() {
    let rules = [
        rule("/realm_access/roles", map(&[("reader", "reader")]), "roles"),
        rule("/locale", Action::Drop, "locale"),
        rule("/zoneinfo", Action::Keep, "zoneinfo"),
    ];
    let claims = json!({
        "sub": "ada-4711", "email": "ada@x.example", "locale": "de",
        "realm_access": {"roles": ["reader"], "verify_caller": true},
    });
    let steps = told(&rules, claims);
    let told: Vec<_> = steps.iter().map(|s| (s.claim.as_str(), s.action, s.cause)).collect();
    assert_eq!(
        told,
        [
            ("/realm_access/roles", "map", None),
            ("/locale", "drop", Some(Cause::ByRule)),
            ("/zoneinfo", "keep", Some(Cause::Absent)),
            ("/email", "none", Some(Cause::NoRule)),
            ("/realm_access/verify_caller", "none", Some(Cause::NoRule)),
            ("/sub", "none", Some(Cause::Protocol)),
        ]
    );
    let text = format!("{steps:?}");
    assert!(!text.contains("ada") && !text.contains("reader"));
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z0-9@. -]{0,12}".prop_map(Value::from),
        "(19|20)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(name(), inner, 0..4)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "email",
        "email_verified",
        "birthdate",
        "roles",
        "address",
        "country",
        "locale",
        "sid",
        "jti",
        "oid",
        "x",
        "kind",
    ])
    .prop_map(str::to_owned)
}

fn claims() -> impl Strategy<Value = Vec<(String, Value)>> {
    prop::collection::vec((name(), value()), 0..10)
}

/// Linking claims carry a value that stands nowhere else, so that it can be looked for.
fn marked(members: Map<String, Value>) -> Map<String, Value> {
    let mark = |(name, value): (String, Value)| {
        if is_linking_claim(&name) {
            return (name, json!("Linking-Value"));
        }
        let inner = value.as_object().cloned().map(marked);
        (name, inner.map_or(value, Value::Object))
    };
    members.into_iter().map(mark).collect()
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        Just(Action::Keep),
        Just(Action::Rename),
        Just(Action::Drop),
        Just(Action::Constant(json!("gold"))),
        Just(map(&[("a", "b")])),
        Just(Action::Pseudonymise(Join::Region)),
        Just(Action::Pseudonymise(Join::Subject)),
        Just(Action::Coarsen(Coarsening::Year)),
        Just(Action::Coarsen(Coarsening::AgeOver { years: 18 })),
        Just(Action::Coarsen(Coarsening::Country { countries: Vec::new() })),
        Just(Action::Coarsen(Coarsening::EmailDomain { domains: Vec::new() })),
        Just(Action::Coarsen(Coarsening::PostalPrefix { prefixes: vec!["1".to_owned()] })),
    ]
}

fn selector() -> impl Strategy<Value = Selector> {
    prop_oneof![
        Just(Selector::Whole),
        Just(Selector::Each(None)),
        Just(Selector::Keys),
        Just(Selector::Split(Separator::Space)),
    ]
}

/// Rules as `config` lets them through: targets differ, linking claims are not carried.
fn rules() -> impl Strategy<Value = Vec<ClaimRule>> {
    prop::collection::vec((name(), action(), selector()), 0..8).prop_map(|all| {
        let allowed =
            all.into_iter().filter(|(n, a, _)| !(a.carries_value() && is_linking_claim(n)));
        let numbered = allowed.enumerate();
        numbered
            .map(|(i, (name, action, selector))| ClaimRule {
                selector,
                ..rule(&format!("/{name}"), action, &format!("out{i}"))
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn releases_only_declared_targets(rules in rules(), claims in claims()) {
        let projection = run(&rules, Value::Object(claims.into_iter().collect())).unwrap();
        for name in projection.claims.members().keys() {
            prop_assert!(rules.iter().any(|r| &r.to == name && r.action != Action::Drop));
        }
    }

    #[test]
    fn releases_nothing_without_rules(claims in claims()) {
        let projection = run(&[], Value::Object(claims.into_iter().collect())).unwrap();
        prop_assert!(projection.claims.members().is_empty());
    }

    #[test]
    fn no_linking_value_leaves_unchanged(rules in rules(), claims in claims()) {
        let projection = run(&rules, Value::Object(marked(claims.into_iter().collect()))).unwrap();
        let text = Value::Object(projection.claims.into_token_members()).to_string();
        prop_assert!(!text.contains("Linking-Value"), "{}", text);
    }

    #[test]
    fn every_released_value_is_bounded_and_flat(rules in rules(), claims in claims()) {
        let projection = run(&rules, Value::Object(claims.into_iter().collect())).unwrap();
        let flat = |v: &Value| !v.is_object() && !v.is_array() && !v.is_null();
        for value in projection.claims.members().values() {
            let items = value.as_array();
            prop_assert!(items.map_or(flat(value), |i| i.len() <= 4 && i.iter().all(flat)));
        }
    }

    #[test]
    fn the_same_claims_in_any_order_give_the_same_answer(rules in rules(), claims in claims()) {
        let forward: Map<String, Value> = claims.into_iter().collect();
        let mut members: Vec<_> = forward.clone().into_iter().collect();
        members.reverse();
        let backward: Map<String, Value> = members.into_iter().collect();
        let a = run(&rules, Value::Object(forward.clone())).unwrap();
        let b = run(&rules, Value::Object(backward.clone())).unwrap();
        prop_assert!(a.claims == b.claims);
        let (a, b) = (told(&rules, Value::Object(forward)), told(&rules, Value::Object(backward)));
        prop_assert_eq!(a, b);
    }

    #[test]
    fn age_over_never_changes_within_a_month(
        birthdate in "(19|20)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])",
        years in 1_u16..100, year in 1990_i16..2090, month in 1_i8..=12, day in 1_i8..=28,
    ) {
        let rules = [rule("/birthdate", Action::Coarsen(Coarsening::AgeOver { years }), "over")];
        let at = |day| {
            let date = jiff::civil::date(year, month, day).at(12, 0, 0, 0);
            let seconds = date.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_second();
            let now = UnixTime::from_seconds(seconds.try_into().unwrap());
            run_at(&rules, json!({"birthdate": birthdate.clone()}), now).unwrap().claims
        };
        prop_assert!(at(1) == at(day));
    }
}
