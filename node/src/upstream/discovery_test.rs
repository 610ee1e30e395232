//! Metadata: which addresses are asked, and which documents are believed.

use serde_json::{Value, json};

use super::{
    DiscoveryError, FetchError, IssuerMetadata, RemoteUrl, UrlError, discover, testing::Pages,
};

const ISSUER: &str = "https://login.example.com/realms/global";
const OPENID: &str = "https://login.example.com/realms/global/.well-known/openid-configuration";
const OAUTH: &str =
    "https://login.example.com/.well-known/oauth-authorization-server/realms/global";

fn document(members: &Value) -> String {
    let mut document = json!({"issuer": ISSUER, "jwks_uri": "https://login.example.com/jwks"});
    for (name, value) in members.as_object().unwrap() {
        document[name] = value.clone();
    }
    document.to_string()
}

async fn discovered(openid: &str) -> Result<IssuerMetadata, DiscoveryError> {
    let pages = Pages::open();
    pages.put(OPENID, openid);
    discover(&*pages, &RemoteUrl::issuer(ISSUER).unwrap()).await
}

#[tokio::test]
async fn the_openid_document_is_asked_for_first_and_read() {
    let pages = Pages::open();
    pages.put(
        OPENID,
        document(&json!({
            "token_endpoint": "https://login.example.com/token",
            "id_token_signing_alg_values_supported": ["RS256", "ES256", 7],
            "claims_supported": ["sub", "email"],
            "scopes_supported": ["openid"],
        })),
    );
    let found = discover(&*pages, &RemoteUrl::issuer(ISSUER).unwrap()).await.unwrap();
    assert_eq!(pages.asked(), [OPENID]);
    assert_eq!(found.issuer.as_str(), ISSUER);
    assert_eq!(found.jwks_uri.as_str(), "https://login.example.com/jwks");
    assert_eq!(found.token_endpoint.unwrap().as_str(), "https://login.example.com/token");
    assert_eq!(found.id_token_signing_alg_values_supported, ["RS256", "ES256"]);
    assert_eq!(found.claims_supported, ["sub", "email"]);
}

#[tokio::test]
async fn the_oauth_address_is_asked_for_when_the_first_says_not_here() {
    for not_here in [
        FetchError::Status { status: 404 },
        FetchError::Status { status: 403 },
        FetchError::ContentType { got: "text/html".to_owned() },
    ] {
        let pages = Pages::open();
        pages.fail(OPENID, not_here);
        pages.put(OAUTH, document(&json!({})));
        assert!(discover(&*pages, &RemoteUrl::issuer(ISSUER).unwrap()).await.is_ok());
        assert_eq!(pages.asked(), [OPENID, OAUTH]);
    }
}

#[tokio::test]
async fn a_host_that_fails_is_not_asked_twice() {
    for failing in [
        FetchError::Status { status: 503 },
        FetchError::Connect { reason: "refused".to_owned() },
        FetchError::Redirect { host: "elsewhere.example".to_owned() },
        FetchError::BodyTooLarge { limit: 1 },
    ] {
        let pages = Pages::open();
        pages.fail(OPENID, failing.clone());
        pages.put(OAUTH, document(&json!({})));
        let found = discover(&*pages, &RemoteUrl::issuer(ISSUER).unwrap()).await;
        assert_eq!(found, Err(DiscoveryError::Fetch { url: OPENID.to_owned(), cause: failing }));
        assert_eq!(pages.asked(), [OPENID]);
    }
}

#[tokio::test]
async fn an_issuer_without_documents_is_told_what_to_set() {
    let pages = Pages::open();
    let error = discover(&*pages, &RemoteUrl::issuer(ISSUER).unwrap()).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(OPENID) && text.contains(OAUTH), "{text}");
    assert!(text.contains("status 404") && text.contains("jwks_uri"), "{text}");
}

#[tokio::test]
async fn a_slash_at_the_end_belongs_to_the_issuer_but_not_to_the_address() {
    let cases = [
        ("https://a.example", "https://a.example"),
        ("https://a.example/", "https://a.example"),
        ("https://a.example/t/", "https://a.example/t"),
    ];
    for (issuer, base) in cases {
        let pages = Pages::open();
        let page = json!({"issuer": issuer, "jwks_uri": "https://a.example/jwks"}).to_string();
        pages.put(&format!("{base}/.well-known/openid-configuration"), page.clone());
        assert!(discover(&*pages, &RemoteUrl::issuer(issuer).unwrap()).await.is_ok(), "{issuer}");

        let pages = Pages::open();
        let path = base.strip_prefix("https://a.example").unwrap();
        let oauth = format!("https://a.example/.well-known/oauth-authorization-server{path}");
        pages.put(&oauth, page);
        assert!(discover(&*pages, &RemoteUrl::issuer(issuer).unwrap()).await.is_ok(), "{issuer}");
    }
}

#[tokio::test]
async fn a_document_that_names_another_issuer_is_refused_whatever_the_difference() {
    for got in [
        "https://login.example.com/realms/global/",
        "https://login.example.com/realms/Global",
        "HTTPS://login.example.com/realms/global",
        "https://login.example.com:443/realms/global",
        "https://login.example.com/realms/other",
        "https://evil.example/realms/global",
        "https://login.microsoftonline.com/{tenantid}/v2.0",
        "",
    ] {
        let found = discovered(&document(&json!({"issuer": got}))).await;
        let expected = DiscoveryError::IssuerMismatch {
            url: OPENID.to_owned(),
            expected: ISSUER.to_owned(),
            got: got.to_owned(),
        };
        assert_eq!(found, Err(expected));
    }
    for strange in [json!(null), json!([ISSUER]), json!(7)] {
        let found = discovered(&document(&json!({"issuer": strange}))).await;
        assert!(matches!(found, Err(DiscoveryError::IssuerMismatch { .. })), "{found:?}");
    }
}

#[tokio::test]
async fn keys_must_stand_at_an_https_address() {
    for (uri, downgrade) in [
        (json!("http://login.example.com/jwks"), false),
        (json!("http://169.254.169.254/latest/meta-data"), false),
        (json!("http://127.0.0.1:9090/metrics"), true),
        (json!("http://localhost/jwks"), true),
        (json!("file:///etc/passwd"), false),
        (json!("/jwks"), false),
        (json!(null), false),
        (json!(["https://login.example.com/jwks"]), false),
    ] {
        let found = discovered(&document(&json!({"jwks_uri": uri}))).await;
        let Err(DiscoveryError::JwksUri { cause, .. }) = found else {
            panic!("{uri}: {found:?}");
        };
        assert_eq!(matches!(cause, UrlError::Downgrade { .. }), downgrade, "{uri}: {cause}");
    }
    let elsewhere = json!({"jwks_uri": "https://keys.example.net/certs?v=3"});
    assert!(discovered(&document(&elsewhere)).await.is_ok());
}

#[tokio::test]
async fn a_development_issuer_on_loopback_may_name_loopback() {
    let pages = Pages::open();
    let issuer = "http://127.0.0.1:8080";
    pages.put(
        "http://127.0.0.1:8080/.well-known/openid-configuration",
        json!({"issuer": issuer, "jwks_uri": "http://127.0.0.1:8080/jwks"}).to_string(),
    );
    assert!(discover(&*pages, &RemoteUrl::issuer(issuer).unwrap()).await.is_ok());
}

#[tokio::test]
async fn a_text_that_is_no_strict_json_object_is_refused() {
    let twice = format!(r#"{{"issuer":"https://evil.example","issuer":"{ISSUER}"}}"#);
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(40), "]".repeat(40));
    for text in ["", "[]", "null", "<html>", "{", &twice, &deep] {
        let found = discovered(text).await;
        assert!(matches!(found, Err(DiscoveryError::Malformed { .. })), "{text}: {found:?}");
    }
}

#[tokio::test]
async fn lists_are_bounded_and_an_unacceptable_token_endpoint_is_left_out() {
    let names: Vec<String> = (0..1_000).map(|i| format!("claim_{i}")).collect();
    let long = "x".repeat(201);
    let found = discovered(&document(&json!({
        "claims_supported": names,
        "id_token_signing_alg_values_supported": [long, "ES256"],
        "token_endpoint": "http://login.example.com/token",
    })))
    .await
    .unwrap();
    assert_eq!(found.claims_supported.len(), 200);
    assert_eq!(found.id_token_signing_alg_values_supported, ["ES256"]);
    assert_eq!(found.token_endpoint, None);
}
