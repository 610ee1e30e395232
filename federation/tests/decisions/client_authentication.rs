//! How clients prove who they are (RFC 6749 section 2.3, RFC 7523 with RFC 7523bis).

use exequatur_federation::{
    authenticate::{AuthenticatedClient, Credentials, SECRET_CHARS, authenticate},
    client::SecretHash,
    config::secret_hash_text,
    oauth::CLIENT_ASSERTION_JWT_BEARER,
    refusal::RefusalId,
    time::UnixTime,
};
use serde_json::{Value, json};

use super::world::{ISSUER, NOW, SECRET, World, signed_by, with};

const FAILED: &str = "client_authentication_failed";

/// Two clients with keys, of which the second still sends the token endpoint as audience.
fn world() -> World {
    let client = |id: &str, rest: &str| {
        format!(
            "[[client]]\nid = \"{id}\"\nauth = {{ private_key_jwt = \"{id}\"{rest} }}\n\
             grants = [\"token-exchange\"]\nresources = [\"https://api.eu.example/bank\"]\n"
        )
    };
    let secret = |id: &str, rest: &str| {
        let next = secret_hash_text(&SecretHash::of([2; 16], &next_secret()));
        format!(
            "[[client]]\nid = \"{id}\"\ngrants = []\n\
             auth = {{ secret_sha256 = [\"SECRET_HASH\", \"{next}\"]{rest} }}\n"
        )
    };
    let endpoint = ", assertion_audience = \"issuer-or-token-endpoint\"";
    World::with(&format!(
        "{}{}{}{}",
        client("signing", ""),
        client("legacy", endpoint),
        secret("rotating", ""),
        secret("posting", ", post = true"),
    ))
}

fn next_secret() -> String {
    SECRET.chars().rev().collect()
}

fn claims(client: &str) -> Value {
    json!({
        "iss": client, "sub": client, "aud": ISSUER, "iat": NOW, "exp": NOW + 60, "jti": "a1",
    })
}

fn assertion(owner: &str, header: &Value, claims: &Value) -> Credentials {
    Credentials::Assertion {
        kind: CLIENT_ASSERTION_JWT_BEARER.to_owned(),
        assertion: signed_by(owner, header, claims).into(),
        client_id: None,
    }
}

fn secret(client: &str, secret: &str, in_body: bool) -> Credentials {
    Credentials::Secret { client_id: client.to_owned(), secret: secret.to_owned().into(), in_body }
}

fn id(result: Result<AuthenticatedClient<'_>, RefusalId>) -> &'static str {
    result.map_or_else(RefusalId::as_str, |_| "")
}

fn tried(world: &World, change: &Value) -> &'static str {
    let credentials = assertion("signing", &json!({}), &with(&claims("signing"), change));
    id(authenticate(&world.law, &credentials, world.now))
}

#[test]
fn no_credentials_and_several_are_told_apart() {
    let world = world();
    for (credentials, expected) in [
        (Credentials::Absent, "client_authentication_missing"),
        (Credentials::Several, "client_authentication_repeated"),
    ] {
        assert_eq!(id(authenticate(&world.law, &credentials, world.now)), expected);
    }
}

#[test]
fn an_assertion_names_the_issuer_as_its_sole_audience() {
    let world = world();
    let audience = "client_assertion_audience";
    let endpoint = format!("{ISSUER}/token");
    for (aud, expected) in [
        (json!(ISSUER), ""),
        (json!([ISSUER]), ""),
        (json!([ISSUER, "another"]), audience),
        (json!([ISSUER, ISSUER]), audience),
        (json!([[ISSUER]]), audience),
        (json!([]), audience),
        (json!(null), audience),
        (json!(7), audience),
        (json!(endpoint), audience),
        (json!(format!("{ISSUER}/")), audience),
        (json!("https://us-east.id.example"), audience),
    ] {
        assert_eq!(tried(&world, &json!({ "aud": aud })), expected, "{aud}");
    }
    for (aud, expected) in [
        (json!(ISSUER), ""),
        (json!(endpoint), ""),
        (json!([endpoint]), ""),
        (json!([ISSUER, endpoint]), audience),
        (json!(format!("{endpoint}/")), audience),
    ] {
        let claims = with(&claims("legacy"), &json!({ "aud": aud }));
        let credentials = assertion("legacy", &json!({}), &claims);
        assert_eq!(id(authenticate(&world.law, &credentials, world.now)), expected, "{aud}");
    }
}

#[test]
fn an_assertion_is_typed_as_one_or_not_at_all() {
    let world = world();
    for (typ, expected) in [
        (json!(null), ""),
        (json!("JWT"), ""),
        (json!("client-authentication+jwt"), ""),
        (json!("Application/Client-Authentication+JWT"), ""),
        (json!("at+jwt"), FAILED),
        (json!("authorization-grant+jwt"), FAILED),
        (json!("dpop+jwt"), FAILED),
        (json!(""), FAILED),
        (json!(7), FAILED),
    ] {
        let credentials = assertion("signing", &json!({ "typ": typ }), &claims("signing"));
        assert_eq!(id(authenticate(&world.law, &credentials, world.now)), expected, "{typ}");
    }
}

#[test]
fn an_assertion_is_short_lived_and_in_time() {
    let world = world();
    let time = "client_assertion_time";
    for (change, expected) in [
        (json!({"iat": null}), ""),
        (json!({"iat": NOW + 30}), ""),
        (json!({"iat": NOW + 31}), time),
        (json!({"nbf": NOW + 31}), time),
        (json!({"exp": NOW}), time),
        (json!({"exp": NOW + 3_600}), ""),
        (json!({"exp": NOW + 3_601}), time),
        (json!({"iat": null, "exp": NOW + 3_601}), time),
        (json!({"iat": NOW - 3_590, "exp": NOW + 10}), ""),
        (json!({"iat": NOW - 3_600, "exp": NOW + 10}), time),
        (json!({"exp": null}), FAILED),
        (json!({"exp": "tomorrow"}), FAILED),
    ] {
        assert_eq!(tried(&world, &change), expected, "{change}");
    }
}

#[test]
fn an_assertion_names_one_client_and_has_an_id() {
    let world = world();
    for change in [
        json!({"iss": "legacy"}),
        json!({"sub": "legacy"}),
        json!({"iss": "legacy", "sub": "legacy"}),
        json!({"iss": "unknown", "sub": "unknown"}),
        json!({"iss": "gateway-eu", "sub": "gateway-eu"}),
        json!({"sub": null}),
        json!({"iss": 7, "sub": 7}),
        json!({"jti": null}),
        json!({"jti": ""}),
        json!({"jti": 7}),
        json!({"jti": "x".repeat(129)}),
    ] {
        assert_eq!(tried(&world, &change), FAILED, "{change}");
    }
    for (name, expected) in [("signing", ""), ("legacy", FAILED), ("", FAILED)] {
        let Credentials::Assertion { kind, assertion, .. } =
            assertion("signing", &json!({}), &claims("signing"))
        else {
            panic!("an assertion")
        };
        let credentials =
            Credentials::Assertion { kind, assertion, client_id: Some(name.to_owned()) };
        assert_eq!(id(authenticate(&world.law, &credentials, world.now)), expected, "{name}");
    }
}

#[test]
fn an_assertion_is_signed_by_the_clients_own_key() {
    let world = world();
    for (owner, header) in [
        ("legacy", json!({})),
        ("signing", json!({"kid": "another"})),
        ("signing", json!({"alg": "ES256"})),
        ("signing", json!({"alg": "none"})),
        ("signing", json!({"crit": ["exp"]})),
    ] {
        let credentials = assertion(owner, &header, &claims("signing"));
        assert_eq!(id(authenticate(&world.law, &credentials, world.now)), FAILED, "{header}");
    }
    let credentials = assertion("signing", &json!({"kid": null}), &claims("signing"));
    assert_eq!(id(authenticate(&world.law, &credentials, world.now)), "");
    let kind = "urn:ietf:params:oauth:client-assertion-type:saml2-bearer".to_owned();
    let assertion = signed_by("signing", &json!({}), &claims("signing")).into();
    let credentials = Credentials::Assertion { kind, assertion, client_id: None };
    assert_eq!(id(authenticate(&world.law, &credentials, world.now)), FAILED);
}

/// What is wrong with an assertion is told only to whoever can sign one.
#[test]
fn a_forger_learns_nothing_about_audience_and_time() {
    let world = world();
    for change in [json!({"aud": "another"}), json!({"exp": NOW})] {
        let claims = with(&claims("signing"), &change);
        let credentials = assertion("legacy", &json!({}), &claims);
        assert_eq!(id(authenticate(&world.law, &credentials, world.now)), FAILED, "{change}");
    }
}

#[test]
fn one_use_of_an_assertion_is_remembered_by_client_and_id_until_it_expires() {
    let world = world();
    let replay = |client: &str, jti: &str| {
        let claims = with(&claims(client), &json!({ "jti": jti }));
        let credentials = assertion(client, &json!({}), &claims);
        authenticate(&world.law, &credentials, world.now).unwrap().replay().unwrap()
    };
    assert_eq!(replay("signing", "a"), replay("signing", "a"));
    assert_ne!(replay("signing", "a").key, replay("signing", "b").key);
    assert_ne!(replay("signing", "a").key, replay("legacy", "a").key);
    assert_eq!(replay("signing", "a").expires, UnixTime::from_seconds(NOW + 60));
    // The same proof in another text is the same use.
    let other = with(&claims("signing"), &json!({"jti": "a", "exp": NOW + 90}));
    let credentials = assertion("signing", &json!({"typ": "JWT"}), &other);
    let other = authenticate(&world.law, &credentials, world.now).unwrap().replay().unwrap();
    assert_eq!(other.key, replay("signing", "a").key);
}

#[test]
fn either_of_two_live_secrets_authenticates() {
    let world = world();
    let next = next_secret();
    let short = SECRET.trim_start_matches('a');
    for (text, expected) in [(SECRET, ""), (&next, ""), (short, FAILED), ("", FAILED)] {
        let credentials = secret("rotating", text, false);
        let result = authenticate(&world.law, &credentials, world.now);
        assert!(result.as_ref().map_or(true, |client| client.replay().is_none()));
        assert_eq!(id(result), expected, "{text}");
    }
    let credentials = secret("gateway-eu", &next, false);
    assert_eq!(id(authenticate(&world.law, &credentials, world.now)), FAILED);
}

/// A hash says nothing about its secret, so the form of what is presented is checked.
#[test]
fn a_weak_secret_never_authenticates_even_where_its_hash_is_registered() {
    let weak = ["hunter2".to_owned(), "x".repeat(SECRET_CHARS + 1), SECRET.replace('a', "!")];
    for text in weak {
        let hash = secret_hash_text(&SecretHash::of([5; 16], &text));
        let world = World::with(&format!(
            "[[client]]\nid = \"weak\"\ngrants = []\nauth = {{ secret_sha256 = [\"{hash}\"] }}"
        ));
        let credentials = secret("weak", &text, false);
        assert_eq!(id(authenticate(&world.law, &credentials, world.now)), FAILED, "{text}");
    }
}

#[test]
fn a_secret_in_the_body_is_accepted_only_where_it_is_switched_on() {
    let world = world();
    for (client, in_body, expected) in [
        ("posting", true, ""),
        ("posting", false, ""),
        ("rotating", true, FAILED),
        ("signing", false, FAILED),
        ("unknown", false, FAILED),
        ("", false, FAILED),
    ] {
        let credentials = secret(client, SECRET, in_body);
        assert_eq!(id(authenticate(&world.law, &credentials, world.now)), expected, "{client}");
    }
}

#[test]
fn credentials_do_not_show_in_debug_output() {
    let shown = format!(
        "{:?} {:?}",
        secret("rotating", SECRET, true),
        assertion("signing", &json!({}), &claims("signing"))
    );
    assert_eq!(shown, "Secret(redacted) Assertion(redacted)");
}
