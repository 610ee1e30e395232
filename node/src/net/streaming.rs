//! Answers that go on for long: their connection is not idle while they are open, and a peer that
//! does not take them is cut all the same, also where others on its connection are taken.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use http::Response;
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::net::activity::{Activity, InFlight, NEVER};

/// Marks an answer (in its extensions) that goes on for long. Other answers must have been taken
/// within the idle time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongLived;

/// The answer, whose request is in progress until its body ends if it is marked as such.
pub(crate) fn kept(
    response: Response<Body>,
    in_flight: InFlight,
    activity: &Arc<Activity>,
) -> Response<Body> {
    if response.extensions().get::<LongLived>().is_none() {
        return response;
    }
    let waiting = activity.stream();
    let activity = Arc::clone(activity);
    response.map(|body| Body::new(Kept { body, waiting, activity, _in_flight: in_flight }))
}

pin_project! {
    struct Kept {
        #[pin]
        body: Body,
        // Since when the peer has not taken a piece that was there.
        waiting: Arc<AtomicU64>,
        activity: Arc<Activity>,
        _in_flight: InFlight,
    }
}

impl HttpBody for Kept {
    type Data = Bytes;
    type Error = axum::Error;

    /// Called once the piece before was taken as far as the protocol's buffers go.
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.project();
        let frame = this.body.poll_frame(cx);
        let since = match &frame {
            Poll::Ready(Some(_)) => this.activity.now(),
            Poll::Ready(None) | Poll::Pending => NEVER,
        };
        this.waiting.store(since, Ordering::Relaxed);
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
