//! `try`: what the law would do to a real token.

use serde_json::{Value, json};

use crate::exequatur_reading;
use crate::region::{REGION, Region, SECOND_CLIENT};
use crate::tokens::{NOW, Signer, global, global_with};

fn rehearsed(region: &Region, claims: &Value, more: &[&str]) -> crate::Answer {
    let token = region.file("token.txt", &Signer::new().sign("JWT", claims));
    let arguments = ["try", &token, "--at", NOW];
    region.run(&arguments.into_iter().chain(more.iter().copied()).collect::<Vec<_>>())
}

#[test]
fn every_claim_is_told_what_happens_to_it() {
    let region = Region::new();
    let text = rehearsed(&region, &global(), &[]).done();
    let (told, token) = text.split_once("\n\nthe token, ").unwrap();
    assert_eq!(
        told,
        "signature  NOT CHECKED: nothing proves who issued this token (give --jwks)\n\
         client     orders-gateway, as if it had authenticated\n\
         now        1782000100\n\
         token      of a person, from `global`\n\
         \n\
         what the rules do\n  \
           line 23   /email                   coarsen to email-domain  email_domain = \"example.com\"\n  \
           line 29   /realm_access/roles      map                      roles = [\"reader\"]\n  \
           line 35   /department              keep                     dropped: the token does not have it\n  \
           no rule   /email_verified          none                     dropped: no rule names it\n  \
           no rule   /name                    none                     dropped: no rule names it\n  \
           no rule   /region                  none                     dropped: no rule names it\n  \
           the protocol's own are checked, then written anew or left out:\n            \
                     aud azp exp iat iss scope sub typ"
    );
    for line in [
        "  aud                \"https://api.eu.example/orders\"",
        "  exp                1782000400",
    ] {
        assert!(token.contains(line), "{line}\n{token}");
    }
    for personal in ["ada@", "Ada Example", "f3a1c0de", "offline_access"] {
        assert!(!text.contains(personal), "`{personal}` is not released by any rule:\n{text}");
    }
}

#[test]
fn a_program_reads_the_same_as_json() {
    let region = Region::new();
    let answer = rehearsed(&region, &global(), &["--resource", "orders", "--output", "json"]);
    assert_eq!(answer.code, Some(0));
    let json = answer.json();
    assert_eq!(json["decision"], "authorized");
    assert_eq!(json["signature"], "not_checked");
    assert_eq!(json["claims"]["email_domain"], "example.com");
    assert_eq!(json["claims"]["scope"], "orders:read");
    assert_eq!(json["claims"]["jti"], Value::Null, "it is made up, so it is not shown");
    let first = &json["rules"][0];
    assert_eq!(
        *first,
        json!({"claim": "/email", "action": "coarsen to email-domain", "rule": 0, "line": 23,
               "released": true, "to": "email_domain", "value": "example.com", "given": true,
               "cause": null})
    );
}

#[test]
fn with_keys_the_signature_is_checked() {
    let region = Region::new();
    let signer = Signer::new();
    let token = region.file("token.txt", &signer.sign("JWT", &global()));
    let right = region.file("right.jwks", &signer.jwks());
    let wrong = region.file("wrong.jwks", &Signer::new().jwks());
    let checked = region.run(&["try", &token, "--at", NOW, "--jwks", &right]).done();
    assert!(checked.starts_with("signature  verified with the given keys\n"), "{checked}");
    let expired =
        region.run(&["try", &token, "--at", "1782009999", "--jwks", &right, "--output", "json"]);
    let expired = expired.json();
    assert_eq!(expired["signature"], "verified", "{expired}");
    assert_eq!(expired["refusal"]["answer"]["error_id"], "subject_token_time");
    let refused = region.run(&["try", &token, "--at", NOW, "--jwks", &wrong]);
    assert!(refused.out.starts_with("signature  NOT VERIFIED with"), "{}", refused.out);
    assert_eq!(
        refused.failed(3),
        "error: the exchange would be refused: `subject_token_untrusted`\n"
    );
}

#[test]
fn the_answer_to_a_client_is_the_one_of_the_node_and_the_cause_is_told_besides() {
    let region = Region::new();
    let cases = [
        (
            "exp",
            json!(1_782_000_050),
            "subject_token_time",
            "iat 1782000000, exp 1782000050, now 1782000100",
        ),
        (
            "aud",
            json!("other"),
            "subject_token_audience",
            "expected one of `https://exequatur.example`",
        ),
        (
            "iss",
            json!("https://x.example"),
            "subject_token_untrusted",
            "`iss` is `https://x.example`; trusted here: `https://login",
        ),
        (
            "azp",
            json!("other"),
            "requester_not_allowed",
            "`orders-gateway` is known there as `gateway`",
        ),
        ("exp", json!("soon"), "subject_token_malformed", "is missing or no whole number"),
    ];
    for (claim, value, id, cause) in cases {
        let answer = rehearsed(&region, &global_with(claim, value), &["--output", "json"]);
        assert_eq!(answer.failed(3), format!("error: the exchange would be refused: `{id}`\n"));
        let json = answer.json();
        let refusal = &json["refusal"];
        assert_eq!(refusal["answer"]["error_id"], id, "{json}");
        assert_eq!(refusal["answer"]["error"], "invalid_request");
        assert_eq!(refusal["answer"]["error_uri"], format!("http://127.0.0.1:8443/errors/{id}"));
        assert!(refusal["cause"].as_str().unwrap().contains(cause), "{json}");
        assert_eq!(json["claims"], Value::Null);
    }
}

#[test]
fn the_rule_that_refuses_is_named() {
    let region =
        Region::with(&REGION.replace("action = \"keep\"", "action = \"keep\"\nrequired = true"));
    let answer = rehearsed(&region, &global(), &[]);
    answer.failed(3);
    let cause = "cause  the rule in line 35 (`/department`): a required claim is missing or has no \
                 acceptable value\n";
    assert!(answer.out.contains(cause), "{}", answer.out);
    assert!(answer.out.contains("line 29   /realm_access/roles"), "{}", answer.out);
}

#[test]
fn a_person_at_home_elsewhere_is_not_unpacked() {
    let region = Region::new();
    let answer = rehearsed(&region, &global_with("region", json!("us")), &["--output", "json"]);
    answer.failed(3);
    let json = answer.json();
    assert_eq!(json["rules"], json!([]));
    assert_eq!(json["refusal"]["answer"]["home_issuer"], "https://us-east.id.example");
}

#[test]
fn of_several_clients_one_must_be_named() {
    let region = Region::with(&format!("{REGION}{SECOND_CLIENT}"));
    assert_eq!(
        rehearsed(&region, &global(), &[]).failed(1),
        "error: several clients may exchange: name one with --client: orders-batch, orders-gateway\n"
    );
    assert_eq!(
        rehearsed(&region, &global(), &["--client", "x"]).failed(1),
        "error: `x` is no client of this region; those that may exchange: orders-batch, \
         orders-gateway\n"
    );
    rehearsed(&region, &global(), &["--client", "orders-gateway"]).done();
}

#[test]
fn a_token_comes_from_a_file_or_standard_input_and_never_as_an_argument() {
    let region = Region::new();
    let token = Signer::new().sign("JWT", &global());
    let config = region.config();
    let read = exequatur_reading(&token, ["try", "-", "--at", NOW, "--config", &config]).done();
    assert!(read.contains("email_domain"), "{read}");
    let given = region.run(&["try", &token]);
    assert_eq!(
        given.failed(1),
        "error: this looks like a token, and other users can read arguments: name a file that \
         holds it, or `-` for standard input\n"
    );
}

#[test]
fn what_is_no_token_or_no_key_set_is_said_to_be_none() {
    let region = Region::new();
    let noise = region.file("noise.txt", "hello");
    let answer = region.run(&["try", &noise]);
    assert_eq!(
        answer.failed(3),
        "error: the exchange would be refused: `subject_token_malformed`\n"
    );
    assert!(answer.out.contains("cause  not three parts separated by dots\n"), "{}", answer.out);
    let token = region.file("token.txt", &Signer::new().sign("JWT", &global()));
    let keys = region.run(&["try", &token, "--jwks", &noise]);
    let told = region.without_directory(keys.failed(1));
    assert!(told.starts_with("error: `DIR/noise.txt` is no usable JWK set: "), "{told}");
    let missing = region.run(&["try", &token, "--jwks", "/nowhere/keys"]);
    assert!(missing.failed(1).starts_with("error: `/nowhere/keys` cannot be read: "));
    let kind = region.run(&["try", &token, "--subject-token-type", "saml2"]);
    assert!(kind.failed(1).contains("expected access_token, id_token, jwt, or a URN"));
}
