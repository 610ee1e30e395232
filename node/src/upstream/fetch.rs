//! One bounded GET: the seam through which everything is fetched from a global issuer, and its
//! implementation over HTTP/1.1 (RFC 9112). Generic over the connector, so that a simulated
//! network takes the real one's place. It does not know what it fetches.

use std::{error::Error as StdError, pin::pin, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::{
    body::{Body as _, Incoming},
    client::conn::http1,
};
use tower::{Service, ServiceExt as _};

use super::{RemoteUrl, url::shown};
use crate::causes::with_causes;

/// Most bytes that are read ahead of parsing, and so the largest head of an answer.
const HEAD_BYTES_MAX: usize = 32 * 1024;
const USER_AGENT: &str = concat!("exequatur/", env!("CARGO_PKG_VERSION"));

/// Fetches JSON documents of global issuers.
pub trait Fetch: Send + Sync {
    /// The body of the document at `url`: complete, within limits, and declared to be JSON.
    ///
    /// Dropping the future ends the fetch and closes its connection.
    fn fetch<'a>(&'a self, url: &'a RemoteUrl) -> BoxFuture<'a, Result<Bytes, FetchError>>;
}

/// Bounds of one fetch.
#[derive(Clone, Copy, Debug)]
pub struct FetchLimits {
    /// Most bytes of a body.
    pub body_bytes_max: usize,
    /// Time for the whole fetch: name, connection, handshake, answer.
    pub deadline: Duration,
}

impl FetchLimits {
    /// What production uses. Metadata and key sets of large providers stay under 40 KiB (Entra's,
    /// with certificates, is about 15 KiB); a caller waits for a first fetch, so it must be short.
    pub const STANDARD: Self =
        Self { body_bytes_max: 256 * 1024, deadline: Duration::from_secs(5) };
}

/// Why a document was not fetched. Foreign text in a message is shortened and made printable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The body is larger than the limit.
    #[error("the answer has more than {limit} bytes")]
    BodyTooLarge {
        /// [`FetchLimits::body_bytes_max`].
        limit: usize,
    },
    /// Name resolution, TCP or TLS failed.
    #[error("no connection: {reason}")]
    Connect {
        /// What the connector says.
        reason: String,
    },
    /// The body is compressed though that was not asked for.
    #[error("the answer is encoded as `{got}`, which was not asked for")]
    ContentEncoding {
        /// The `Content-Encoding`.
        got: String,
    },
    /// The body is not declared to be JSON.
    #[error("the answer is `{got}`, not `application/json` or `application/jwk-set+json`")]
    ContentType {
        /// The `Content-Type`, empty if there is none.
        got: String,
    },
    /// The whole answer was not there in time.
    #[error("no whole answer within {} ms", limit.as_millis())]
    Deadline {
        /// [`FetchLimits::deadline`].
        limit: Duration,
    },
    /// The connection broke, or what came is not HTTP.
    #[error("the answer broke off: {reason}")]
    Interrupted {
        /// What the HTTP implementation says.
        reason: String,
    },
    /// A redirect, which is never followed: it could lead anywhere.
    #[error("redirected to host `{host}`, and redirects are not followed: write the final address")]
    Redirect {
        /// The target's host only.
        host: String,
    },
    /// Another status than 200.
    #[error("answered with status {status}")]
    Status {
        /// The HTTP status code.
        status: u16,
    },
}

/// Fetches over HTTP/1.1, one connection a fetch: minutes lie between two fetches, so a pool
/// would hold only dead connections, and this way no background task is needed.
#[derive(Clone, Debug)]
pub struct HttpFetcher<C> {
    connector: C,
    limits: FetchLimits,
}

impl<C> HttpFetcher<C> {
    /// A fetcher over `connector`, which makes a connection to the host of an address, with TLS
    /// where the scheme says so.
    pub const fn new(connector: C, limits: FetchLimits) -> Self {
        Self { connector, limits }
    }
}

impl<C> Fetch for HttpFetcher<C>
where
    C: Service<Uri> + Clone + Send + Sync,
    C::Response: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
    C::Error: Into<Box<dyn StdError + Send + Sync>>,
    C::Future: Send,
{
    fn fetch<'a>(&'a self, url: &'a RemoteUrl) -> BoxFuture<'a, Result<Bytes, FetchError>> {
        let limit = self.limits.deadline;
        Box::pin(async move {
            tokio::time::timeout(limit, self.exchange(url))
                .await
                .unwrap_or(Err(FetchError::Deadline { limit }))
        })
    }
}

impl<C> HttpFetcher<C>
where
    C: Service<Uri> + Clone + Send + Sync,
    C::Response: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
    C::Error: Into<Box<dyn StdError + Send + Sync>>,
    C::Future: Send,
{
    async fn exchange(&self, url: &RemoteUrl) -> Result<Bytes, FetchError> {
        let stream = self
            .connector
            .clone()
            .oneshot(url.uri().clone())
            .await
            .map_err(|e| FetchError::Connect { reason: chain(&*e.into()) })?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_BYTES_MAX)
            .handshake(stream)
            .await
            .map_err(|e| interrupted(&e))?;
        let request = request(url)?;
        let mut answer = pin!(async {
            let response = sender.send_request(request).await.map_err(|e| interrupted(&e))?;
            body(response, self.limits.body_bytes_max).await
        });
        tokio::select! {
            result = &mut answer => result,
            // The connection is done when its last byte is handed over; the answer may still have
            // to take it.
            _ = connection => answer.await,
        }
    }
}

fn request(url: &RemoteUrl) -> Result<Request<Empty<Bytes>>, FetchError> {
    let target = url.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    Request::get(target)
        .header(header::HOST, url.authority())
        .header(header::ACCEPT, "application/json")
        .header(header::ACCEPT_ENCODING, "identity")
        .header(header::CONNECTION, "close")
        .header(header::USER_AGENT, USER_AGENT)
        .body(Empty::new())
        .map_err(|e| FetchError::Interrupted { reason: shown(&e.to_string()) })
}

async fn body(response: Response<Incoming>, limit: usize) -> Result<Bytes, FetchError> {
    check_head(response.status(), response.headers())?;
    // An announced length says it before a byte is read.
    if usize::try_from(response.body().size_hint().lower()).map_or(true, |n| n > limit) {
        return Err(FetchError::BodyTooLarge { limit });
    }
    match Limited::new(response.into_body(), limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(e) if e.is::<LengthLimitError>() => Err(FetchError::BodyTooLarge { limit }),
        Err(e) => Err(FetchError::Interrupted { reason: chain(&*e) }),
    }
}

fn check_head(status: StatusCode, headers: &HeaderMap) -> Result<(), FetchError> {
    let text =
        |name| headers.get(name).map_or("", |v: &http::HeaderValue| v.to_str().unwrap_or("?"));
    if status.is_redirection() {
        let target: Option<Uri> = text(header::LOCATION).parse().ok();
        let host = target.as_ref().and_then(Uri::host).unwrap_or("the same");
        return Err(FetchError::Redirect { host: shown(host) });
    }
    if status != StatusCode::OK {
        return Err(FetchError::Status { status: status.as_u16() });
    }
    let encoding = text(header::CONTENT_ENCODING);
    if !(encoding.is_empty() || encoding.eq_ignore_ascii_case("identity")) {
        return Err(FetchError::ContentEncoding { got: shown(encoding) });
    }
    let declared = text(header::CONTENT_TYPE);
    let essence = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !matches!(essence.as_str(), "application/json" | "application/jwk-set+json") {
        return Err(FetchError::ContentType { got: shown(declared) });
    }
    Ok(())
}

fn interrupted(error: &hyper::Error) -> FetchError {
    FetchError::Interrupted { reason: chain(error) }
}

/// With its causes, for a connector's error alone says only "client error (Connect)".
fn chain(error: &(dyn StdError + 'static)) -> String {
    shown(&with_causes(error))
}
