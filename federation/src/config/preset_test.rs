//! Every preset against tokens of its provider (`testdata/presets`).

use serde_json::{Map, Value};

use super::*;
use crate::config::keys::PRESETS;

/// Every fixture: preset, case, document.
fn fixtures() -> Vec<(&'static str, &'static str, Value)> {
    let all = [
        ("auth0", "access_person", include_str!("../../testdata/presets/auth0/access_person.json")),
        (
            "auth0",
            "access_person_rfc9068",
            include_str!("../../testdata/presets/auth0/access_person_rfc9068.json"),
        ),
        (
            "auth0",
            "access_service",
            include_str!("../../testdata/presets/auth0/access_service.json"),
        ),
        ("auth0", "id_person", include_str!("../../testdata/presets/auth0/id_person.json")),
        (
            "cognito",
            "access_person",
            include_str!("../../testdata/presets/cognito/access_person.json"),
        ),
        (
            "cognito",
            "access_service",
            include_str!("../../testdata/presets/cognito/access_service.json"),
        ),
        ("cognito", "id_person", include_str!("../../testdata/presets/cognito/id_person.json")),
        ("entra", "access_person", include_str!("../../testdata/presets/entra/access_person.json")),
        (
            "entra",
            "access_person_group_overage",
            include_str!("../../testdata/presets/entra/access_person_group_overage.json"),
        ),
        (
            "entra",
            "access_service",
            include_str!("../../testdata/presets/entra/access_service.json"),
        ),
        ("entra", "id_person", include_str!("../../testdata/presets/entra/id_person.json")),
        ("google", "id_person", include_str!("../../testdata/presets/google/id_person.json")),
        ("google", "id_service", include_str!("../../testdata/presets/google/id_service.json")),
        (
            "keycloak",
            "access_person",
            include_str!("../../testdata/presets/keycloak/access_person.json"),
        ),
        (
            "keycloak",
            "access_person_named_like_a_service",
            include_str!("../../testdata/presets/keycloak/access_person_named_like_a_service.json"),
        ),
        (
            "keycloak",
            "access_service",
            include_str!("../../testdata/presets/keycloak/access_service.json"),
        ),
        ("keycloak", "id_person", include_str!("../../testdata/presets/keycloak/id_person.json")),
        ("okta", "access_person", include_str!("../../testdata/presets/okta/access_person.json")),
        ("okta", "access_service", include_str!("../../testdata/presets/okta/access_service.json")),
        ("okta", "id_person", include_str!("../../testdata/presets/okta/id_person.json")),
    ];
    all.into_iter().map(|(p, c, text)| (p, c, serde_json::from_str(text).unwrap())).collect()
}

fn claims(fixture: &Value) -> &Map<String, Value> {
    fixture["claims"].as_object().unwrap()
}

fn typ_is(accepted: &[String], absent: bool, fixture: &Value) -> bool {
    match fixture["header"]["typ"].as_str() {
        Some(typ) => accepted.contains(&typ.to_ascii_lowercase()),
        None => absent,
    }
}

fn is_access(profile: &Profile, fixture: &Value) -> bool {
    typ_is(&profile.access_typ, profile.access_typ_absent, fixture)
        && profile.access_markers.iter().all(|m| m.holds(claims(fixture)))
}

fn is_id(profile: &Profile, fixture: &Value) -> bool {
    typ_is(&profile.id_typ, true, fixture)
        && profile.id_markers.iter().all(|m| m.holds(claims(fixture)))
}

#[test]
fn every_preset_tells_access_tokens_from_id_tokens() {
    for (name, case, fixture) in fixtures() {
        let profile = preset(Some(name)).profile;
        let access = fixture["expected"]["kind"] == "access_token";
        assert_eq!(is_access(&profile, &fixture), access, "{name} {case}");
        assert_eq!(is_id(&profile, &fixture), !access, "{name} {case}");
    }
}

#[test]
fn every_preset_tells_people_from_services() {
    for (name, case, fixture) in fixtures() {
        let profile = preset(Some(name)).profile;
        let service = profile.service.iter().any(|m| m.holds(claims(&fixture)));
        assert_eq!(service, fixture["expected"]["principal"] == "service", "{name} {case}");
    }
}

#[test]
fn every_preset_finds_what_the_token_says() {
    for (name, case, fixture) in fixtures() {
        let profile = preset(Some(name)).profile;
        let is_id = fixture["expected"]["kind"] == "id_token";
        let id_audience = at(&["/aud"]);
        let audience = if is_id { &id_audience } else { &profile.audience };
        let places = [
            ("audience", audience),
            ("client", &profile.client),
            ("subject", &profile.subject),
            ("session", &profile.session),
            ("scope", &profile.scope),
            ("acr", &profile.acr),
        ];
        for (what, pointers) in places {
            let found = pointers.iter().find_map(|p| p.select(claims(&fixture)));
            let expected = &fixture["expected"][what];
            assert_eq!(found.unwrap_or(&Value::Null), expected, "{name} {case} {what}");
        }
    }
}

#[test]
fn every_preset_has_a_fixture_and_a_subject() {
    for name in PRESETS {
        assert!(fixtures().iter().any(|(preset, ..)| *preset == name), "{name}");
        assert!(!preset(Some(name)).profile.subject.is_empty(), "{name}");
        assert!(!preset(Some(name)).algorithms.is_empty(), "{name}");
    }
}

#[test]
fn without_a_preset_a_token_must_be_an_rfc_9068_access_token() {
    let profile = preset(None).profile;
    for (name, case, fixture) in fixtures() {
        let expected = case == "access_person_rfc9068";
        assert_eq!(is_access(&profile, &fixture), expected, "{name} {case}");
    }
}

#[test]
fn no_pointer_of_a_preset_was_lost() {
    let counts = PRESETS.map(|name| {
        let p = preset(Some(name)).profile;
        let pointers = [&p.audience, &p.client, &p.subject, &p.session, &p.scope, &p.acr];
        let markers = [&p.access_markers, &p.id_markers, &p.service];
        let sum = pointers.iter().map(|l| l.len()).sum::<usize>();
        (name, sum, markers.map(|l| l.len()))
    });
    let expected = [
        ("auth0", 7, [1, 3, 3]),
        ("cognito", 7, [1, 1, 1]),
        ("entra", 6, [1, 2, 2]),
        ("google", 5, [1, 1, 2]),
        ("keycloak", 8, [1, 1, 2]),
        ("okta", 7, [1, 2, 1]),
    ];
    assert_eq!(counts, expected);
}

#[test]
fn the_issuer_of_each_fixture_speaks_for_its_preset() {
    for (name, case, fixture) in fixtures() {
        let issuer = fixture["claims"]["iss"].as_str().unwrap();
        assert_eq!(preset_for_issuer(issuer), Some(name), "{name} {case}");
    }
    for issuer in ["https://notokta.com", "https://login.example", "http://x/realms/y", ""] {
        assert_eq!(preset_for_issuer(issuer), None, "{issuer}");
    }
}
