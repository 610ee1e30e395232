//! The stack as a service, without sockets.

use axum::response::IntoResponse as _;
use axum::routing::{get, post};
use http::StatusCode;
use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::ServiceExt as _;

use super::*;
use crate::entropy::{EntropyError, SystemEntropy};
use crate::net::body::read_body;
use crate::net::limits::Limits;
use crate::net::serve::Server;
use crate::net::tls::Tls;

struct NoEntropy;

impl Entropy for NoEntropy {
    fn fill(&self, _bytes: &mut [u8]) -> Result<(), EntropyError> {
        Err(EntropyError)
    }
}

fn render(unserved: Unserved, id: Option<&RequestId>) -> Response<Body> {
    let status = match unserved {
        Unserved::ContentEncoded => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Unserved::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        Unserved::Overloaded | Unserved::TimedOut | Unserved::NoEntropy => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    let id = id.map(ToString::to_string).unwrap_or_default();
    (status, format!("{unserved:?} {id}")).into_response()
}

type Render = fn(Unserved, Option<&RequestId>) -> Response<Body>;

fn parts() -> StackParts<Render> {
    StackParts {
        limits: StackLimits { in_flight_max: 1, request: Duration::from_secs(3_600) },
        entropy: Arc::new(SystemEntropy::default()),
        metrics: Arc::new(Metrics::new()),
        render,
    }
}

fn routes() -> Router {
    let cached = get(|| async { ([(header::CACHE_CONTROL, "max-age=60")], "keys") });
    Router::new()
        .route("/token", post(|id: axum::Extension<RequestId>| async move { id.to_string() }))
        .route("/panic", get(|| async { trip() }))
        .route("/hang", get(|| async { std::future::pending::<&str>().await }))
        .merge(readable_from_any_origin(Router::new().route("/jwks", cached)))
}

fn trip() -> &'static str {
    panic!("secret")
}

async fn send(parts: StackParts<Render>, request: Request<Body>) -> (Response<()>, String) {
    let response = stack(routes(), parts).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (Response::from_parts(parts, ()), String::from_utf8(bytes.to_vec()).unwrap())
}

fn request(method: &str, path: &str) -> Request<Body> {
    Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn the_request_id_is_ours_and_the_same_for_handler_and_client() {
    let mut request = request("POST", "/token");
    request.headers_mut().insert("x-request-id", HeaderValue::from_static("chosen"));
    let (response, body) = send(parts(), request).await;
    assert_eq!(response.headers()["x-request-id"], body);
    assert_eq!(body.len(), 22);
}

#[tokio::test]
async fn answers_are_never_stored_unless_they_say_so() {
    let (response, _) = send(parts(), request("POST", "/token")).await;
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    assert_eq!(response.headers()[header::PRAGMA], "no-cache");
    assert_eq!(response.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    let (response, _) = send(parts(), request("GET", "/jwks")).await;
    assert_eq!(response.headers()[header::CACHE_CONTROL], "max-age=60");
    assert!(!response.headers().contains_key(header::PRAGMA));
}

#[tokio::test]
async fn only_public_documents_are_readable_from_other_origins() {
    let cors = header::ACCESS_CONTROL_ALLOW_ORIGIN;
    let (response, _) = send(parts(), request("GET", "/jwks")).await;
    assert_eq!(response.headers()[&cors], "*");
    for (method, path) in [("POST", "/token"), ("OPTIONS", "/token"), ("GET", "/none")] {
        let mut request = request(method, path);
        request.headers_mut().insert(header::ORIGIN, HeaderValue::from_static("null"));
        let (response, _) = send(parts(), request).await;
        assert!(!response.headers().contains_key(&cors), "{method} {path}");
    }
}

#[tokio::test]
async fn a_wrong_method_is_answered_with_those_allowed() {
    let (response, _) = send(parts(), request("GET", "/token")).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()[header::ALLOW], "POST");
}

#[tokio::test]
async fn encoded_bodies_are_refused_and_identity_is_not() {
    for (coding, status) in [
        ("gzip", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("identity, gzip", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("Identity", StatusCode::OK),
    ] {
        let mut request = request("POST", "/token");
        request.headers_mut().insert(header::CONTENT_ENCODING, coding.parse().unwrap());
        let (response, body) = send(parts(), request).await;
        assert_eq!(response.status(), status, "{coding}");
        assert!(!body.contains("gzip"), "nothing is reflected");
    }
}

#[tokio::test]
async fn a_panic_is_one_requests_error_and_says_nothing_of_itself() {
    let parts = parts();
    let panics = parts.metrics.handler_panics.clone();
    let (response, body) = send(parts, request("GET", "/panic")).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(body.starts_with("Panicked") && !body.contains("secret"), "{body}");
    assert_eq!(panics.get(), 1);
}

#[tokio::test]
async fn a_handler_that_hangs_is_answered_for() {
    let limits = StackLimits { request: Duration::from_millis(1), ..StackLimits::public() };
    let (response, body) = send(StackParts { limits, ..parts() }, request("GET", "/hang")).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.starts_with("TimedOut"), "{body}");
}

#[tokio::test]
async fn without_entropy_nothing_reaches_a_handler() {
    let entropy = Arc::new(NoEntropy);
    let (response, body) = send(StackParts { entropy, ..parts() }, request("POST", "/token")).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body, "NoEntropy ");
    assert!(!response.headers().contains_key("x-request-id"));
}

#[tokio::test]
async fn excess_is_shed_and_the_place_comes_back() {
    let (begun, may_end) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (begins, ends) = (Arc::clone(&begun), Arc::clone(&may_end));
    let gated = get(|| async move {
        begins.add_permits(1);
        let _permit = ends.acquire().await.unwrap();
        "done"
    });
    let service = stack(Router::new().route("/", gated), parts());
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(service.clone().oneshot(request("GET", "/")));
    let _begun = begun.acquire().await.unwrap();
    let shed = service.clone().oneshot(request("GET", "/")).await.unwrap();
    assert_eq!(shed.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(shed.headers().contains_key("x-request-id"), "an overload answer has an id too");
    may_end.add_permits(2);
    let first = tasks.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(first.status(), StatusCode::OK);
    let next = service.oneshot(request("GET", "/")).await.unwrap();
    assert_eq!(next.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_serve_loop_serves_the_stack() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let echo = post(|body: Body| async { read_body(body).await.unwrap() });
    let server = Server {
        service: stack(Router::new().route("/token", echo), parts()),
        tls: Tls::Plain,
        limits: Limits::public(),
        meters: Metrics::new().connections("test"),
    };
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(server.serve(listener, std::future::pending()));
    let head = "POST /token HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\n";
    for (coding, status) in [("", "200"), ("Content-Encoding: gzip\r\n", "415")] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("{head}{coding}\r\nabc").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains("\r\nx-request-id: "), "{answer}");
    }
}

#[test]
fn only_what_can_pass_says_when_to_retry() {
    assert_eq!(Unserved::Overloaded.retry_after_seconds(), Some(1));
    assert_eq!(Unserved::ContentEncoded.retry_after_seconds(), None);
}
