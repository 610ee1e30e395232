//! The outermost layer: each request gets an id, and each outcome becomes an answer with headers.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use pin_project_lite::pin_project;
use tower::load_shed::error::Overloaded;
use tower::timeout::error::Elapsed;
use tower::{BoxError, Layer, Service};

use super::Unserved;
use super::panic::HandlerPanicked;
use crate::entropy::Entropy;
use crate::facade::request_id::RequestId;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Answers are data: no browser may guess their type, run or frame them.
const SECURITY_HEADERS: [(HeaderName, HeaderValue); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];

/// The body is encoded in a way that we do not undo: small in, large out would be an attack.
#[derive(Debug, thiserror::Error)]
#[error("the request body has a content coding: send it as it is")]
pub(super) struct ContentEncoded;

/// Refuses every `Content-Encoding` but `identity`.
pub(super) fn identity_encoded<B>(request: Request<B>) -> Result<Request<B>, ContentEncoded> {
    let codings = request.headers().get_all(header::CONTENT_ENCODING);
    let identity = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"identity");
    if codings.iter().all(identity) { Ok(request) } else { Err(ContentEncoded) }
}

#[derive(Clone)]
pub(super) struct EnvelopeLayer<F> {
    entropy: Arc<dyn Entropy>,
    render: F,
}

impl<F> EnvelopeLayer<F> {
    pub(super) const fn new(entropy: Arc<dyn Entropy>, render: F) -> Self {
        Self { entropy, render }
    }
}

impl<S, F: Clone> Layer<S> for EnvelopeLayer<F> {
    type Service = Envelope<S, F>;

    fn layer(&self, inner: S) -> Self::Service {
        Envelope { inner, layer: self.clone(), broken: None }
    }
}

#[derive(Clone)]
pub(super) struct Envelope<S, F> {
    inner: S,
    layer: EnvelopeLayer<F>,
    /// What the layers below said when asked whether they are ready, if that was an error.
    broken: Option<Unserved>,
}

impl<S, F, B> Service<Request<B>> for Envelope<S, F>
where
    S: Service<Request<B>, Response = Response<Body>, Error = BoxError>,
    F: Fn(Unserved, Option<&RequestId>) -> Response<Body> + Clone,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = EnvelopeFuture<S::Future, F>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.broken = ready!(self.inner.poll_ready(cx)).err().map(|error| unserved(&error));
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let render = self.layer.render.clone();
        let drawn = RequestId::draw(&*self.layer.entropy);
        let id = drawn.ok();
        let outcome = match (id, self.broken) {
            (None, _) => Outcome::Known { unserved: Unserved::NoEntropy },
            (_, Some(unserved)) => Outcome::Known { unserved },
            (Some(id), None) => {
                request.extensions_mut().insert(id);
                Outcome::Pending { answer: self.inner.call(request) }
            }
        };
        EnvelopeFuture { outcome, id, render }
    }
}

pin_project! {
    pub(super) struct EnvelopeFuture<Fut, F> {
        #[pin]
        outcome: Outcome<Fut>,
        id: Option<RequestId>,
        render: F,
    }
}

pin_project! {
    #[project = OutcomeProjection]
    enum Outcome<Fut> {
        Pending { #[pin] answer: Fut },
        Known { unserved: Unserved },
    }
}

impl<Fut, F> Future for EnvelopeFuture<Fut, F>
where
    Fut: Future<Output = Result<Response<Body>, BoxError>>,
    F: Fn(Unserved, Option<&RequestId>) -> Response<Body>,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = match this.outcome.project() {
            OutcomeProjection::Pending { answer } => {
                ready!(answer.poll(cx)).map_err(|error| unserved(&error))
            }
            OutcomeProjection::Known { unserved } => Err(*unserved),
        };
        let id = this.id.as_ref();
        let mut response = answer.unwrap_or_else(|unserved| (this.render)(unserved, id));
        add_headers(response.headers_mut(), id);
        Poll::Ready(Ok(response))
    }
}

/// The one place that tells the layers' errors apart.
fn unserved(error: &BoxError) -> Unserved {
    if error.is::<ContentEncoded>() {
        Unserved::ContentEncoded
    } else if error.is::<Elapsed>() {
        Unserved::TimedOut
    } else if error.is::<HandlerPanicked>() {
        Unserved::Panicked
    } else {
        debug_assert!(error.is::<Overloaded>(), "a layer has an error of its own: {error}");
        Unserved::Overloaded
    }
}

fn add_headers(headers: &mut HeaderMap, id: Option<&RequestId>) {
    if let Some(id) = id.and_then(RequestId::header) {
        headers.insert(X_REQUEST_ID, id);
    }
    for (name, value) in SECURITY_HEADERS {
        headers.insert(name, value);
    }
    // Whatever does not say that it may be kept is a token, or speaks of one (RFC 6749 5.1).
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    }
}
