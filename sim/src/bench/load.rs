//! The load generator: keep-alive HTTP/1.1 connections in a closed loop, each sending the next
//! request as soon as the last is answered. Requests are bytes made before the window, so that the
//! generator does next to nothing per request; what they say is not known here.
//!
//! A closed loop measures how much a server can do. The latencies are those at saturation.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

use super::{
    histogram::Histogram,
    response::{self, Head, ResponseError},
};

/// Longest time that one answer, or the rest of a window, is waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// One answer in so many is looked into; looking into each would cost as much as sending it.
const SAMPLE_EVERY: usize = 16;
/// How much of an error answer is shown.
const SHOWN_BYTES_MAX: usize = 400;
/// First size of a connection's buffer: an answer fits, head and body.
const BUFFER_BYTES: usize = 4 * 1024;

/// What is sent, and how.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    /// The server.
    pub(crate) address: SocketAddr,
    /// Connections at the same time.
    pub(crate) connections: usize,
    /// What each request is.
    pub(crate) requests: Requests,
    /// A text that stands in every answer.
    pub(crate) expected: &'static str,
    /// How long requests are sent before they count.
    pub(crate) warm_up: Duration,
    /// How long they count.
    pub(crate) window: Duration,
}

/// Requests made beforehand.
#[derive(Clone, Debug)]
pub(crate) enum Requests {
    /// Sent in turn, again and again.
    Cycle(Arc<[Vec<u8>]>),
    /// Each is sent once. When they run out the window ends early, and rates are of its real
    /// length.
    Once(Arc<[Vec<u8>]>),
}

/// What a window showed.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// Answers a second.
    pub(crate) per_second: u64,
    /// Answers in all, those of the warm-up included.
    pub(crate) answered: u64,
    /// From the first byte sent to the last byte received.
    pub(crate) latencies: Histogram,
}

/// Why a window measured nothing. The server's own words are in it where it spoke.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// No answer in time.
    #[error("no answer within {} s", ANSWER_WITHIN.as_secs())]
    Late,
    /// Every request was used up before anything counted.
    #[error("the requests ran out before the window began: give more for each second")]
    RanOut,
    /// An answer that is none.
    #[error(transparent)]
    Response(#[from] ResponseError),
    /// Another status than 200.
    #[error("status {status} where 200 was expected: {body}")]
    Status {
        /// The status code.
        status: u16,
        /// The beginning of the body. A refusal holds no token.
        body: String,
    },
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Transport(#[from] io::Error),
    /// Status 200 without what belongs there. The body is not shown: it may hold a token.
    #[error("an answer with status 200 lacks `{expected}`")]
    Unexpected {
        /// What should have been in it.
        expected: &'static str,
    },
}

/// Sends requests for the warm-up and the window.
pub(crate) async fn run(load: &Load) -> Result<Measured, LoadError> {
    let begins = Instant::now() + load.warm_up;
    let ends = begins + load.window;
    let shared = Arc::new(Shared { load: load.clone(), sent: AtomicUsize::new(0), begins, ends });
    let mut connections = JoinSet::new();
    for _ in 0..load.connections {
        connections.spawn(connection(Arc::clone(&shared)));
    }
    let wait = load.warm_up + load.window + ANSWER_WITHIN;
    let tallies = tokio::time::timeout(wait, gather(&mut connections));
    let Tally { latencies, last, answered } = tallies.await.map_err(|_| LoadError::Late)??;
    let elapsed = last.and_then(|last| last.checked_duration_since(begins));
    let microseconds = elapsed.map_or(0, |elapsed| elapsed.as_micros());
    let per_second = u128::from(latencies.total()) * 1_000_000 / microseconds.max(1);
    if latencies.total() == 0 {
        return Err(LoadError::RanOut);
    }
    let per_second = u64::try_from(per_second).unwrap_or(u64::MAX);
    Ok(Measured { per_second, answered, latencies })
}

/// Sends one request on a connection of its own and returns the body of the answer, whose status
/// must be 200.
pub(crate) async fn ask(address: SocketAddr, request: &[u8]) -> Result<Vec<u8>, LoadError> {
    let one = async {
        let mut connection = Connection::open(address).await?;
        connection.exchange(request).await.map(<[u8]>::to_vec)
    };
    tokio::time::timeout(ANSWER_WITHIN, one).await.map_err(|_| LoadError::Late)?
}

struct Shared {
    load: Load,
    sent: AtomicUsize,
    begins: Instant,
    ends: Instant,
}

impl Shared {
    /// The next request with its number; `None` when there are no more.
    fn next(&self) -> Option<(usize, &[u8])> {
        let number = self.sent.fetch_add(1, Ordering::Relaxed);
        let request = match &self.load.requests {
            Requests::Cycle(requests) => requests.get(number % requests.len().max(1)),
            Requests::Once(requests) => requests.get(number),
        };
        request.map(|bytes| (number, bytes.as_slice()))
    }
}

/// Answers that counted: their latencies, and when the last of them came.
struct Tally {
    latencies: Histogram,
    last: Option<Instant>,
    answered: u64,
}

async fn gather(connections: &mut JoinSet<Result<Tally, LoadError>>) -> Result<Tally, LoadError> {
    let mut all = Tally { latencies: Histogram::new(), last: None, answered: 0 };
    while let Some(ended) = connections.join_next().await {
        let tally = ended.map_err(io::Error::other)??;
        all.latencies.merge(&tally.latencies);
        all.last = all.last.max(tally.last);
        all.answered += tally.answered;
    }
    Ok(all)
}

/// One connection's part of the window.
async fn connection(shared: Arc<Shared>) -> Result<Tally, LoadError> {
    let mut connection = Connection::open(shared.load.address).await?;
    let mut tally = Tally { latencies: Histogram::new(), last: None, answered: 0 };
    while let Some((number, request)) = shared.next() {
        let sent = Instant::now();
        let body = connection.exchange(request).await?;
        let answered = Instant::now();
        if number.is_multiple_of(SAMPLE_EVERY) && !holds(body, shared.load.expected.as_bytes()) {
            return Err(LoadError::Unexpected { expected: shared.load.expected });
        }
        tally.answered += 1;
        if answered > shared.ends {
            break;
        }
        if answered >= shared.begins {
            tally.latencies.record(answered - sent);
            tally.last = Some(answered);
        }
    }
    Ok(tally)
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self, LoadError> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(BUFFER_BYTES) })
    }

    /// Sends a request and returns the body of its answer.
    async fn exchange(&mut self, request: &[u8]) -> Result<&[u8], LoadError> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let head = loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            if let Some(head) = response::head(&self.buffer)? {
                break head;
            }
        };
        self.body(head).await
    }

    async fn body(&mut self, head: Head) -> Result<&[u8], LoadError> {
        let whole = head.bytes + head.body_bytes;
        while self.buffer.len() < whole {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
        let body = self.buffer.get(head.bytes..whole).unwrap_or_default();
        if head.status == 200 {
            return Ok(body);
        }
        let shown = body.get(..SHOWN_BYTES_MAX).unwrap_or(body);
        Err(LoadError::Status {
            status: head.status,
            body: String::from_utf8_lossy(shown).into_owned(),
        })
    }
}

fn holds(body: &[u8], expected: &[u8]) -> bool {
    body.windows(expected.len().max(1)).any(|part| part == expected)
}

#[cfg(test)]
mod tests {
    use axum::{Router, http::StatusCode, routing::get};
    use tokio::net::TcpListener;

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

    /// Runs `test` against a server that gives every request this answer.
    async fn against<T>(status: u16, body: &'static str, test: impl AsyncFn(Load) -> T) -> T {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let load = Load {
            address: listener.local_addr().unwrap(),
            connections: 3,
            requests: Requests::Cycle([REQUEST.to_vec()].into()),
            expected: "token",
            warm_up: Duration::ZERO,
            window: Duration::from_millis(100),
        };
        let status = StatusCode::from_u16(status).unwrap();
        let router = Router::new().route("/", get(async move || (status, body)));
        tokio::select! {
            _ = axum::serve(listener, router) => panic!("the server ended"),
            done = test(load) => done,
        }
    }

    #[tokio::test]
    async fn answers_are_counted_with_their_latencies() {
        let measured = against(200, "a token", async |load| run(&load).await).await.unwrap();
        assert!(measured.per_second > 0);
        assert!(measured.latencies.total() > 0);
        assert!(measured.answered >= measured.latencies.total());
    }

    #[tokio::test]
    async fn a_refusal_ends_the_window_with_the_servers_words() {
        let error = against(503, "audit_halted", async |load| run(&load).await).await.unwrap_err();
        assert_eq!(error.to_string(), "status 503 where 200 was expected: audit_halted");
    }

    #[tokio::test]
    async fn an_answer_without_what_belongs_in_it_ends_the_window() {
        let error = against(200, "nothing", async |load| run(&load).await).await.unwrap_err();
        assert!(matches!(error, LoadError::Unexpected { expected: "token" }), "{error}");
        assert!(!error.to_string().contains("nothing"));
    }

    #[tokio::test]
    async fn requests_that_may_be_sent_once_are_sent_once() {
        let once = async |mut load: Load| {
            load.requests = Requests::Once(vec![REQUEST.to_vec(); 40].into());
            // Far longer than 40 requests take: they run out first.
            load.window = Duration::from_secs(60);
            run(&load).await
        };
        let measured = against(200, "a token", once).await.unwrap();
        assert_eq!(measured.latencies.total(), 40);
    }

    #[tokio::test]
    async fn requests_that_run_out_in_the_warm_up_are_an_error() {
        let none = async |mut load: Load| {
            load.requests = Requests::Once(vec![REQUEST.to_vec(); 2].into());
            load.warm_up = Duration::from_secs(60);
            run(&load).await
        };
        let error = against(200, "a token", none).await.unwrap_err();
        assert!(matches!(error, LoadError::RanOut), "{error}");
    }

    #[tokio::test]
    async fn nobody_listening_is_an_error() {
        let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        assert!(matches!(ask(unused, REQUEST).await, Err(LoadError::Transport(_))));
    }
}
