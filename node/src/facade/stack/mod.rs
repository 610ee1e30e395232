//! What surrounds every endpoint, from the outside to the inside.
//!
//! It bounds work and gives each answer its id and headers; it knows no endpoint. Requests that
//! never reach a handler are answered by the renderer it is given, so that they look like every
//! other error of the façade.

mod envelope;
mod panic;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use tower::limit::ConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower::timeout::TimeoutLayer;
use tower::{BoxError, Service, ServiceBuilder};
use tower_http::set_header::SetResponseHeaderLayer;

use self::envelope::EnvelopeLayer;
use self::panic::CatchPanicLayer;
use crate::entropy::Entropy;
use crate::facade::request_id::RequestId;
use crate::telemetry::metrics::Metrics;

/// Requests in progress at once. At 120 µs of CPU each, two cores finish them within 0.1 s; more
/// would only wait, and hold their memory while waiting.
const IN_FLIGHT_MAX: usize = 1_024;

/// Time for one answer: the time to read a slow body, and then an HSM's deadline of 2 s with one
/// retry and a slow disk.
const REQUEST: Duration = Duration::from_secs(16);

/// What a client that met an overload should wait: shedding passes as fast as it comes.
const OVERLOAD_RETRY_AFTER_SECONDS: u32 = 1;

/// The limits of the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackLimits {
    /// Requests in progress at once; more are shed.
    pub in_flight_max: usize,
    /// Time for one answer.
    pub request: Duration,
}

/// What the stack is made of.
pub struct StackParts<F> {
    /// Its limits.
    pub limits: StackLimits,
    /// The source of request ids.
    pub entropy: Arc<dyn Entropy>,
    /// Where it counts.
    pub metrics: Arc<Metrics>,
    /// Renders the answer to a request that reached no handler, or got none from it.
    pub render: F,
}

/// Why the stack answers itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unserved {
    /// The body is compressed or otherwise encoded: 415.
    ContentEncoded,
    /// The source of randomness failed: 503.
    NoEntropy,
    /// Too many requests are in progress: 503 and `Retry-After`.
    Overloaded,
    /// The handler panicked: 500.
    Panicked,
    /// The handler took too long: 503 and `Retry-After`.
    TimedOut,
}

impl StackLimits {
    /// The limits of a public listener.
    #[must_use]
    pub const fn public() -> Self {
        Self { in_flight_max: IN_FLIGHT_MAX, request: REQUEST }
    }
}

impl Unserved {
    /// The value of `Retry-After`, where trying again can help.
    #[must_use]
    pub const fn retry_after_seconds(self) -> Option<u32> {
        match self {
            Self::Overloaded | Self::TimedOut | Self::NoEntropy => {
                Some(OVERLOAD_RETRY_AFTER_SECONDS)
            }
            Self::ContentEncoded | Self::Panicked => None,
        }
    }
}

/// `routes` with everything around them; handlers find the [`RequestId`] in the extensions.
pub fn stack<F, B>(
    routes: Router,
    parts: StackParts<F>,
) -> impl Service<
    Request<B>,
    Response = Response<Body>,
    Error = Infallible,
    Future: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
>
+ Clone
+ Send
+ Sync
+ 'static
+ use<F, B>
where
    F: Fn(Unserved, Option<&RequestId>) -> Response<Body> + Clone + Send + Sync + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    ServiceBuilder::new()
        // Outermost: every answer has an id and the security headers, also those that the layers
        // below refuse, and nothing below can fail any more.
        .layer(EnvelopeLayer::new(parts.entropy, parts.render))
        // Above the limit: a request that is refused unread takes nobody's place.
        .filter(envelope::identity_encoded)
        // Directly above the limit, whose readiness it reads: excess is answered, never queued.
        .layer(LoadShedLayer::new())
        .layer(ConcurrencyLimitLayer::new(parts.limits.in_flight_max))
        // Below the limit: a request that hangs gives its place back.
        .layer(TimeoutLayer::new(parts.limits.request))
        // Innermost: a panic ends one request and not its connection, which others may share.
        .layer(CatchPanicLayer::new(parts.metrics.handler_panics.clone()))
        .service(routes)
}

/// Lets scripts of any web origin read the answers of `documents`. For public documents only:
/// key sets, metadata and status lists. `documents` must have a route.
pub fn readable_from_any_origin<S: Clone + Send + Sync + 'static>(
    documents: Router<S>,
) -> Router<S> {
    let any = HeaderValue::from_static("*");
    let name = header::ACCESS_CONTROL_ALLOW_ORIGIN;
    // Not `layer`, which would open the fallback that the merged router inherits.
    documents.route_layer(SetResponseHeaderLayer::overriding(name, any))
}
