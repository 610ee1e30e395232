//! What HTTP itself can carry wrongly: media types, codings, query, methods, addresses, hosts and
//! headers (RFC 9110, RFC 6749 section 3.2). The serve loop's own limits are tested beside it.

use serde_json::json;

use crate::lab::{
    INTROSPECT, Lab, MARKER, REVOKE, TOKEN,
    case::{Case, granted, refused, stranger},
    http::HttpRequest,
    region::{ISSUER, OTHER_HOST, SECRET},
    request::{EXCHANGE, OAuthRequest},
};

const FORM: &str = "application/x-www-form-urlencoded";
const TYPE: &str = "content_type_unsupported";
const MALFORMED: &str = "request_malformed";
const NOT_FOUND: &str = "not_found";
const NOT_ALLOWED: &str = "method_not_allowed";
const WRONG_REGION: &str = "wrong_region";
/// Addresses of documents that anyone may read.
const DOCUMENTS: [&str; 3] = [
    "/eu/jwks",
    "/eu/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server/eu",
];

#[test]
fn a_request_that_is_no_form_is_not_read() {
    let lab = Lab::start();
    let mut cases = media_types(&lab);
    cases.extend(codings(&lab));
    cases.extend(forms(&lab));
    cases.extend(queries(&lab));
    lab.judge(&cases, 0);
}

#[test]
fn an_address_method_or_host_that_is_not_ours_is_told_so() {
    let lab = Lab::start();
    let mut cases = methods(&lab);
    cases.extend(addresses(&lab));
    cases.extend(hosts(&lab));
    cases.extend(headers(&lab));
    lab.judge(&cases, 0);
}

fn request(lab: &Lab) -> OAuthRequest {
    lab.exchange(&lab.subject_token())
}

fn media_types(lab: &Lab) -> Vec<Case> {
    let boundary = format!("multipart/form-data; boundary={MARKER}");
    let json = json!({"grant_type": EXCHANGE, "subject_token": MARKER}).to_string();
    let multipart = format!(
        "--{MARKER}\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\r\n{EXCHANGE}\r\n--{MARKER}--\r\n"
    );
    let mut cases = vec![
        stranger("no content type", request(lab).content_type(None), TYPE),
        stranger(
            "JSON",
            request(lab).content_type(Some("application/json")).raw(json.clone()),
            TYPE,
        ),
        stranger("multipart", request(lab).content_type(Some(&boundary)).raw(multipart), TYPE),
        stranger("two content types", request(lab).header("Content-Type", FORM), TYPE),
        stranger(
            "JSON as a second type",
            request(lab).header("Content-Type", "application/json"),
            TYPE,
        ),
        stranger("JSON that says it is a form", request(lab).raw(json), MALFORMED),
    ];
    for media in [
        "",
        "text/plain",
        "text/html",
        "application/xml",
        "application/octet-stream",
        "*/*",
        "application/*",
        "application/x-www-form-urlencoded2",
        "x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=utf-7",
        "application/x-www-form-urlencoded; charset=utf-16",
        "application/x-www-form-urlencoded; charset=iso-8859-1",
        "application/x-www-form-urlencoded, application/json",
        "application/x-www-form-urlencoded; charset=utf-8; charset=utf-7",
        "application/jwt",
        "application/scim+json",
        "message/http",
    ] {
        let request = request(lab).content_type(Some(media));
        cases.push(stranger(format!("content type {media:?}"), request, TYPE));
    }
    for media in [
        "application/x-www-form-urlencoded; charset=utf-8",
        "Application/X-WWW-Form-Urlencoded",
        "application/x-www-form-urlencoded;charset=UTF-8",
    ] {
        cases.push(granted(
            format!("content type {media:?}"),
            request(lab).content_type(Some(media)),
        ));
    }
    cases
}

fn codings(lab: &Lab) -> Vec<Case> {
    // The start of a stream of zeros that would grow a thousandfold.
    let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xed, 0xc1, 1, 1, 0, 0, 0, 0x80, 0x90, 0xfe];
    let mut cases = Vec::new();
    for coding in [
        "gzip",
        "deflate",
        "br",
        "zstd",
        "compress",
        "gzip, gzip",
        "identity, gzip",
        MARKER,
        "GZIP",
        "",
    ] {
        let request = request(lab).header("Content-Encoding", coding).raw(gzip);
        cases.push(stranger(format!("coding {coding:?}"), request, TYPE));
    }
    let plain = request(lab).raw(gzip);
    cases.push(stranger("compressed without saying so", plain, MALFORMED));
    cases
}

fn forms(lab: &Lab) -> Vec<Case> {
    let raw = |body: &[u8]| OAuthRequest::new(TOKEN).basic("gateway", SECRET).raw(body);
    let mut cases: Vec<Case> = [
        ("NUL in a value", &b"grant_type=a%00"[..]),
        ("NUL in a name", b"grant%00type=a"),
        ("a raw NUL", b"grant_type=a\0"),
        ("half an escape", b"grant_type=%4"),
        ("a bare percent sign", b"grant_type=%"),
        ("no hexadecimal", b"grant_type=%zz"),
        ("a signed escape", b"grant_type=%+1"),
        ("a wide escape", b"grant_type=%u0041"),
        ("no UTF-8", b"grant_type=%ff"),
        ("overlong UTF-8", b"grant_type=%c0%af"),
        ("a surrogate", b"grant_type=%ed%a0%80"),
        ("raw bytes that are no UTF-8", b"grant_type=\xff\xfe"),
        ("no UTF-8 in a name", b"%ff=1"),
        ("no UTF-8 in an unknown parameter", b"grant_type=a&x=%ff"),
    ]
    .into_iter()
    .map(|(name, body)| stranger(format!("form: {name}"), raw(body), MALFORMED))
    .collect();
    let many = |count: usize| request(lab).and_raw("&a=1".repeat(count).as_bytes());
    let long_name = format!("&{}=1", "n".repeat(65));
    cases.push(stranger("form: 65 parameters", many(65), MALFORMED));
    cases.push(stranger("form: 10,000 parameters", many(10_000), MALFORMED));
    cases.push(stranger("form: 100,000 parameters", many(100_000), "body_too_large"));
    cases.push(stranger(
        "form: a name of 65 bytes",
        request(lab).and_raw(long_name.as_bytes()),
        MALFORMED,
    ));
    cases.push(stranger(
        "form: 60,000 ampersands and a NUL",
        raw(&[&[b'&'; 60_000][..], b"%00"].concat()),
        MALFORMED,
    ));
    cases.push(granted("form: 60 parameters", many(50)));
    let scopes = |text: &str| request(lab).and_raw(format!("&scope={text}").as_bytes());
    cases.push(granted("form: a space as plus sign", scopes("orders:read+orders:write")));
    cases.push(granted("form: a space as escape", scopes("orders:read%20orders:write")));
    cases.push(refused(
        "form: a plus sign, escaped",
        scopes("orders:read%2borders:write"),
        "scope_not_allowed",
    ));
    cases
}

fn queries(lab: &Lab) -> Vec<Case> {
    const IN_QUERY: &str = "parameter_in_query";
    let mut cases = Vec::new();
    for path in [TOKEN, INTROSPECT, REVOKE] {
        for (name, query) in [
            ("client credentials", format!("client_id=gateway&client_secret={SECRET}")),
            ("a token", format!("token={MARKER}")),
            ("an access token", format!("access_token={MARKER}")),
            ("anything", MARKER.to_owned()),
            ("nothing", String::new()),
        ] {
            let request = request(lab).set("token", MARKER).target(&format!("{path}?{query}"));
            cases.push(stranger(format!("{path}?: {name}"), request, IN_QUERY));
        }
    }
    cases
}

fn methods(lab: &Lab) -> Vec<Case> {
    let mut cases = Vec::new();
    for path in [TOKEN, INTROSPECT, REVOKE] {
        for method in
            ["GET", "PUT", "PATCH", "DELETE", "TRACE", "OPTIONS", "PROPFIND", "post", "Zq7planted"]
        {
            let request = request(lab).target(path).method(method);
            cases.push(stranger(format!("{method} {path}"), request, NOT_ALLOWED));
        }
    }
    for path in DOCUMENTS {
        for method in ["POST", "PUT", "DELETE"] {
            let request = OAuthRequest::new(path).method(method).set("x", MARKER);
            cases.push(stranger(format!("{method} {path}"), request, NOT_ALLOWED));
        }
    }
    for header in ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"] {
        let request = request(lab).method("GET").header(header, "POST");
        cases.push(stranger(format!("GET with {header}"), request, NOT_ALLOWED));
    }
    let star = request(lab).method("OPTIONS").target("*");
    cases.push(stranger("OPTIONS *", star, NOT_FOUND));
    let field = request(lab).method("GET").set("_method", "POST");
    cases.push(stranger("GET with _method", field, NOT_ALLOWED));
    cases
}

fn addresses(lab: &Lab) -> Vec<Case> {
    let paths = [
        "/",
        "/eu",
        "/eu/",
        "/token",
        "/eu/token/",
        "/eu//token",
        "//eu/token",
        "/EU/token",
        "/eu/Token",
        "/eu/./token",
        "/eu/x/../token",
        "/eu/%74oken",
        "/eu/token%00",
        "/eu/token%2f",
        "/eu/token;jsessionid=1",
        "/eu/tokens",
        "/us/token",
        "/eu/statuslists/0000000000000000/1",
        "/metrics",
        "/readyz",
        "/livez",
        "/.env",
        "/admin",
        "/eu/errors",
        "/eu/errors/",
        "/eu/errors/Zq7planted",
        "/eu/errors/..%2f..%2fetc%2fpasswd",
        "/.well-known/openid-configuration",
        "/eu/.well-known/oauth-authorization-server",
        "/eu/register",
        "/eu/userinfo",
        "/eu/authorize",
    ];
    paths
        .iter()
        .map(|path| {
            let method = if path.starts_with("/eu/errors/") { "GET" } else { "POST" };
            let request = request(lab).target(path).method(method);
            stranger(format!("{method} {path}"), request, NOT_FOUND)
        })
        .collect()
}

fn hosts(lab: &Lab) -> Vec<Case> {
    let at = |host: &str| request(lab).header("Host", host);
    let mut cases = vec![
        stranger("another region's host", at(OTHER_HOST), WRONG_REGION),
        stranger(
            "another region's host, in capitals",
            at(&OTHER_HOST.to_uppercase()),
            WRONG_REGION,
        ),
        stranger(
            "another region's host, with the port",
            at(&format!("{OTHER_HOST}:443")),
            WRONG_REGION,
        ),
        stranger(
            "another region in the request line",
            request(lab).target(&format!("http://{OTHER_HOST}{TOKEN}")).header("Host", OTHER_HOST),
            WRONG_REGION,
        ),
        granted("this region's host", at("eu.exequatur.example")),
        granted("a host that nobody has", at("zq.example")),
    ];
    for (path, method) in
        [(INTROSPECT, "POST"), (REVOKE, "POST"), ("/eu/jwks", "GET"), ("/nowhere", "GET")]
    {
        let request = at(OTHER_HOST).target(path).method(method);
        cases.push(stranger(format!("another region's host: {path}"), request, WRONG_REGION));
    }
    cases
}

/// Headers by which a stranger would speak for a proxy, or choose what only the node may choose.
fn headers(lab: &Lab) -> Vec<Case> {
    let with = |name: &str, value: &str| request(lab).header(name, value);
    let mut cases: Vec<Case> = [
        ("X-Forwarded-Host", OTHER_HOST),
        ("X-Forwarded-For", MARKER),
        ("X-Forwarded-Proto", "http"),
        ("Forwarded", "for=Zq7planted;host=us.exequatur.example"),
        ("X-Real-IP", MARKER),
        ("X-Client-Cert", MARKER),
        ("Client-Cert", ":Zq7planted:"),
        ("X-Original-URL", "/admin"),
        ("X-Rewrite-URL", "/admin"),
        ("X-Request-Id", MARKER),
        ("traceparent", MARKER),
        ("Origin", "null"),
        ("Origin", "https://zq7planted.example"),
        ("Cookie", MARKER),
        ("DPoP", MARKER),
        ("Accept", "application/x-Zq7planted"),
        ("Accept-Encoding", "gzip, br"),
        ("Range", "bytes=0-1"),
        ("If-None-Match", "*"),
    ]
    .into_iter()
    .map(|(name, value)| granted(format!("{name}: {value}"), with(name, value)))
    .collect();
    for (name, value) in [("X-Request-Id", MARKER), ("Origin", "null"), ("X-Client-Cert", MARKER)] {
        let request = with(name, value).anonymous();
        cases.push(stranger(
            format!("{name} without client"),
            request,
            "client_authentication_missing",
        ));
    }
    cases
}

#[test]
fn a_wrong_method_is_answered_with_the_right_one_and_never_with_a_body_to_head() {
    let lab = Lab::start();
    let send = |method: &str, path: &str| HttpRequest::new(method, path).send(lab.public());
    for path in [TOKEN, INTROSPECT, REVOKE] {
        for method in ["GET", "HEAD", "OPTIONS", "DELETE"] {
            let answer = send(method, path);
            assert_eq!((answer.status, answer.header("allow")), (405, "POST"), "{method} {path}");
            assert_eq!(answer.header("cache-control"), "no-store");
            assert_eq!(answer.header("access-control-allow-origin"), "");
            assert_eq!(answer.body.is_empty(), method == "HEAD", "{method} {path}");
        }
    }
    for path in DOCUMENTS {
        let answer = send("POST", path);
        assert_eq!((answer.status, answer.header("allow")), (405, "GET,HEAD"), "{path}");
    }
}

#[test]
fn documents_are_public_equal_and_without_anything_of_the_request() {
    let lab = Lab::start();
    let fetch = |method: &str, path: &str| {
        HttpRequest::new(method, path)
            .header("Origin", &format!("https://{MARKER}.example"))
            .header("X-Forwarded-Host", MARKER)
            .header("Host", "zq.example")
            .send(lab.public())
    };
    let [jwks, openid, oauth] = DOCUMENTS.map(|path| fetch("GET", path));
    for (answer, path) in [&jwks, &openid, &oauth].into_iter().zip(DOCUMENTS) {
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, "*"));
        assert_eq!(answer.header("access-control-allow-credentials"), "");
        assert!(answer.header("cache-control").starts_with("public"), "{answer:?}");
        assert!(!answer.everything().contains(MARKER), "{answer:?}");
        let head = fetch("HEAD", path);
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(head.header("content-length"), answer.body.len().to_string());
    }
    assert_eq!(openid.body, oauth.body);
    assert_eq!(openid.json()["issuer"], ISSUER);
    let private = ["d", "p", "q", "dp", "dq", "qi", "k"];
    for key in jwks.json()["keys"].as_array().unwrap() {
        assert!(private.iter().all(|member| key[member].is_null()), "{key}");
    }
}

#[test]
fn every_error_uri_resolves_to_its_own_text() {
    let lab = Lab::start();
    for id in exequatur_federation::refusal::RefusalId::catalogue() {
        let answer = HttpRequest::new("GET", &format!("/eu/errors/{id}")).send(lab.public());
        assert_eq!(answer.status, 200, "{id}");
        assert!(answer.text().starts_with(&format!("{id}\n")), "{answer:?}");
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    }
}
