//! The innermost layer: a handler's panic becomes an error of its request.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt as _;
use futures_util::future::CatchUnwind;
use pin_project_lite::pin_project;
use prometheus_client::metrics::counter::Counter;
use tower::{BoxError, Layer, Service};

/// A handler panicked. What it said went to standard error and stays there.
#[derive(Debug, thiserror::Error)]
#[error("the request's handler panicked")]
pub(super) struct HandlerPanicked;

#[derive(Clone, Debug)]
pub(super) struct CatchPanicLayer {
    panics: Counter,
}

impl CatchPanicLayer {
    pub(super) const fn new(panics: Counter) -> Self {
        Self { panics }
    }
}

impl<S> Layer<S> for CatchPanicLayer {
    type Service = CatchPanic<S>;

    fn layer(&self, inner: S) -> CatchPanic<S> {
        CatchPanic { inner, panics: self.panics.clone() }
    }
}

#[derive(Clone, Debug)]
pub(super) struct CatchPanic<S> {
    inner: S,
    panics: Counter,
}

impl<S, R> Service<R> for CatchPanic<S>
where
    S: Service<R>,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = CatchPanicFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: R) -> Self::Future {
        // Safe to assert: what a panicking handler may have left half done is behind locks that
        // poison, or in a transaction that rolls back.
        let answer = AssertUnwindSafe(self.inner.call(request)).catch_unwind();
        CatchPanicFuture { answer, panics: self.panics.clone() }
    }
}

pin_project! {
    pub(super) struct CatchPanicFuture<Fut> {
        #[pin]
        answer: CatchUnwind<AssertUnwindSafe<Fut>>,
        panics: Counter,
    }
}

impl<Fut, T, E> Future for CatchPanicFuture<Fut>
where
    Fut: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
{
    type Output = Result<T, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let caught = ready!(this.answer.poll(cx));
        Poll::Ready(match caught {
            Ok(answer) => answer.map_err(Into::into),
            Err(_payload) => {
                this.panics.inc();
                tracing::error!("a request's handler panicked");
                Err(HandlerPanicked.into())
            }
        })
    }
}
