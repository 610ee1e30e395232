//! One connection, from the handshake to its end.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use futures_util::FutureExt as _;
use http::{Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tower::{Service, ServiceExt as _};

use crate::net::activity::{Activity, Lapse, Watched};
use crate::net::body::RequestBody;
use crate::net::limits::Limits;
use crate::net::listener::{Origin, Remote};
use crate::net::protocol::builder;
use crate::net::streaming::kept;
use crate::net::target::names_one_addressee;
use crate::net::tls::{ALPN_HTTP2, Tls};
use crate::telemetry::metrics::ConnectionMeters;

/// How long a connection that is asked to close while idle may take for its farewell.
const FAREWELL: Duration = Duration::from_secs(1);

/// What every connection of a listener shares.
pub(crate) struct Shared<S> {
    service: S,
    tls: Option<TlsAcceptor>,
    limits: Limits,
    meters: ConnectionMeters,
    /// Told apart by the first bytes, where there is no ALPN.
    either: Builder<TokioExecutor>,
    http1: Builder<TokioExecutor>,
    http2: Builder<TokioExecutor>,
}

impl<S> Shared<S> {
    pub(crate) fn new(service: S, tls: Tls, limits: Limits, meters: ConnectionMeters) -> Self {
        let tls = match tls {
            Tls::Plain => None,
            Tls::Terminate(config) => Some(TlsAcceptor::from(config)),
        };
        let either = builder(&limits);
        let http1 = either.clone().http1_only();
        let http2 = either.clone().http2_only();
        Self { service, tls, limits, meters, either, http1, http2 }
    }
}

/// What the requests of one connection share.
#[derive(Clone, Debug)]
struct Session<S> {
    service: S,
    remote: Remote,
    limits: Limits,
}

/// Serves `io` until either side ends it or `stop` turns true.
pub(crate) async fn serve_connection<Io, S>(
    shared: Arc<Shared<S>>,
    io: Io,
    origin: Origin,
    stop: watch::Receiver<bool>,
) where
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Answers,
{
    let Some(acceptor) = &shared.tls else {
        let remote = Remote { origin, certificates: None };
        return serve_http(&shared, &shared.either, io, remote, stop).await;
    };
    let mut until = stop.clone();
    let handshake = tokio::time::timeout(shared.limits.handshake, acceptor.accept(io));
    let stream = tokio::select! {
        _ = until.wait_for(|stop| *stop) => return,
        accepted = handshake => match accepted {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return handshake_failed(&shared.meters, origin, &error),
            Err(slow) => return handshake_failed(&shared.meters, origin, &slow),
        },
    };
    let (_, tls) = stream.get_ref();
    let certificates = tls.peer_certificates();
    let certificates = certificates.map(|chain| chain.iter().cloned().collect());
    let http2 = tls.alpn_protocol() == Some(ALPN_HTTP2);
    let builder = if http2 { &shared.http2 } else { &shared.http1 };
    let remote = Remote { origin, certificates };
    // Boxed, so that the much larger state of TLS does not make plain connections larger.
    serve_http(&shared, builder, stream, remote, stop).boxed().await;
}

/// What a listener's requests are handed to.
pub trait Answers:
    Service<
        Request<RequestBody>,
        Response = Response<Body>,
        Error = Infallible,
        Future: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
    > + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Answers for S where
    S: Service<
            Request<RequestBody>,
            Response = Response<Body>,
            Error = Infallible,
            Future: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
        > + Clone
        + Send
        + Sync
        + 'static
{
}

fn handshake_failed(meters: &ConnectionMeters, origin: Origin, error: &dyn std::error::Error) {
    meters.handshake_failures.inc();
    tracing::debug!(network = %origin, %error, "TLS handshake failed");
}

async fn serve_http<Io, S>(
    shared: &Shared<S>,
    builder: &Builder<TokioExecutor>,
    io: Io,
    remote: Remote,
    stop: watch::Receiver<bool>,
) where
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Answers,
{
    let activity = Activity::start();
    let session = Session { service: shared.service.clone(), remote, limits: shared.limits };
    let io = TokioIo::new(Watched::new(io, Arc::clone(&activity)));
    let requests = Arc::clone(&activity);
    let service = service_fn(move |request: Request<Incoming>| {
        let activity = Arc::clone(&requests);
        let in_flight = activity.begin(request.version());
        let answer = answer(&session, request);
        async move { answer.await.map(|response| kept(response, in_flight, &activity)) }
    });
    let connection = builder.serve_connection(io, service);
    drive(connection, &activity, shared, stop).await;
}

/// Hands a request to the router, or refuses it if it names no single addressee.
fn answer<S: Answers>(
    session: &Session<S>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<Body>, Infallible>> + Send + 'static + use<S> {
    let routed = names_one_addressee(&request).then(|| {
        let mut request = request.map(|body| RequestBody::new(body, &session.limits));
        request.extensions_mut().insert(session.remote.clone());
        session.service.clone().oneshot(request)
    });
    async move {
        match routed {
            Some(routed) => routed.await,
            None => Ok(misaddressed()),
        }
    }
}

fn misaddressed() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    let close = header::HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

/// Runs a connection to its end: its own, the node's stop, or the peer being too slow.
async fn drive<C, S>(
    connection: C,
    activity: &Activity,
    shared: &Shared<S>,
    mut stop: watch::Receiver<bool>,
) where
    C: GracefulConnection,
    C::Error: std::fmt::Debug,
{
    let mut connection = pin!(connection);
    let mut stopping = false;
    let mut farewell: Option<Instant> = None;
    loop {
        let deadline = activity.deadline(&shared.limits);
        // A head that begins later ends later: looking once in a head's time misses none.
        let look = Instant::now() + shared.limits.header_read;
        let wake =
            [farewell, deadline.map(|(at, _)| at)].into_iter().flatten().fold(look, Ord::min);
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    shared.meters.protocol_errors.inc();
                    tracing::debug!(?error, "connection ended with an error");
                }
                return;
            }
            _ = stop.wait_for(|stop| *stop), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            () = tokio::time::sleep_until(wake) => {
                let now = Instant::now();
                let lapse = activity.deadline(&shared.limits).filter(|(at, _)| *at <= now);
                match lapse.map(|(_, lapse)| lapse) {
                    _ if farewell.is_some_and(|at| at <= now) => return,
                    Some(Lapse::Idle) if farewell.is_none() => {
                        farewell = Some(now + FAREWELL);
                        connection.as_mut().graceful_shutdown();
                    }
                    Some(Lapse::Slow) => {
                        shared.meters.timeouts.inc();
                        return;
                    }
                    Some(Lapse::Idle) | None => {}
                }
            }
        }
    }
}
