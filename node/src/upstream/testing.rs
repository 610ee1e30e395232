//! Doubles of this module's tests: a clock that is set by hand, documents in memory, and a small
//! HTTP server on loopback that answers as badly as it is told to.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use axum::body::Body;
use bytes::Bytes;
use exequatur_federation::{
    jose::{Algorithm, PublicKey},
    time::UnixTime,
};
use futures_util::future::BoxFuture;
use http::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use super::{Fetch, FetchError, RemoteUrl};
use crate::clock::Clock;

/// A clock that stands still until it is told to move.
#[derive(Default)]
pub(super) struct FakeClock(AtomicU64);

impl FakeClock {
    pub(super) fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> UnixTime {
        UnixTime::from_seconds(1_800_000_000 + self.0.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

/// A fresh P-256 signing key, published under `kid`.
pub(super) fn jwk(kid: &str) -> Value {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let pair =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).unwrap();
    let public = PublicKey::p256_from_point(pair.public_key().as_ref()).unwrap();
    let mut jwk = public.to_jwk(Algorithm::Es256);
    jwk["kid"] = json!(kid);
    jwk
}

/// A key set of fresh keys.
pub(super) fn jwks(kids: &[&str]) -> String {
    let keys: Vec<Value> = kids.iter().map(|kid| jwk(kid)).collect();
    json!({"keys": keys}).to_string()
}

/// Documents in memory, and a list of what was asked for.
pub(super) struct Pages {
    pages: Mutex<BTreeMap<String, Result<String, FetchError>>>,
    asked: Mutex<Vec<String>>,
    gate: Semaphore,
}

impl Pages {
    /// No pages; every fetch passes.
    pub(super) fn open() -> Arc<Self> {
        Self::behind(Semaphore::MAX_PERMITS)
    }

    /// No pages; every fetch waits for [`Self::let_pass`].
    pub(super) fn closed() -> Arc<Self> {
        Self::behind(0)
    }

    fn behind(permits: usize) -> Arc<Self> {
        let (pages, asked) = (Mutex::default(), Mutex::default());
        Arc::new(Self { pages, asked, gate: Semaphore::new(permits) })
    }

    pub(super) fn let_pass(&self, fetches: usize) {
        self.gate.add_permits(fetches);
    }

    pub(super) fn put(&self, url: &str, page: impl Into<String>) {
        self.pages.lock().unwrap().insert(url.to_owned(), Ok(page.into()));
    }

    pub(super) fn fail(&self, url: &str, error: FetchError) {
        self.pages.lock().unwrap().insert(url.to_owned(), Err(error));
    }

    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    pub(super) fn fetches(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl Fetch for Pages {
    fn fetch<'a>(&'a self, url: &'a RemoteUrl) -> BoxFuture<'a, Result<Bytes, FetchError>> {
        Box::pin(async move {
            self.asked.lock().unwrap().push(url.to_string());
            self.gate.acquire().await.unwrap().forget();
            let found = self.pages.lock().unwrap().get(url.as_str()).cloned();
            found.unwrap_or(Err(FetchError::Status { status: 404 })).map(Bytes::from)
        })
    }
}

/// How the server answers one path.
#[derive(Clone)]
pub(super) enum Answer {
    /// A whole answer: status, headers, body.
    Whole(u16, Vec<(&'static str, String)>, String),
    /// 200 and a body of JSON that never ends, without a length.
    Endless,
    /// Nothing, ever.
    Silence,
    /// A good head, half a body, then nothing.
    Stall,
}

impl Answer {
    pub(super) fn json(body: impl Into<String>) -> Self {
        Self::typed("application/json", body)
    }

    pub(super) fn typed(content_type: &str, body: impl Into<String>) -> Self {
        Self::Whole(200, vec![("content-type", content_type.to_owned())], body.into())
    }

    pub(super) fn redirect(status: u16, target: &str) -> Self {
        Self::Whole(status, vec![("location", target.to_owned())], String::new())
    }
}

/// An HTTP server on loopback; it stops when it is dropped.
pub(super) struct Server {
    address: SocketAddr,
    site: Arc<Site>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Site {
    answers: Mutex<BTreeMap<String, Answer>>,
    requests: Mutex<Vec<Request<()>>>,
}

impl Server {
    pub(super) async fn start() -> Self {
        Self::serve(None).await
    }

    pub(super) async fn start_tls(tls: rustls::ServerConfig) -> Self {
        Self::serve(Some(TlsAcceptor::from(Arc::new(tls)))).await
    }

    /// A listener that answers every connection with these bytes and closes it.
    pub(super) async fn start_raw(bytes: &'static [u8]) -> Self {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4_096];
                let read = stream.read(&mut request).await.unwrap_or(0);
                assert!(read > 0, "the client sent a request");
                stream.write_all(bytes).await.unwrap();
            }
        });
        Self { address, site: Arc::default(), _tasks: tasks }
    }

    async fn serve(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let site = Arc::new(Site::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, tls, Arc::clone(&site)));
        Self { address, site, _tasks: tasks }
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(super) fn url(&self, path: &str) -> RemoteUrl {
        RemoteUrl::configured(&format!("http://{}{path}", self.address)).unwrap()
    }

    pub(super) fn answer(&self, path: &str, answer: Answer) {
        self.site.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    /// The requests so far, without bodies.
    pub(super) fn requests(&self) -> Vec<Request<()>> {
        self.site.requests.lock().unwrap().clone()
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, site: Arc<Site>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(connection(stream, tls.clone(), Arc::clone(&site)));
    }
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, site: Arc<Site>) {
    let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
        let site = Arc::clone(&site);
        async move { Ok::<_, std::convert::Infallible>(site.respond(request.map(drop)).await) }
    });
    let http = hyper::server::conn::http1::Builder::new();
    // A client that hangs up early is part of what is tested.
    match tls {
        None => drop(http.serve_connection(TokioIo::new(stream), service).await),
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                drop(http.serve_connection(TokioIo::new(stream), service).await);
            }
        }
    }
}

impl Site {
    async fn respond(&self, request: Request<()>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        self.requests.lock().unwrap().push(request);
        let answer = self.answers.lock().unwrap().get(&path).cloned();
        let json = Response::builder().header("content-type", "application/json");
        match answer {
            None => Response::builder().status(404).body(Body::empty()).unwrap(),
            Some(Answer::Whole(status, headers, body)) => {
                let builder = Response::builder().status(status);
                let set = |builder: http::response::Builder, (n, v)| builder.header(n, v);
                headers.into_iter().fold(builder, set).body(Body::from(body)).unwrap()
            }
            Some(Answer::Silence) => std::future::pending().await,
            Some(Answer::Endless) => {
                let chunk = || Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 8_192]));
                let chunks = futures_util::stream::repeat_with(chunk);
                json.body(Body::from_stream(chunks)).unwrap()
            }
            Some(Answer::Stall) => {
                use futures_util::StreamExt as _;
                let half = Ok::<_, std::io::Error>(Bytes::from_static(b"{\"keys\":"));
                let chunks = futures_util::stream::iter([half]);
                json.body(Body::from_stream(chunks.chain(futures_util::stream::pending()))).unwrap()
            }
        }
    }
}
