//! What a token is for, and what it allows (RFC 8707 section 2, RFC 8693 section 2.1, RFC 6749
//! section 3.3, RFC 9470).

use serde_json::json;

use crate::lab::{
    Lab, MARKER,
    case::{Case, granted, refused},
    jwt::Jwt,
    region::{BILLING, ISSUER, ORDERS, OTHER_ISSUER, SECRET, TENANT_ONLY, TREASURY, VAULT},
    request::OAuthRequest,
};

const UNKNOWN: &str = "target_unknown";
const AMBIGUOUS: &str = "target_ambiguous";
const TENANT: &str = "target_tenant";
const SCOPE: &str = "scope_not_allowed";
const INSUFFICIENT: &str = "authentication_insufficient";

#[test]
fn a_target_or_scope_that_is_not_the_clients_gets_no_token() {
    let lab = Lab::start();
    let mut cases = targets(&lab);
    cases.extend(tenants(&lab));
    cases.extend(scopes(&lab));
    cases.extend(authentication(&lab));
    lab.judge(&cases, 0);
}

#[test]
fn what_is_granted_is_never_more_than_was_carried_and_never_lives_longer() {
    let lab = Lab::start();
    let now = lab.clock.seconds();
    let token = lab.person().claim("scope", "orders:write admin").claim("exp", now + 7);
    let answer = lab.send(&lab.exchange(&token.sign(&lab.keys.es)));
    assert_eq!(answer.json()["scope"], "orders:write");
    assert_eq!(answer.json()["expires_in"], 7);
    let asked = lab.exchange(&lab.subject_token()).set("scope", "orders:read orders:read");
    assert_eq!(lab.send(&asked).json()["scope"], "orders:read");
    let issued = crate::lab::jwt::payload_of(&answer.member("access_token"));
    assert_eq!(issued["exp"], now + 7);
    assert_eq!(issued["aud"], ORDERS);
    assert!(!issued.to_string().contains(MARKER), "a claim without a rule left: {issued}");
}

#[test]
fn too_weak_a_login_is_told_what_would_suffice() {
    let lab = Lab::start();
    let weak = lab.person().claim("acr", "bronze").sign(&lab.keys.es);
    let answer = lab.send(&lab.exchange(&weak).remove("audience").set("resource", TREASURY));
    assert_eq!(answer.member("error"), "insufficient_user_authentication");
    assert_eq!(
        (&answer.json()["acr_values"], &answer.json()["max_age"]),
        (&json!("silver"), &json!(300))
    );
}

fn request(lab: &Lab) -> OAuthRequest {
    lab.exchange(&lab.subject_token()).remove("audience")
}

fn targets(lab: &Lab) -> Vec<Case> {
    let resource = |value: &str| request(lab).set("resource", value);
    let audience = |value: &str| request(lab).set("audience", value);
    let mut cases: Vec<Case> = [
        ("an unknown resource", resource(&format!("https://api.example/{MARKER}"))),
        ("a fragment", resource(&format!("{ORDERS}#{MARKER}"))),
        ("an empty fragment", resource(&format!("{ORDERS}#"))),
        ("a query", resource(&format!("{ORDERS}?{MARKER}"))),
        ("a trailing slash", resource(&format!("{ORDERS}/"))),
        ("another case", resource(&ORDERS.to_uppercase())),
        ("a path around", resource("https://api.example/x/../orders")),
        ("an escape", resource("https://api.example/%6frders")),
        ("the default port", resource("https://api.example:443/orders")),
        ("a prefix", resource("https://api.example")),
        ("a short name as resource", resource("orders")),
        ("an unknown audience", audience(MARKER)),
        ("an audience's case", audience("Orders")),
        ("a space after", audience("orders ")),
        ("two in one", audience("orders billing")),
        ("a client", audience("gateway")),
        ("this region", audience(ISSUER)),
        ("an upstream", audience(&lab.pages.url("/global"))),
        ("a resource and nonsense", resource(MARKER).add("audience", "orders")),
    ]
    .into_iter()
    .map(|(name, request)| refused(format!("target: {name}"), request, UNKNOWN))
    .collect();
    let theirs = lab.exchange(&lab.subject_token()).basic("single", SECRET).remove("audience");
    let own_and_theirs = lab.exchange(&lab.subject_token()).basic("single", SECRET);
    cases.push(refused(
        "target: the client's and another client's",
        own_and_theirs.add("audience", BILLING),
        UNKNOWN,
    ));
    cases.push(refused("target: another client's", theirs.set("resource", BILLING), UNKNOWN));
    cases.extend([
        refused("two resources", resource(ORDERS).add("resource", BILLING), AMBIGUOUS),
        refused(
            "resource and audience disagree",
            resource(BILLING).set("audience", "orders"),
            AMBIGUOUS,
        ),
        refused("two audiences", audience("orders").add("audience", BILLING), AMBIGUOUS),
        refused(
            "a known and an unknown audience",
            audience("orders").add("audience", MARKER),
            UNKNOWN,
        ),
        refused("none of several", request(lab), "target_missing"),
        refused("only bound tokens", resource(VAULT), "sender_constraint_required"),
        refused("another region", audience(OTHER_ISSUER), "transfer_not_offered"),
        refused("another region as resource", resource(OTHER_ISSUER), "transfer_not_offered"),
        refused(
            "a resource and another region",
            resource(ORDERS).set("audience", OTHER_ISSUER),
            "transfer_not_offered",
        ),
        granted("one resource twice", resource(ORDERS).add("resource", ORDERS)),
        granted("resource and audience agree", resource(ORDERS).set("audience", "orders")),
        granted("the identifier as audience", audience(ORDERS)),
        granted("the client's only resource", request(lab).basic("single", SECRET)),
    ]);
    cases
}

fn tenants(lab: &Lab) -> Vec<Case> {
    let of = |tenant: &str| lab.tenant(tenant).sign(&lab.keys.entra_es);
    let only = |token: &str| lab.exchange(token).remove("audience").set("resource", TENANT_ONLY);
    let bound = |token: &str| lab.exchange(token).basic("bound", SECRET);
    vec![
        granted("a tenant's person at the tenant's service", only(&of("tenant-a"))),
        refused("another tenant's person", only(&of("tenant-b")), TENANT),
        refused("a person without tenant", only(&lab.subject_token()), TENANT),
        granted("a tenant's client and person", bound(&of("tenant-a"))),
        refused("another tenant's person for a tenant's client", bound(&of("tenant-b")), TENANT),
        refused(
            "a person without tenant for a tenant's client",
            bound(&lab.subject_token()),
            TENANT,
        ),
    ]
}

fn scopes(lab: &Lab) -> Vec<Case> {
    let orders = |scope: &str| lab.exchange(&lab.subject_token()).set("scope", scope);
    let carrying = |scope: serde_json::Value| {
        lab.exchange(&lab.person().claim("scope", scope).sign(&lab.keys.es))
    };
    let billing = request(lab).set("resource", BILLING);
    let narrow = || lab.person().claim("scope", "orders:read").sign(&lab.keys.es);
    let mut cases = vec![
        refused("a scope that nobody knows", orders(MARKER), SCOPE),
        refused("one known and one unknown", orders(&format!("orders:read {MARKER}")), SCOPE),
        refused("a scope's case", orders("Orders:read"), SCOPE),
        refused("a scope with a star", orders("orders:*"), SCOPE),
        refused("a scope with a comma", orders("orders:read,orders:write"), SCOPE),
        refused("openid", orders("openid"), SCOPE),
        refused("offline_access", orders("offline_access"), SCOPE),
        refused(
            "more than the token carries",
            lab.exchange(&narrow()).set("scope", "orders:write"),
            SCOPE,
        ),
        refused(
            "all, of which the token carries some",
            lab.exchange(&narrow()).set("scope", "orders:read orders:write"),
            SCOPE,
        ),
        refused("a scope of a resource without scopes", billing.set("scope", "orders:read"), SCOPE),
        refused(
            "a token without scope",
            lab.exchange(&lab.person().without("scope").sign(&lab.keys.es)),
            SCOPE,
        ),
        refused("a token with an empty scope", carrying(json!("")), SCOPE),
        refused("a token whose scope is a number", carrying(json!(1)), SCOPE),
        refused("a token whose scope is an object", carrying(json!({"orders:read": true})), SCOPE),
        refused("a token with other scopes", carrying(json!(MARKER)), SCOPE),
        granted("a token whose scope is an array", carrying(json!(["orders:read"]))),
        granted("a narrower scope", orders("orders:read")),
        granted("an empty scope counts as none", orders("")),
    ];
    for (name, scope) in [
        ("two spaces", "orders:read  orders:write".to_owned()),
        ("a leading space", " orders:read".to_owned()),
        ("a trailing space", "orders:read ".to_owned()),
        ("a tab", "orders:read\torders:write".to_owned()),
        ("a newline", "orders:read\norders:write".to_owned()),
        ("a quote", "orders:\"read\"".to_owned()),
        ("a backslash", "orders\\read".to_owned()),
        ("DEL", "orders\u{7f}".to_owned()),
        ("a control", "orders\u{1}".to_owned()),
        ("an umlaut", "\u{f6}rders".to_owned()),
        ("right to left", "\u{202e}orders".to_owned()),
        ("65 names", vec!["orders:read"; 65].join(" ")),
        ("10,000 names", vec!["a"; 10_000].join(" ")),
    ] {
        cases.push(refused(format!("scope: {name}"), orders(&scope), "scope_malformed"));
    }
    cases
}

fn authentication(lab: &Lab) -> Vec<Case> {
    let now = lab.clock.seconds();
    let send = |jwt: Jwt| {
        lab.exchange(&jwt.sign(&lab.keys.es)).remove("audience").set("resource", TREASURY)
    };
    let mut cases: Vec<Case> = [
        ("too weak", lab.person().claim("acr", "bronze")),
        ("unknown", lab.person().claim("acr", MARKER)),
        ("missing", lab.person().without("acr")),
        ("a number", lab.person().claim("acr", 2)),
        ("an array", lab.person().claim("acr", vec!["gold"])),
        ("another case", lab.person().claim("acr", "Gold")),
        ("too long ago", lab.person().claim("auth_time", now - 301)),
        ("in the future", lab.person().claim("auth_time", now + 60)),
        ("never", lab.person().without("auth_time")),
        ("a text", lab.person().claim("auth_time", format!("{now}"))),
        ("negative", lab.person().claim("auth_time", -1)),
        ("a fraction", lab.person().claim("auth_time", now as f64 - 0.5)),
        ("null", lab.person().claim("auth_time", json!(null))),
    ]
    .into_iter()
    .map(|(name, jwt)| refused(format!("login: {name}"), send(jwt), INSUFFICIENT))
    .collect();
    cases.push(granted(
        "login: just strong and recent enough",
        send(lab.person().claim("acr", "silver").claim("auth_time", now - 300)),
    ));
    cases
}
