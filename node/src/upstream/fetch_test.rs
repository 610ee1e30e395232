//! One GET against a real server on loopback: what is accepted, and every way in which an answer
//! is refused (F50).

use std::{path::Path, sync::Arc, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls_pki_types::PrivateKeyDer;
use tokio::net::TcpListener;

use super::{
    Fetch as _, FetchError, FetchLimits, HttpFetcher, RemoteUrl, TrustRoots,
    testing::{Answer, Server},
};

/// Long enough that no test meets it by accident.
const PATIENT: FetchLimits =
    FetchLimits { body_bytes_max: 1_024, deadline: Duration::from_secs(30) };
const IMPATIENT: FetchLimits =
    FetchLimits { body_bytes_max: 1_024, deadline: Duration::from_millis(50) };

async fn fetch(url: &RemoteUrl, limits: FetchLimits) -> Result<String, FetchError> {
    fetch_trusting(&TrustRoots::none(), url, limits).await
}

async fn fetch_trusting(
    roots: &TrustRoots,
    url: &RemoteUrl,
    limits: FetchLimits,
) -> Result<String, FetchError> {
    let fetcher = HttpFetcher::new(roots.connector(limits).unwrap(), limits);
    fetcher.fetch(url).await.map(|body| String::from_utf8(body.to_vec()).unwrap())
}

/// What one answer at `/doc` becomes.
async fn fetched(answer: Answer) -> Result<String, FetchError> {
    let server = Server::start().await;
    server.answer("/doc", answer);
    fetch(&server.url("/doc"), PATIENT).await
}

#[tokio::test]
async fn a_document_is_asked_for_plainly_and_returned_whole() {
    let server = Server::start().await;
    server.answer("/doc", Answer::json("{}"));
    assert_eq!(fetch(&server.url("/doc?policy=a"), PATIENT).await, Ok("{}".to_owned()));
    let requests = server.requests();
    let header = |name| requests[0].headers().get(name).map(|v| v.to_str().unwrap());
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].method(), "GET");
    assert_eq!(requests[0].uri(), "/doc?policy=a");
    assert_eq!(header("accept"), Some("application/json"));
    assert_eq!(header("accept-encoding"), Some("identity"));
    assert_eq!(header("host"), Some(format!("127.0.0.1:{}", server.port()).as_str()));
    assert_eq!(header("authorization"), None);
}

#[tokio::test]
async fn the_two_json_types_are_accepted_with_parameters_and_in_any_case() {
    for accepted in [
        "application/json",
        "application/json; charset=utf-8",
        "APPLICATION/JSON;charset=UTF-8",
        "application/jwk-set+json",
    ] {
        assert!(fetched(Answer::typed(accepted, "{}")).await.is_ok(), "{accepted}");
    }
}

#[tokio::test]
async fn what_is_not_declared_to_be_json_is_refused() {
    for refused in
        ["", "text/html", "text/plain", "application/jsonp", "text/json", "application/jwt"]
    {
        let found = fetched(Answer::typed(refused, "{}")).await;
        assert_eq!(found, Err(FetchError::ContentType { got: refused.to_owned() }));
    }
    let untyped = fetched(Answer::Whole(200, Vec::new(), "{}".to_owned())).await;
    assert_eq!(untyped, Err(FetchError::ContentType { got: String::new() }));
}

#[tokio::test]
async fn every_other_status_than_200_is_an_error() {
    for status in [201, 204, 206, 400, 401, 403, 404, 410, 429, 500, 502, 503, 504] {
        let headers = vec![("content-type", "application/json".to_owned())];
        let found = fetched(Answer::Whole(status, headers, String::new())).await;
        assert_eq!(found, Err(FetchError::Status { status }));
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_only_its_host_is_named() {
    let inside = Server::start().await;
    inside.answer("/latest", Answer::json(r#"{"secret":1}"#));
    for status in [301, 302, 303, 307, 308] {
        let target = format!("http://127.0.0.1:{}/latest?token=abc", inside.port());
        let error = fetched(Answer::redirect(status, &target)).await.unwrap_err();
        assert_eq!(error, FetchError::Redirect { host: "127.0.0.1".to_owned() });
        assert!(!error.to_string().contains("token"), "{error}");
        assert!(error.to_string().contains("write the final address"), "{error}");
    }
    let cloud = fetched(Answer::redirect(302, "http://169.254.169.254/latest/meta-data")).await;
    assert_eq!(cloud, Err(FetchError::Redirect { host: "169.254.169.254".to_owned() }));
    let relative = fetched(Answer::redirect(302, "/elsewhere")).await;
    assert_eq!(relative, Err(FetchError::Redirect { host: "the same".to_owned() }));
    assert!(inside.requests().is_empty());
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_read_and_one_byte_more_is_not() {
    let exact = "x".repeat(PATIENT.body_bytes_max);
    assert_eq!(fetched(Answer::json(exact.clone())).await, Ok(exact.clone()));
    let limit = PATIENT.body_bytes_max;
    let over = fetched(Answer::json(exact + "x")).await;
    assert_eq!(over, Err(FetchError::BodyTooLarge { limit }));
}

#[tokio::test]
async fn a_body_without_end_is_cut_off_at_the_limit() {
    let limit = PATIENT.body_bytes_max;
    assert_eq!(fetched(Answer::Endless).await, Err(FetchError::BodyTooLarge { limit }));
}

#[tokio::test]
async fn a_gigabyte_that_is_announced_is_not_read() {
    let server = Server::start_raw(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1073741824\r\n\r\n{",
    )
    .await;
    let found = fetch(&server.url("/doc"), PATIENT).await;
    assert_eq!(found, Err(FetchError::BodyTooLarge { limit: PATIENT.body_bytes_max }));
}

#[tokio::test]
async fn a_compressed_body_is_refused() {
    let headers = vec![
        ("content-type", "application/json".to_owned()),
        ("content-encoding", "gzip".to_owned()),
    ];
    let found = fetched(Answer::Whole(200, headers, "{}".to_owned())).await;
    assert_eq!(found, Err(FetchError::ContentEncoding { got: "gzip".to_owned() }));
}

#[tokio::test]
async fn an_issuer_that_is_slow_to_answer_or_stalls_in_the_body_meets_the_deadline() {
    for answer in [Answer::Silence, Answer::Stall] {
        let server = Server::start().await;
        server.answer("/doc", answer);
        let found = fetch(&server.url("/doc"), IMPATIENT).await;
        assert_eq!(found, Err(FetchError::Deadline { limit: IMPATIENT.deadline }));
    }
    // A listener that never accepts: the handshake is part of the deadline too.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = RemoteUrl::configured(&format!("https://127.0.0.1:{port}/")).unwrap();
    let found = fetch(&url, IMPATIENT).await;
    assert_eq!(found, Err(FetchError::Deadline { limit: IMPATIENT.deadline }));
}

#[tokio::test]
async fn an_issuer_that_is_down_is_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let url = RemoteUrl::configured(&format!("http://127.0.0.1:{port}/doc")).unwrap();
    let error = fetch(&url, PATIENT).await.unwrap_err();
    assert!(matches!(error, FetchError::Connect { .. }), "{error:?}");
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn what_is_not_http_or_breaks_off_is_refused() {
    let answers: [&'static [u8]; 5] = [
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-le",
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
          transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n",
    ];
    for bytes in answers {
        let server = Server::start_raw(bytes).await;
        let found = fetch(&server.url("/doc"), PATIENT).await;
        assert!(matches!(found, Err(FetchError::Interrupted { .. })), "{bytes:?}: {found:?}");
    }
}

#[tokio::test]
async fn an_answer_before_the_connection_closes_is_read_to_its_end() {
    let server = Server::start_raw(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{\"a\":1}",
    )
    .await;
    assert_eq!(fetch(&server.url("/doc"), PATIENT).await, Ok(r#"{"a":1}"#.to_owned()));
}

/// A private authority, and a server's certificate for `name` that it signed.
fn authority(name: &str) -> (String, rustls::ServerConfig) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    (issuer.pem(), config)
}

fn trusting(pem: &str, directory: &Path) -> TrustRoots {
    let path = directory.join("ca.pem");
    std::fs::write(&path, pem).unwrap();
    TrustRoots::none().with_ca_file(&path).unwrap()
}

#[tokio::test]
async fn a_server_under_a_private_authority_is_trusted_only_where_that_is_configured() {
    let directory = tempfile::tempdir().unwrap();
    let (pem, config) = authority("localhost");
    let server = Server::start_tls(config).await;
    server.answer("/doc", Answer::json("{}"));
    let text = format!("https://localhost:{}/doc", server.port());
    let url = RemoteUrl::configured(&text).unwrap();

    let roots = trusting(&pem, directory.path());
    assert_eq!(fetch_trusting(&roots, &url, PATIENT).await, Ok("{}".to_owned()));

    let (other, _) = authority("localhost");
    for roots in [TrustRoots::none(), TrustRoots::system(), trusting(&other, directory.path())] {
        let error = fetch_trusting(&roots, &url, PATIENT).await.unwrap_err();
        assert!(matches!(error, FetchError::Connect { .. }), "{error:?}");
        assert!(error.to_string().contains("certificate"), "{error}");
    }
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (pem, config) = authority("login.example.com");
    let server = Server::start_tls(config).await;
    let text = format!("https://localhost:{}/doc", server.port());
    let url = RemoteUrl::configured(&text).unwrap();
    let error = fetch_trusting(&trusting(&pem, directory.path()), &url, PATIENT).await.unwrap_err();
    assert!(error.to_string().contains("not valid for name"), "{error}");
    assert!(server.requests().is_empty());
}
