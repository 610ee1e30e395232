//! Home region first: the token of somebody from elsewhere is not unpacked here.

use exequatur_federation::refusal::Hint;
use serde_json::json;

use super::world::{
    FEDERATION, NOW, PARTNER, REGION, US_ISSUER, World, ada, batch, signed_by, with,
};

#[test]
fn a_person_at_home_here_gets_a_token() {
    assert_eq!(World::new().ask(&ada()).refusal(), "");
}

#[test]
fn a_person_from_elsewhere_is_sent_to_the_home_issuer_by_name() {
    let refusal = World::new().ask(&with(&ada(), &json!({"home_region": "us"}))).decide();
    let refusal = refusal.unwrap_err();
    assert_eq!(refusal.id.as_str(), "home_region_elsewhere");
    assert_eq!(refusal.hint, Some(Hint::HomeIssuer(US_ISSUER.to_owned())));
}

#[test]
fn a_home_that_is_missing_unlisted_or_no_text_is_refused() {
    let world = World::new();
    for home in [json!(null), json!("EU"), json!("mars"), json!(1), json!(["eu"]), json!("")] {
        let claims = with(&ada(), &json!({ "home_region": home }));
        assert_eq!(world.ask(&claims).refusal(), "home_region_unknown", "{home}");
    }
}

/// Nothing else that is wrong with the token shows: it was not looked at.
#[test]
fn the_home_is_found_out_before_anything_else_of_the_token_is_read() {
    let world = World::with(
        "[[claim]]\nupstream = \"global\"\nfrom = \"/given_name\"\nclass = \"identity\"\n\
         action = \"keep\"\nrequired = true",
    );
    let other_faults = [
        json!({"cnf": {"jkt": "x"}}),
        json!({"azp": "somebody-else"}),
        json!({"sub": null}),
        json!({"sub": 7}),
        json!({"iat": NOW + 900}),
        json!({"nbf": NOW + 900}),
        json!({"iat": null}),
        json!({"exp": NOW + 99_999_999}),
        json!({"may_act": {"sub": "nobody"}}),
        json!({"act": "no actor"}),
    ];
    for fault in other_faults {
        let claims = with(&with(&ada(), &fault), &json!({"home_region": "us"}));
        assert_eq!(world.ask(&claims).refusal(), "home_region_elsewhere", "{fault}");
        let at_home = with(&ada(), &fault);
        assert!(!["", "home_region_elsewhere"].contains(&world.ask(&at_home).refusal()), "{fault}");
    }
}

/// What is checked first is what tells that a token is one at all, and is meant for us.
#[test]
fn signature_kind_audience_and_expiry_come_before_the_home() {
    let world = World::new();
    let foreign = with(&ada(), &json!({"home_region": "us"}));
    let forged = signed_by(PARTNER, &json!({"typ": "JWT"}), &foreign);
    assert_eq!(world.ask_with(&forged).refusal(), "subject_token_untrusted");
    for (change, id) in [
        (json!({"typ": "ID"}), "subject_token_kind"),
        (json!({"aud": "account"}), "subject_token_audience"),
        (json!({"exp": NOW}), "subject_token_time"),
        (json!({"exp": null}), "subject_token_malformed"),
    ] {
        assert_eq!(world.ask(&with(&foreign, &change)).refusal(), id, "{change}");
    }
}

#[test]
fn services_are_at_home_where_the_federation_says() {
    let here = World::new();
    assert_eq!(here.ask(&batch()).refusal(), "");
    let partner = with(
        &batch(),
        &json!({
            "iss": PARTNER, "sub": "batch", "typ": null, "azp": null,
            "aud": ["https://exequatur.example", "gateway"],
        }),
    );
    let refusal = here.ask(&partner).decide().unwrap_err();
    assert_eq!(refusal.hint, Some(Hint::HomeIssuer(US_ISSUER.to_owned())));
    let federation = FEDERATION.replacen("services = \"here\"", "services = \"refuse\"", 1);
    let refusing = World::of(REGION, &federation);
    assert_eq!(refusing.ask(&batch()).refusal(), "service_not_allowed");
    assert_eq!(refusing.ask(&ada()).refusal(), "");
}

#[test]
fn a_service_is_never_in_a_persons_namespace() {
    let world = World::new();
    let token = world.ask(&batch()).payload();
    assert_eq!(token["sub"], "client:global:batch");
    // A person who chose a name that looks like a service's is still a person.
    let person = world.ask(&with(&ada(), &json!({"sub": "client:global:batch"}))).payload();
    assert_eq!(person["sub"].as_str().unwrap().len(), 43);
    let named = with(&ada(), &json!({"preferred_username": "service-account-batch"}));
    assert_eq!(world.ask(&named).payload()["sub"], world.ask(&ada()).payload()["sub"]);
}

#[test]
fn an_actor_from_elsewhere_is_refused_as_well() {
    let actor = with(&ada(), &json!({"sub": "bob", "home_region": "us"}));
    assert_eq!(World::new().ask(&ada()).actor(&actor).refusal(), "home_region_elsewhere");
}
