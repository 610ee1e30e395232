//! Headers of subject tokens: algorithms, keys, and members that ask for something (RFC 7515
//! section 4, RFC 8725 sections 2 and 3).

use exequatur_federation::jose::base64url;
use serde_json::{Value, json};

use crate::lab::{
    Lab, MARKER,
    case::{Case, granted, refused},
    jwt::seal,
    keys::hs256,
};

const MALFORMED: &str = "subject_token_malformed";
const UNTRUSTED: &str = "subject_token_untrusted";
const KIND: &str = "subject_token_kind";

#[test]
fn a_forged_or_unusual_header_gets_no_token() {
    let lab = Lab::start();
    let mut cases = controls(&lab);
    cases.extend(algorithms(&lab));
    cases.extend(confusions(&lab));
    cases.extend(key_ids(&lab));
    cases.extend(followed_addresses(&lab));
    cases.extend(critical(&lab));
    cases.extend(types(&lab));
    lab.judge(&cases, 0);
}

/// Without these, a node that refuses everything would pass.
fn controls(lab: &Lab) -> Vec<Case> {
    let signed =
        |algorithm: &str, kid: &str| lab.person().header("alg", algorithm).header("kid", kid);
    [
        ("ES256", lab.subject_token()),
        ("RS256", signed("RS256", "rs").sign(&lab.keys.rsa)),
        ("PS256", signed("PS256", "ps").sign(&lab.keys.rsa)),
        ("EdDSA", signed("EdDSA", "ed").sign(&lab.keys.ed)),
        ("partner", lab.partner().sign(&lab.keys.partner_es)),
        ("tenant", lab.tenant("tenant-a").sign(&lab.keys.entra_es)),
    ]
    .map(|(name, token)| granted(format!("an honest token: {name}"), lab.exchange(&token)))
    .into()
}

fn algorithms(lab: &Lab) -> Vec<Case> {
    let token = |alg: Value| lab.person().header("alg", alg).sign_as("ES256", &lab.keys.es);
    let texts = [
        "none",
        "None",
        "NONE",
        "nOnE",
        "",
        "es256",
        "ES256K",
        "ES384",
        "ES512",
        "RS384",
        "PS512",
        "HS256",
        "HS384",
        "HS512",
        "ECDSA",
        "dir",
        "A256GCM",
        " ES256",
        "ES256 ",
        "ES256\u{0}",
        "Zq7planted",
    ];
    let mut cases: Vec<Case> = texts
        .iter()
        .map(|alg| refused(format!("alg {alg:?}"), lab.exchange(&token(json!(alg))), MALFORMED))
        .collect();
    let others =
        [json!(null), json!(0), json!(256), json!(true), json!(["ES256"]), json!({"alg": "ES256"})];
    cases.extend(
        others.map(|alg| refused(format!("alg {alg}"), lab.exchange(&token(alg)), MALFORMED)),
    );
    let absent = lab.person().without_header("alg").sign_as("ES256", &lab.keys.es);
    cases.push(refused("alg is absent", lab.exchange(&absent), MALFORMED));
    for alg in ["none", "ES256"] {
        let unsigned = lab.person().header("alg", alg).sign_by(|_| Vec::new());
        let id = if alg == "none" { MALFORMED } else { UNTRUSTED };
        cases.push(refused(format!("{alg} with an empty signature"), lab.exchange(&unsigned), id));
    }
    let unlisted = lab
        .partner()
        .header("alg", "RS256")
        .header("kid", "partner-rs")
        .sign(&lab.keys.partner_rsa);
    cases.push(refused("an algorithm that is not believed", lab.exchange(&unlisted), UNTRUSTED));
    cases
}

/// A public key as a secret, and keys under algorithms that are not theirs.
fn confusions(lab: &Lab) -> Vec<Case> {
    let rsa = &lab.keys.rsa;
    let secrets: [(&str, Vec<u8>); 7] = [
        ("PEM", rsa.public_pem().into_bytes()),
        ("PEM without its last newline", rsa.public_pem().trim_end().as_bytes().to_vec()),
        ("DER", rsa.public_bytes()),
        ("modulus", rsa.modulus()),
        ("modulus as text", base64url(&rsa.modulus()).into_bytes()),
        ("JWK text", rsa.jwk().to_string().into_bytes()),
        ("nothing", Vec::new()),
    ];
    let mut cases: Vec<Case> = secrets
        .iter()
        .map(|(name, secret)| {
            let jwt = lab.person().header("alg", "HS256").header("kid", "rs");
            let token = jwt.sign_by(|input| hs256(secret, input));
            refused(format!("HS256 under the {name}"), lab.exchange(&token), MALFORMED)
        })
        .collect();
    let hmac_as_rs = lab.person().header("alg", "RS256").header("kid", "rs");
    let hmac_as_rs = hmac_as_rs.sign_by(|input| hs256(&rsa.public_bytes(), input));
    cases.push(refused("an HMAC called RS256", lab.exchange(&hmac_as_rs), UNTRUSTED));
    for (alg, kid) in [
        ("RS256", "es"),
        ("PS256", "es"),
        ("EdDSA", "es"),
        ("ES256", "rs"),
        ("PS256", "rs"),
        ("EdDSA", "rs"),
        ("RS256", "ps"),
        ("ES256", "ps"),
        ("ES256", "ed"),
        ("RS256", "ed"),
    ] {
        let key = match alg {
            "ES256" => &lab.keys.es,
            "EdDSA" => &lab.keys.ed,
            _ => rsa,
        };
        let token = lab.person().header("alg", alg).header("kid", kid).sign(key);
        cases.push(refused(format!("{alg} under the key {kid}"), lab.exchange(&token), UNTRUSTED));
    }
    let mixed = lab.person().header("alg", "PS256").header("kid", "ps").sign_as("RS256", rsa);
    cases.push(refused("PKCS #1 padding called PS256", lab.exchange(&mixed), UNTRUSTED));
    cases
}

fn key_ids(lab: &Lab) -> Vec<Case> {
    let attacks: Vec<(String, Value, &str)> = vec![
        ("a path".into(), json!(format!("../../{MARKER}/dev/null")), UNTRUSTED),
        ("SQL".into(), json!(format!("' OR 1=1; DROP TABLE {MARKER}--")), UNTRUSTED),
        ("a shell".into(), json!(format!("$(touch {MARKER})|`id`")), UNTRUSTED),
        ("NUL".into(), json!(format!("es\u{0}{MARKER}")), UNTRUSTED),
        ("a newline".into(), json!(format!("es\r\nX-{MARKER}: 1")), UNTRUSTED),
        ("markup".into(), json!(format!("<script>{MARKER}</script>")), UNTRUSTED),
        ("empty".into(), json!(""), UNTRUSTED),
        ("other case".into(), json!("ES"), UNTRUSTED),
        ("a space more".into(), json!("es "), UNTRUSTED),
        ("longer than 256 bytes".into(), json!("k".repeat(257)), MALFORMED),
        ("8 KB".into(), json!("k".repeat(8_192)), MALFORMED),
        ("a number".into(), json!(1), MALFORMED),
        ("null".into(), json!(null), MALFORMED),
        ("an array".into(), json!(["es"]), MALFORMED),
        ("an object".into(), json!({"kid": "es"}), MALFORMED),
        ("another issuer's".into(), json!("partner-es"), UNTRUSTED),
        ("another key of the issuer".into(), json!("rs"), UNTRUSTED),
    ];
    let mut cases: Vec<Case> = attacks
        .into_iter()
        .map(|(name, kid, id)| {
            let token = lab.person().header("kid", kid).sign(&lab.keys.es);
            refused(format!("kid: {name}"), lab.exchange(&token), id)
        })
        .collect();
    let absent = lab.person().without_header("kid").sign(&lab.keys.es);
    cases.push(refused("kid is absent among four keys", lab.exchange(&absent), UNTRUSTED));
    let foreign = lab.person().header("kid", "partner-es").sign(&lab.keys.partner_es);
    cases.push(refused("another issuer's kid and key", lab.exchange(&foreign), UNTRUSTED));
    let unpublished = lab.person().sign(&lab.keys.unknown_es);
    cases.push(refused("a key that nobody publishes", lab.exchange(&unpublished), UNTRUSTED));
    cases
}

/// Members that name a key or where to find one. The key that they bring signs the token.
fn followed_addresses(lab: &Lab) -> Vec<Case> {
    let own = &lab.keys.unknown_es;
    let trap = lab.trap.url(&format!("/{MARKER}/jwks"));
    lab.trap.put(&format!("/{MARKER}/jwks"), &json!({"keys": [own.published("es", "ES256")]}));
    let brought = own.published("es", "ES256");
    let members = [
        ("jku", json!(trap)),
        ("x5u", json!(trap)),
        ("jwk", brought),
        ("x5c", json!([MARKER])),
        ("x5t", json!("AAAA")),
        ("x5t#S256", json!("AAAA")),
        ("url", json!(trap)),
    ];
    let mut cases = Vec::new();
    for (name, value) in members {
        let forged = lab.person().header(name, value.clone()).sign(own);
        cases.push(refused(
            format!("{name} with the attacker's key"),
            lab.exchange(&forged),
            UNTRUSTED,
        ));
        let renamed = lab.person().header("kid", MARKER).header(name, value.clone()).sign(own);
        cases.push(refused(format!("{name} and its own kid"), lab.exchange(&renamed), UNTRUSTED));
        let honest = lab.person().header(name, value).sign(&lab.keys.es);
        cases.push(granted(format!("{name} beside an honest signature"), lab.exchange(&honest)));
    }
    let elsewhere = lab.person().claim("iss", lab.trap.url("")).sign(own);
    cases.push(refused("the attacker's own issuer", lab.exchange(&elsewhere), UNTRUSTED));
    cases
}

fn critical(lab: &Lab) -> Vec<Case> {
    let values = [
        ("unknown", json!([MARKER])),
        ("empty", json!([])),
        ("no array", json!("exp")),
        ("a known name", json!(["exp"])),
        ("alg", json!(["alg"])),
        ("twice", json!(["a", "a"])),
        ("b64", json!(["b64"])),
        ("null", json!(null)),
        ("numbers", json!([1])),
    ];
    let mut cases: Vec<Case> = values
        .into_iter()
        .map(|(name, crit)| {
            let token = lab.person().header("crit", crit).header(MARKER, true).sign(&lab.keys.es);
            refused(format!("crit: {name}"), lab.exchange(&token), MALFORMED)
        })
        .collect();
    for (name, b64) in [("false", json!(false)), ("true", json!(true)), ("a text", json!("false"))]
    {
        let token = lab.person().header("b64", b64).sign(&lab.keys.es);
        cases.push(refused(format!("b64 {name}"), lab.exchange(&token), MALFORMED));
    }
    // RFC 7797 section 3: the payload stands as it is, and is signed as it is.
    let jwt = lab.person().header("b64", false).header("crit", json!(["b64"]));
    let plain =
        seal(jwt.header.to_string().as_bytes(), b"", |input| lab.keys.es.sign("ES256", input));
    cases.push(refused("b64 false with a detached payload", lab.exchange(&plain), MALFORMED));
    cases
}

/// One kind of token where another is due.
fn types(lab: &Lab) -> Vec<Case> {
    let kinds = [
        "dpop+jwt",
        "logout+jwt",
        "secevent+jwt",
        "token-introspection+jwt",
        "oauth-authz-req+jwt",
        "client-authentication+jwt",
        "authorization-grant+jwt",
        "statuslist+jwt",
        "JOSE",
        "JWE",
        "refresh",
        "JWT\u{0}",
        "application/",
        "text/JWT",
        "",
        MARKER,
    ];
    let mut cases: Vec<Case> = kinds
        .iter()
        .map(|typ| {
            let token = lab.person().header("typ", *typ).sign(&lab.keys.es);
            refused(format!("typ {typ:?}"), lab.exchange(&token), KIND)
        })
        .collect();
    for (name, typ) in [
        ("a number", json!(1)),
        ("null", json!(null)),
        ("an array", json!(["JWT"])),
        ("too long", json!("t".repeat(257))),
    ] {
        let token = lab.person().header("typ", typ).sign(&lab.keys.es);
        cases.push(refused(format!("typ: {name}"), lab.exchange(&token), MALFORMED));
    }
    let absent = lab.person().without_header("typ").sign(&lab.keys.es);
    cases.push(refused("typ is absent", lab.exchange(&absent), KIND));
    for typ in ["at+jwt", "application/at+jwt", "jwt", "application/JWT"] {
        let token = lab.person().header("typ", typ).sign(&lab.keys.es);
        cases.push(granted(format!("typ {typ}"), lab.exchange(&token)));
    }
    for typ in ["JWT", "jwt", "at+JWT ", "dpop+jwt"] {
        let token = lab.partner().header("typ", typ).sign(&lab.keys.partner_es);
        cases.push(refused(format!("typ {typ:?} of the partner"), lab.exchange(&token), KIND));
    }
    for payload_typ in ["Refresh", "Offline", "Logout", "ID", "bearer", ""] {
        let token = lab.person().claim("typ", payload_typ).sign(&lab.keys.es);
        cases.push(refused(
            format!("typ {payload_typ:?} in the payload"),
            lab.exchange(&token),
            KIND,
        ));
    }
    let nested = lab
        .person()
        .header("cty", "JWT")
        .over_payload(lab.subject_token().as_bytes(), &lab.keys.es);
    cases.push(refused("a token within a token", lab.exchange(&nested), MALFORMED));
    cases
}
