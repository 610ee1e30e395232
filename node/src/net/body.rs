//! A request body with a limit and a deadline.
//!
//! The limit holds for what arrives, whatever `Content-Length` says. The deadline runs from the
//! end of the headers; its timer is made only if the body is not there yet.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::{Buf, Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use crate::net::limits::Limits;

/// The body of a request that came over the serve loop.
#[derive(Debug)]
pub struct RequestBody {
    incoming: Incoming,
    bytes_left: usize,
    bytes_max: usize,
    deadline: Instant,
    read_time: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// More bytes than the listener takes: 413.
    #[error("the request body is longer than {bytes_max} bytes")]
    TooLong {
        /// The listener's limit.
        bytes_max: usize,
    },
    /// Not all of it came in time: 408.
    #[error("the request body did not arrive within {} s", read_time.as_secs_f32())]
    TooSlow {
        /// The listener's limit.
        read_time: Duration,
    },
    /// The connection broke, or its framing is invalid: 400, if anyone still listens.
    #[error("the request body broke off")]
    Broken(#[source] io::Error),
}

/// Reads a whole body, as handlers get it from the router.
///
/// # Errors
/// See [`BodyError`]. A body that did not come over the serve loop has no limit of its own.
pub async fn read_body(mut body: Body) -> Result<Bytes, BodyError> {
    let Some(first) = next_data(&mut body).await? else { return Ok(Bytes::new()) };
    let Some(second) = next_data(&mut body).await? else { return Ok(first) };
    let mut all = BytesMut::from(first);
    all.extend_from_slice(&second);
    while let Some(data) = next_data(&mut body).await? {
        all.extend_from_slice(&data);
    }
    Ok(all.freeze())
}

impl RequestBody {
    pub(crate) fn new(incoming: Incoming, limits: &Limits) -> Self {
        Self {
            incoming,
            bytes_left: limits.body_bytes_max,
            bytes_max: limits.body_bytes_max,
            deadline: Instant::now() + limits.body_read,
            read_time: limits.body_read,
            timer: None,
        }
    }

    fn too_late(&mut self, cx: &mut Context<'_>) -> bool {
        let deadline = self.deadline;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        timer.as_mut().poll(cx).is_ready()
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let bytes_max = self.bytes_max;
        let too_long = BodyError::TooLong { bytes_max };
        // A declared length over the limit is refused before a byte of it is read.
        let declared = usize::try_from(self.incoming.size_hint().lower()).unwrap_or(usize::MAX);
        if declared > self.bytes_left {
            return Poll::Ready(Some(Err(too_long)));
        }
        let frame = match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending if self.too_late(cx) => {
                return Poll::Ready(Some(Err(BodyError::TooSlow { read_time: self.read_time })));
            }
            Poll::Pending => return Poll::Pending,
        };
        let Some(frame) = frame else { return Poll::Ready(None) };
        let frame = frame.map_err(|error| BodyError::Broken(io::Error::other(error)))?;
        let arrived = frame.data_ref().map_or(0, Buf::remaining);
        let Some(left) = self.bytes_left.checked_sub(arrived) else {
            return Poll::Ready(Some(Err(too_long)));
        };
        self.bytes_left = left;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// The next data frame; trailers are dropped, we use none.
async fn next_data(body: &mut Body) -> Result<Option<Bytes>, BodyError> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(own_error)?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// The router wraps our error in its own; this takes it out again.
fn own_error(error: axum::Error) -> BodyError {
    match error.into_inner().downcast::<BodyError>() {
        Ok(own) => *own,
        Err(other) => BodyError::Broken(io::Error::other(other)),
    }
}
