//! Claims of subject tokens: times, issuer, audience, subject, and what binds or misnames a token
//! (RFC 7519 section 4.1, RFC 8725 section 3, RFC 7800).

use serde_json::{Value, json};

use crate::lab::{
    Lab, MARKER,
    case::{Case, granted, refused},
    region::{ISSUER, OTHER_ISSUER},
    request::{ID_TOKEN, JWT},
};

const MALFORMED: &str = "subject_token_malformed";
const UNTRUSTED: &str = "subject_token_untrusted";
const TIME: &str = "subject_token_time";
const AUDIENCE: &str = "subject_token_audience";
const CLAIMS: &str = "subject_token_claims";
const KIND: &str = "subject_token_kind";

/// Slack that the configuration gives to an issuer's clock by default, in seconds.
const SLACK: u64 = 5;
/// Longest lifetime of a token by default, in seconds.
const LIFETIME_MAX: u64 = 86_400;

#[test]
fn a_token_whose_claims_are_not_right_gets_no_token() {
    let lab = Lab::start();
    let mut cases = times(&lab);
    cases.extend(issuers(&lab));
    cases.extend(audiences(&lab));
    cases.extend(subjects(&lab));
    cases.extend(kinds(&lab));
    cases.extend(bindings(&lab));
    cases.extend(required_claims(&lab));
    lab.judge(&cases, 0);
}

fn times(lab: &Lab) -> Vec<Case> {
    let now = lab.clock.seconds();
    let mut cases = Vec::new();
    let mut time = |name: &str, claim: &str, value: Value, id: &'static str| {
        let token = lab.person().claim(claim, value).sign(&lab.keys.es);
        cases.push(refused(format!("{claim}: {name}"), lab.exchange(&token), id));
    };
    for claim in ["exp", "nbf", "iat"] {
        time("a text", claim, json!(format!("{now}")), MALFORMED);
        time("negative", claim, json!(-1), MALFORMED);
        time("a fraction", claim, json!(now as f64 + 0.5), MALFORMED);
        time("1e308", claim, json!(1e308), MALFORMED);
        time("an array", claim, json!([now]), MALFORMED);
        time("null", claim, json!(null), MALFORMED);
        time("true", claim, json!(true), MALFORMED);
        time("an object", claim, json!({"seconds": now}), MALFORMED);
    }
    time("zero", "exp", json!(0), TIME);
    time("long ago", "exp", json!(1), TIME);
    time("a second ago", "exp", json!(now - 1), TIME);
    time("now", "exp", json!(now), TIME);
    time("largest signed", "exp", json!(i64::MAX), TIME);
    time("beyond signed", "exp", json!(i64::MAX as u64 + 1), TIME);
    time("largest unsigned", "exp", json!(u64::MAX), TIME);
    time("2^53 + 1", "exp", json!((1_u64 << 53) + 1), TIME);
    time("milliseconds", "exp", json!(now * 1_000), TIME);
    time("a second too far", "exp", json!(now + LIFETIME_MAX + 1), TIME);
    time("beyond the slack", "nbf", json!(now + SLACK + 1), TIME);
    time("largest", "nbf", json!(u64::MAX), TIME);
    time("beyond the slack", "iat", json!(now + SLACK + 1), TIME);
    time("milliseconds", "iat", json!(now * 1_000), TIME);
    let with = |iat: u64, exp: u64| lab.person().claim("iat", iat).claim("exp", exp);
    let mut whole =
        |name: &str, token: String, id| cases.push(refused(name, lab.exchange(&token), id));
    whole("iat is missing", lab.person().without("iat").sign(&lab.keys.es), MALFORMED);
    whole("exp is missing", lab.person().without("exp").sign(&lab.keys.es), MALFORMED);
    whole("iat after exp", with(now + 3, now + 2).sign(&lab.keys.es), MALFORMED);
    whole("iat equals exp", with(now + 3, now + 3).sign(&lab.keys.es), MALFORMED);
    whole("a lifetime of a year", with(now - 31_536_000, now + 1).sign(&lab.keys.es), TIME);
    for (name, jwt) in [
        ("a second left", with(now - 10, now + 1)),
        ("iat within the slack", lab.person().claim("iat", now + SLACK)),
        ("nbf within the slack", lab.person().claim("nbf", now + SLACK)),
        ("the longest lifetime", with(now, now + LIFETIME_MAX)),
    ] {
        cases.push(granted(name, lab.exchange(&jwt.sign(&lab.keys.es))));
    }
    cases
}

fn issuers(lab: &Lab) -> Vec<Case> {
    let trusted = lab.pages.url("/global");
    let port = trusted.rsplit(':').next().unwrap().split('/').next().unwrap().to_owned();
    let values = [
        ("a trailing slash", json!(format!("{trusted}/"))),
        ("another case", json!(trusted.to_uppercase())),
        ("the scheme's case", json!(trusted.replace("http", "HTTP"))),
        ("another port", json!(trusted.replace(&port, "1"))),
        ("no port", json!(trusted.replace(&format!(":{port}"), ""))),
        ("another name of the host", json!(trusted.replace("127.0.0.1", "localhost"))),
        ("a prefix", json!(trusted.trim_end_matches('l'))),
        ("a longer path", json!(format!("{trusted}/{MARKER}"))),
        ("a path around", json!(trusted.replace("/global", "/x/../global"))),
        ("an escape", json!(trusted.replace("global", "%67lobal"))),
        ("a query", json!(format!("{trusted}?{MARKER}"))),
        ("a fragment", json!(format!("{trusted}#{MARKER}"))),
        ("credentials", json!(trusted.replace("//", &format!("//{MARKER}@")))),
        ("a Cyrillic letter", json!(trusted.replace('a', "\u{430}"))),
        ("a wide letter", json!(trusted.replace('g', "\u{ff47}"))),
        ("a zero-width joiner", json!(format!("{trusted}\u{200d}"))),
        ("a space before", json!(format!(" {trusted}"))),
        ("a newline after", json!(format!("{trusted}\n"))),
        ("NUL after", json!(format!("{trusted}\u{0}"))),
        ("an array", json!([trusted])),
        ("an object", json!({"iss": trusted})),
        ("a number", json!(1)),
        ("null", json!(null)),
        ("empty", json!("")),
        ("another trusted issuer", json!(lab.pages.url("/partner"))),
        ("a tenant's template", json!(lab.pages.url("/{tenant}/v2.0"))),
        ("an unlisted tenant", json!(lab.pages.url("/tenant-c/v2.0"))),
        ("this region", json!(ISSUER)),
        ("another region", json!(OTHER_ISSUER)),
    ];
    let mut cases: Vec<Case> = values
        .into_iter()
        .map(|(name, iss)| {
            let token = lab.person().claim("iss", iss).sign(&lab.keys.es);
            refused(format!("iss: {name}"), lab.exchange(&token), UNTRUSTED)
        })
        .collect();
    let absent = lab.person().without("iss").sign(&lab.keys.es);
    cases.push(refused("iss is missing", lab.exchange(&absent), UNTRUSTED));
    // The tenants share a key, as they do at the real provider: only `iss` and `tid` part them.
    let crossed = lab.tenant("tenant-a").claim("tid", "tenant-b").sign(&lab.keys.entra_es);
    cases.push(refused("one tenant's iss, another's tid", lab.exchange(&crossed), CLAIMS));
    let untold = lab.tenant("tenant-a").without("tid").sign(&lab.keys.entra_es);
    cases.push(refused("no tid", lab.exchange(&untold), CLAIMS));
    cases
}

fn audiences(lab: &Lab) -> Vec<Case> {
    let values = [
        ("another", json!(MARKER)),
        ("empty", json!("")),
        ("an empty array", json!([])),
        ("a number", json!(1)),
        ("null", json!(null)),
        ("an object", json!({"exequatur": true})),
        ("numbers", json!([1, 2])),
        ("nested", json!([["exequatur"]])),
        ("another case", json!("Exequatur")),
        ("a prefix", json!("exequatu")),
        ("a list as text", json!("exequatur other")),
        ("a space after", json!("exequatur ")),
        ("the region's issuer", json!(ISSUER)),
        ("the token endpoint", json!(format!("{ISSUER}/token"))),
        ("another region", json!(OTHER_ISSUER)),
        ("the client", json!("gateway-upstream")),
    ];
    let mut cases: Vec<Case> = values
        .into_iter()
        .map(|(name, aud)| {
            let token = lab.person().claim("aud", aud).sign(&lab.keys.es);
            refused(format!("aud: {name}"), lab.exchange(&token), AUDIENCE)
        })
        .collect();
    let absent = lab.person().without("aud").sign(&lab.keys.es);
    cases.push(refused("aud is missing", lab.exchange(&absent), AUDIENCE));
    let shared = lab.person().claim("aud", json!(["exequatur", MARKER])).sign(&lab.keys.es);
    cases.push(granted("aud: ours and another", lab.exchange(&shared)));
    cases
}

fn subjects(lab: &Lab) -> Vec<Case> {
    let values = [
        ("empty", json!("")),
        ("10 KB", json!("s".repeat(10_000))),
        ("256 bytes", json!("s".repeat(256))),
        ("a number", json!(1)),
        ("null", json!(null)),
        ("an array", json!([MARKER])),
        ("an object", json!({"sub": MARKER})),
        ("true", json!(true)),
    ];
    let mut cases: Vec<Case> = values
        .into_iter()
        .map(|(name, sub)| {
            let token = lab.person().claim("sub", sub).sign(&lab.keys.es);
            refused(format!("sub: {name}"), lab.exchange(&token), CLAIMS)
        })
        .collect();
    let absent = lab.person().without("sub").sign(&lab.keys.es);
    cases.push(refused("sub is missing", lab.exchange(&absent), CLAIMS));
    // Strange, but the issuer's own business: they only enter an HMAC.
    for (name, sub) in [
        ("NUL", "\u{0}\u{0}"),
        ("right to left", "\u{202e}person"),
        ("composed", "caf\u{e9}"),
        ("decomposed", "cafe\u{301}"),
        ("255 bytes", &"s".repeat(255)),
    ] {
        let token = lab.person().claim("sub", sub).sign(&lab.keys.es);
        cases.push(granted(format!("sub: {name}"), lab.exchange(&token)));
    }
    let nameless = lab.service().claim("client_id", "").claim("azp", "").sign(&lab.keys.es);
    cases.push(refused("a service without a name", lab.exchange(&nameless), CLAIMS));
    cases
}

/// Access tokens and ID tokens under each other's names.
fn kinds(lab: &Lab) -> Vec<Case> {
    let access = lab.subject_token();
    let id = lab.id_token().sign(&lab.keys.es);
    let as_type = |token: &str, kind: &str| lab.exchange(token).set("subject_token_type", kind);
    let partner = lab.partner().sign(&lab.keys.partner_es);
    let partner_id = lab.partner().header("typ", "JWT").without("client_id").without("scope");
    let partner_id = partner_id.claim("azp", "gateway-upstream").sign(&lab.keys.partner_es);
    let tenant = lab.tenant("tenant-a").sign(&lab.keys.entra_es);
    vec![
        refused("an access token as id_token", as_type(&access, ID_TOKEN), KIND),
        refused("an ID token as access_token", lab.exchange(&id), KIND),
        refused("an ID token as jwt", as_type(&id, JWT), KIND),
        granted("an ID token as id_token", as_type(&id, ID_TOKEN)),
        granted("an access token as jwt", as_type(&access, JWT)),
        refused("the partner's access token as id_token", as_type(&partner, ID_TOKEN), KIND),
        refused("the partner's ID token as access_token", lab.exchange(&partner_id), KIND),
        refused("a tenant's access token as id_token", as_type(&tenant, ID_TOKEN), KIND),
    ]
}

fn bindings(lab: &Lab) -> Vec<Case> {
    let cnf = [
        json!({"jkt": MARKER}),
        json!({"x5t#S256": MARKER}),
        json!({"jwk": {}}),
        json!({}),
        json!(null),
        json!(MARKER),
    ];
    let mut cases: Vec<Case> = cnf
        .into_iter()
        .map(|cnf| {
            let name = format!("cnf {cnf}");
            let token = lab.person().claim("cnf", cnf).sign(&lab.keys.es);
            refused(name, lab.exchange(&token), "subject_token_bound")
        })
        .collect();
    let partner = lab.partner().claim("cnf", json!({"jkt": MARKER})).sign(&lab.keys.partner_es);
    cases.push(refused("cnf of the partner", lab.exchange(&partner), "subject_token_bound"));
    cases
}

/// A rule that must release something, and a provider that left its groups out.
fn required_claims(lab: &Lab) -> Vec<Case> {
    let needs = |lab: &Lab| lab.person().claim("needs_department", true);
    let overage = json!({"groups": "src1"});
    let over = |lab: &Lab| lab.tenant("tenant-a").claim("_claim_names", overage.clone());
    let strange = needs(lab).claim("department", json!({"name": MARKER})).sign(&lab.keys.es);
    vec![
        refused(
            "a required claim is missing",
            lab.exchange(&needs(lab).sign(&lab.keys.es)),
            CLAIMS,
        ),
        refused("a required claim of another type", lab.exchange(&strange), CLAIMS),
        granted(
            "a required claim is there",
            lab.exchange(&needs(lab).claim("department", "sales").sign(&lab.keys.es)),
        ),
        refused(
            "groups left out that a rule reads",
            lab.exchange(&over(lab).sign(&lab.keys.entra_es)),
            CLAIMS,
        ),
        refused(
            "groups left out of an implicit token",
            lab.exchange(&lab.tenant("tenant-a").claim("hasgroups", true).sign(&lab.keys.entra_es)),
            CLAIMS,
        ),
        granted(
            "groups left out that no rule reads",
            lab.exchange(&lab.person().claim("_claim_names", overage.clone()).sign(&lab.keys.es)),
        ),
    ]
}
