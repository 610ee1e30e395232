//! A token of every known provider, exchanged from end to end, and presented as what it is not.

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{KeyPair, RSA_PKCS1_SHA256},
};
use exequatur_federation::{
    jose::{Algorithm, JwkSet, PublicKey, base64url},
    oauth::TokenType,
};
use serde_json::{Value, json};

use super::world::{ORDERS, World, encoded, with};

macro_rules! fixtures {
    ($($preset:literal: $($case:literal),+;)+) => {
        [$($((
            $preset,
            $case,
            include_str!(concat!("../../testdata/presets/", $preset, "/", $case, ".json")),
        )),+),+]
    };
}

const FIXTURES: [(&str, &str, &str); 20] = fixtures! {
    "auth0": "access_person", "access_person_rfc9068", "access_service", "id_person";
    "cognito": "access_person", "access_service", "id_person";
    "entra": "access_person", "access_person_group_overage", "access_service", "id_person";
    "google": "id_person", "id_service";
    "keycloak": "access_person", "access_person_named_like_a_service", "access_service", "id_person";
    "okta": "access_person", "access_service", "id_person";
};

/// The first text of a member that is a text or an array of texts.
fn first_text(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.as_array()?.first()?.as_str())
}

/// A region that trusts the fixture's issuer, and whose client is its party or audience.
fn world_of(preset: &str, fixture: &Value, key: &RsaKeyPair) -> World {
    let expected = &fixture["expected"];
    let audience = first_text(&expected["audience"]).unwrap();
    let own = first_text(&expected["client"]).unwrap_or(audience);
    let issuer = fixture["claims"]["iss"].as_str().unwrap();
    let federation = format!(
        "[federation]\nname = \"x\"\n[[region]]\nname = \"eu-central\"\njurisdiction = \"EU\"\n\
         issuer = \"https://eu-central.id.example\"\n[[upstream]]\nname = \"idp\"\n\
         audience = [\"{audience}\"]\nhome_region = {{ fixed = \"eu-central\", services = \"here\" }}"
    );
    let region = format!(
        "[region]\nname = \"eu-central\"\njurisdiction = \"EU\"\n\
         issuer = \"https://eu-central.id.example\"\n[listen]\nplain_http = true\n\
         [keys]\nprovider = \"software\"\nsoftware = {{ file = \"k\", passphrase_file = \"p\" }}\n\
         [store]\nurl = \"sqlite:r.db\"\n[[upstream]]\nname = \"idp\"\npreset = \"{preset}\"\n\
         issuer = \"{issuer}\"\nscopes = \"policy\"\n[[claim]]\nfrom = \"/groups\"\n\
         class = \"entitlement\"\naction = {{ map = {{ Everyone = \"all\" }} }}\nto = \"groups\"\n\
         [[resource]]\nid = \"{ORDERS}\"\nclaims = [\"groups\"]\n[[client]]\nid = \"gateway-eu\"\n\
         auth = {{ secret_sha256 = [\"SECRET_HASH\"] }}\ngrants = [\"token-exchange\"]\n\
         resources = [\"{ORDERS}\"]\nupstream_ids = [\"{own}\"]\nacts_as = \"subject\""
    );
    let mut world = World::of(&region, &federation);
    // RSAPublicKey of RFC 8017 appendix A.1.1: a head of 9 bytes, 2048 bits, then 65537.
    let modulus = &key.public_key().as_ref()[9..265];
    let public = PublicKey::rsa(modulus, &[1, 0, 1]).unwrap();
    let jwk = with(&public.to_jwk(Algorithm::Rs256), &json!({"kid": "k1"}));
    let set = JwkSet::parse(json!({"keys": [jwk]}).to_string().as_bytes()).unwrap();
    world.keys.insert(issuer.to_owned(), set);
    world
}

fn signed(fixture: &Value, key: &RsaKeyPair) -> String {
    let input = format!("{}.{}", encoded(&fixture["header"]), encoded(&fixture["claims"]));
    let mut signature = vec![0; key.public_modulus_len()];
    let random = SystemRandom::new();
    key.sign(&RSA_PKCS1_SHA256, &random, input.as_bytes(), &mut signature).unwrap();
    format!("{input}.{}", base64url(&signature))
}

fn rsa_key() -> RsaKeyPair {
    RsaKeyPair::generate(KeySize::Rsa2048).unwrap()
}

#[test]
fn every_fixture_is_exchanged_as_what_it_is_and_refused_as_what_it_is_not() {
    let key = rsa_key();
    for (preset, case, text) in FIXTURES {
        let fixture: Value = serde_json::from_str(text).unwrap();
        let world = world_of(preset, &fixture, &key);
        let token = signed(&fixture, &key);
        let is_id = fixture["expected"]["kind"] == "id_token";
        for kind in [TokenType::AccessToken, TokenType::Jwt, TokenType::IdToken] {
            let ask = world.ask_with(&token).of_type(kind.urn());
            if (kind == TokenType::IdToken) != is_id {
                assert_eq!(ask.refusal(), "subject_token_kind", "{preset} {case} as {kind:?}");
            } else if case == "access_person_group_overage" {
                assert_eq!(ask.refusal(), "subject_token_claims", "a rule reads the groups");
            } else {
                check_subject(&world, &fixture, &ask.payload(), &format!("{preset} {case}"));
            }
        }
    }
}

fn check_subject(world: &World, fixture: &Value, payload: &Value, name: &str) {
    let expected = &fixture["expected"];
    let sub = payload["sub"].as_str().unwrap();
    if expected["principal"] == "service" {
        assert_eq!(sub, format!("client:idp:{}", expected["client"].as_str().unwrap()), "{name}");
    } else {
        let subject = exequatur_federation::subject::Subject {
            issuer: fixture["claims"]["iss"].as_str().unwrap(),
            tenant: None,
            value: expected["subject"].as_str().unwrap(),
        };
        let pairwise = exequatur_federation::subject::PairwiseKey::new(&[3; 32]);
        assert_eq!(sub, pairwise.subject("default", &subject), "{name}");
    }
    assert_eq!(payload["aud"], ORDERS, "{name}");
    assert!(payload["exp"].as_u64() <= fixture["claims"]["exp"].as_u64(), "{name}");
    assert!(world.law.clients.len() == 1 && payload["client_id"] == "gateway-eu", "{name}");
}

/// What a person can choose must not make a service of them: a service is at home anywhere.
#[test]
fn no_name_that_a_person_can_choose_makes_them_a_service() {
    let key = rsa_key();
    let cases = [
        ("auth0", "access_person", json!({"sub": "samlp|partner|eve@clients"})),
        ("okta", "access_person", json!({"sub": "0oab8om4bars6Y80Z0h7"})),
        ("google", "id_person", json!({"email": "eve@example.iam.gserviceaccount.com"})),
        ("keycloak", "access_person", json!({"preferred_username": "service-account-batch"})),
    ];
    for (preset, case, change) in cases {
        let (_, _, text) = FIXTURES.iter().find(|f| f.0 == preset && f.1 == case).unwrap();
        let mut fixture: Value = serde_json::from_str(text).unwrap();
        let kind = fixture["expected"]["kind"].as_str().unwrap().to_owned();
        fixture["claims"] = with(&fixture["claims"], &change);
        let world = world_of(preset, &fixture, &key);
        let urn = format!("urn:ietf:params:oauth:token-type:{kind}");
        let payload = world.ask_with(&signed(&fixture, &key)).of_type(&urn).payload();
        assert!(!payload["sub"].as_str().unwrap().contains(':'), "{preset} {change}");
    }
}

/// `idtyp` must be switched on; without it a service is told by its `sub`.
#[test]
fn entras_services_are_told_without_the_optional_claim() {
    let key = rsa_key();
    let (_, _, text) = FIXTURES.iter().find(|f| f.0 == "entra" && f.1 == "access_service").unwrap();
    let mut fixture: Value = serde_json::from_str(text).unwrap();
    fixture["claims"] = with(&fixture["claims"], &json!({"idtyp": null}));
    let payload = world_of("entra", &fixture, &key).ask_with(&signed(&fixture, &key)).payload();
    assert_eq!(payload["sub"], "client:idp:11d2e3f4-a5b6-4c7d-9e8f-0a1b2c3d4e5f");
}
