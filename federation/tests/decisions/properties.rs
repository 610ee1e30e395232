//! Properties of every decision, whatever the token says and the client asks.

use std::collections::BTreeSet;

use exequatur_federation::{
    audit::AuditRecord,
    exchange::Authorization,
    subject::{PairwiseKey, Subject},
};
use proptest::{prelude::*, sample::subsequence};
use serde_json::{Map, Value, json};

use super::world::{Ask, BANK, NOW, ORDERS, World, ada, batch, with};

/// Stands in every claim that no rule releases.
const CANARY: &str = "kanarienvogel";
const SCOPES: [&str; 5] = ["openid", "orders:read", "orders:write", "orders:delete", "email"];

fn scopes() -> impl Strategy<Value = String> {
    subsequence(SCOPES.to_vec(), 0..=SCOPES.len()).prop_map(|names| names.join(" "))
}

/// A value with canaries at every place where a text can stand.
fn canary() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(CANARY)),
        Just(json!(7)),
        Just(json!(true)),
        Just(json!(null)),
        Just(json!(format!("{CANARY}@example.com"))),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(CANARY.to_owned()),
        Just(format!("https://{CANARY}.example/claim")),
        Just("roles".to_owned()),
        Just("sub".to_owned()),
        Just("act".to_owned()),
        Just("exq".to_owned()),
        "[a-z]{1,8}".prop_map(|text| format!("{text}{CANARY}")),
    ]
}

/// Claims beside those that admission reads: names of providers, of rules' targets, of the
/// protocol, and made-up ones.
fn extra() -> impl Strategy<Value = Map<String, Value>> {
    let names = prop_oneof![
        name(),
        prop::sample::select(vec![
            "email",
            "name",
            "groups",
            "realm_access",
            "sid",
            "session_state",
            "nonce",
            "acr",
            "auth_time",
            "amr",
            "act",
            "may_act",
            "jti",
            "email_domain",
            "address",
            "phone_number",
            "client_id_issued_at",
            "authorization_details",
            "status",
            "exq_home",
            "picture",
        ])
        .prop_map(str::to_owned),
    ];
    let names = names.prop_filter("admission reads it", |name| name != "sub");
    prop::collection::vec((names, canary()), 0..12).prop_map(|all| all.into_iter().collect())
}

/// An `act` of any depth around the limit, with canaries beside and in the names.
fn act() -> impl Strategy<Value = Value> {
    let one = (0..4_u32, canary())
        .prop_map(|(n, other)| json!({"sub": format!("{CANARY}{n}"), CANARY: other}));
    prop::collection::vec(one, 0..6).prop_map(|chain| {
        chain.into_iter().fold(json!(null), |inner, actor| with(&actor, &json!({ "act": inner })))
    })
}

#[derive(Clone, Debug)]
struct Case {
    claims: Value,
    scope: Option<String>,
    resource: &'static str,
    ends_in: u64,
}

fn case() -> impl Strategy<Value = Case> {
    let ask =
        (proptest::option::of(scopes()), prop::sample::select(vec![ORDERS, BANK]), 1..4_000_u64);
    (extra(), act(), scopes(), any::<bool>(), ask).prop_map(|(extra, act, scope, service, ask)| {
        let base = if service { batch() } else { ada() };
        let subject = if service { json!("s") } else { json!(CANARY) };
        let changes = with(
            &Value::Object(extra),
            &json!({
                "scope": scope, "act": act, "sub": subject, "iat": NOW - 100, "exp": NOW + ask.2,
            }),
        );
        let (scope, resource) = (ask.0.filter(|s| !s.is_empty()), ask.1);
        Case { claims: with(&base, &changes), scope, resource, ends_in: ask.2 }
    })
}

impl Case {
    fn ask<'w>(&self, world: &'w World) -> Ask<'w> {
        let mut ask = world.ask(&self.claims).to(&[self.resource], &[]);
        ask.request.scope.clone_from(&self.scope);
        ask
    }
}

fn words(text: &str) -> BTreeSet<&str> {
    text.split(' ').filter(|word| !word.is_empty()).collect()
}

fn narrows(world: &World, case: &Case, authorization: &Authorization) {
    let resource = &world.law.resources[case.resource];
    let token = &authorization.token;
    let granted = words(&token.scope);
    assert!(granted.is_subset(&words(case.claims["scope"].as_str().unwrap_or_default())));
    assert!(granted.iter().all(|name| resource.scopes.iter().any(|known| known == name)));
    if let Some(asked) = &case.scope {
        assert_eq!(granted, words(asked));
    }
    assert!(token.expires.seconds() <= NOW + case.ends_in.min(300) && token.expires > world.now);
    assert_eq!(token.audience, resource.id);
    let targets: Vec<&str> = world.law.rules.iter().map(|rule| rule.to.as_str()).collect();
    for name in token.claims.members().keys() {
        assert!(resource.claims.contains(name) && targets.contains(&name.as_str()), "{name}");
    }
    let mine = "iss sub aud client_id iat exp jti status exq scope act".split(' ');
    let mine: BTreeSet<&str> = mine.chain(resource.claims.iter().map(String::as_str)).collect();
    let payload = token.to_payload();
    assert!(payload.keys().all(|name| mine.contains(name.as_str())), "{:?}", payload.keys());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_decision_only_narrows_and_lets_nothing_through_that_no_rule_names(case in case()) {
        let world = World::new();
        match case.ask(&world).decide() {
            Ok(authorization) => {
                narrows(&world, &case, &authorization);
                let token = Value::Object(authorization.token.to_payload()).to_string();
                prop_assert!(!token.contains(CANARY), "{token}");
                let record = AuditRecord::of_authorization(&world.law, &authorization, "r");
                let record = String::from_utf8(record.to_json().unwrap()).unwrap();
                prop_assert!(!record.contains(CANARY), "{record}");
                let shown = format!("{authorization:?}");
                prop_assert!(!shown.contains(CANARY), "{shown}");
            }
            Err(refusal) => {
                let shown = format!("{refusal:?}");
                prop_assert!(!shown.contains(CANARY), "{shown}");
            }
        }
    }

    #[test]
    fn a_decision_is_the_same_every_time(case in case()) {
        let world = World::new();
        match (case.ask(&world).decide(), case.ask(&World::new()).decide()) {
            (Ok(a), Ok(b)) => prop_assert!(a.signing_input == b.signing_input),
            (a, b) => prop_assert_eq!(a.unwrap_err(), b.unwrap_err()),
        }
    }

    /// Not the parameters of a request either: a refusal is a fixed text.
    #[test]
    fn a_refusal_carries_nothing_of_the_request(text in ".{0,40}", place in 0..6_usize) {
        let world = World::new();
        let marked = format!("{CANARY}{text}");
        let mut ask = world.ask(&ada());
        match place {
            0 => ask.request.grant_type = marked,
            1 => ask.request.subject_token_type = marked,
            2 => ask.request.resource = vec![marked],
            3 => ask.request.audience = vec![marked],
            4 => ask.request.scope = Some(marked),
            _ => ask.request.requested_token_type = Some(marked),
        }
        let refusal = ask.decide().unwrap_err();
        let shown = format!("{refusal:?}");
        prop_assert!(!shown.contains(CANARY));
        prop_assert!(!refusal.id.description().contains(CANARY));
    }

    #[test]
    fn a_pseudonym_is_one_for_each_sector_issuer_and_tenant(
        sector in "[a-z]{0,6}", issuer in "[a-z]{0,6}", tenant in proptest::option::of("[a-z]{1,6}"),
        value in ".{1,20}", other in "[a-z]{1,6}",
    ) {
        let key = PairwiseKey::new(&[3; 32]);
        let tenant = tenant.as_deref();
        let subject = Subject { issuer: &issuer, tenant, value: &value };
        let sub = key.subject(&sector, &subject);
        prop_assert_eq!(&sub, &key.subject(&sector, &subject));
        prop_assert_eq!(sub.len(), 43);
        // No service's name has this form: those hold a colon.
        prop_assert!(sub.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
        let longer = format!("{issuer}{other}");
        let elsewhere = [
            key.subject(&format!("{sector}{other}"), &subject),
            key.subject(&sector, &Subject { issuer: &longer, ..subject }),
            key.subject(&sector, &Subject { tenant: Some(&format!("{}x", tenant.unwrap_or_default())), ..subject }),
            key.subject(&sector, &Subject { value: &format!("{value}{other}"), ..subject }),
            key.claim_of_subject(&sector, &subject, &value),
            key.claim_of_region(&sector, &subject, &value),
        ];
        prop_assert!(!elsewhere.contains(&sub));
    }
}

/// The generator above would be worth nothing if it were always refused.
#[test]
fn the_generated_cases_are_both_accepted_and_refused() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let world = World::new();
    let mut runner = TestRunner::deterministic();
    let outcomes: Vec<bool> = (0..64)
        .map(|_| case().new_tree(&mut runner).unwrap().current())
        .map(|case| case.ask(&world).decide().is_ok())
        .collect();
    assert!(outcomes.iter().filter(|ok| **ok).count() > 8, "{outcomes:?}");
    assert!(outcomes.contains(&false));
}
