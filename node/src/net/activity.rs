//! Whether a connection is worth keeping: one clock reading for each request, one timer for each
//! connection.
//!
//! The HTTP library arms a timer for every request head and knows neither idle HTTP/2 connections
//! nor peers that stop reading. Here the connection's task asks now and then for the moment at
//! which the peer has been too slow, and nothing is armed on the way of a request.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Version;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::net::limits::Limits;

/// Stands for "not since any moment" in a stored moment.
pub(crate) const NEVER: u64 = u64::MAX;

/// What a connection last did, shared by its socket, its requests and the task that drives it.
#[derive(Debug)]
pub(crate) struct Activity {
    started: Instant,
    in_flight: AtomicUsize,
    /// When the last request ended.
    idle_since: AtomicU64,
    /// When a request head began that is not complete.
    head_since: AtomicU64,
    /// Since when the peer has taken no byte.
    write_blocked_since: AtomicU64,
    /// Whether bytes between requests are the beginning of a head. In HTTP/2 they may be pings.
    bytes_are_heads: AtomicBool,
    /// Of each long answer, since when the peer has not taken a piece of it.
    streams: Mutex<Vec<Weak<AtomicU64>>>,
}

/// How a peer was too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lapse {
    /// No request for a while: the connection may end politely.
    Idle,
    /// A head that does not end, or an answer that is not taken.
    Slow,
}

/// A request in progress, until dropped.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Activity>);

impl Activity {
    /// A connection that starts now and owes its first request.
    pub(crate) fn start() -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            in_flight: AtomicUsize::new(0),
            idle_since: AtomicU64::new(0),
            head_since: AtomicU64::new(0),
            write_blocked_since: AtomicU64::new(NEVER),
            bytes_are_heads: AtomicBool::new(true),
            streams: Mutex::default(),
        })
    }

    /// A request head is complete.
    pub(crate) fn begin(self: &Arc<Self>, version: Version) -> InFlight {
        if version == Version::HTTP_2 {
            self.bytes_are_heads.store(false, Ordering::Relaxed);
        }
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.head_since.store(NEVER, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    /// A long answer begins: what is returned tells since when the peer has not taken a piece of
    /// it, as [`Self::now`] counts; [`NEVER`] while it takes them.
    pub(crate) fn stream(&self) -> Arc<AtomicU64> {
        let waiting = Arc::new(AtomicU64::new(NEVER));
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.retain(|stream| stream.strong_count() > 0);
        streams.push(Arc::downgrade(&waiting));
        waiting
    }

    /// When the peer will have been too slow, and how, if nothing happens until then. `None`
    /// while a request is in progress and its answer is being taken.
    pub(crate) fn deadline(&self, limits: &Limits) -> Option<(Instant, Lapse)> {
        let after = |since: &AtomicU64, limit: Duration, lapse| {
            let since = since.load(Ordering::Relaxed);
            (since != NEVER).then(|| (self.started + Duration::from_millis(since) + limit, lapse))
        };
        let streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = streams.iter().filter_map(Weak::upgrade);
        let stalled = waiting
            .filter_map(|stream| after(&stream, limits.write_stall, Lapse::Slow))
            .chain(after(&self.write_blocked_since, limits.write_stall, Lapse::Slow))
            .min_by_key(|(at, _)| *at);
        drop(streams);
        if self.in_flight.load(Ordering::Relaxed) > 0 {
            return stalled;
        }
        let head = after(&self.head_since, limits.header_read, Lapse::Slow);
        let idle = after(&self.idle_since, limits.idle, Lapse::Idle);
        [stalled, head, idle].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// Milliseconds since the connection began.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(NEVER - 1)
    }

    fn bytes_came(&self) {
        if self.bytes_are_heads.load(Ordering::Relaxed)
            && self.in_flight.load(Ordering::Relaxed) == 0
            && self.head_since.load(Ordering::Relaxed) == NEVER
        {
            self.head_since.store(self.now(), Ordering::Relaxed);
        }
    }

    fn write_waits(&self, waits: bool) {
        let blocked = self.write_blocked_since.load(Ordering::Relaxed) != NEVER;
        if waits != blocked {
            let since = if waits { self.now() } else { NEVER };
            self.write_blocked_since.store(since, Ordering::Relaxed);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.idle_since.store(self.0.now(), Ordering::Relaxed);
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A socket that notes its progress.
#[derive(Debug)]
pub(crate) struct Watched<Io> {
    io: Io,
    activity: Arc<Activity>,
}

impl<Io> Watched<Io> {
    pub(crate) const fn new(io: Io, activity: Arc<Activity>) -> Self {
        Self { io, activity }
    }

    fn wrote<T>(&self, progress: Poll<T>) -> Poll<T> {
        self.activity.write_waits(progress.is_pending());
        progress
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Watched<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let progress = Pin::new(&mut self.io).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.activity.bytes_came();
        }
        progress
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Watched<Io> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.io).poll_write(cx, buf);
        self.wrote(progress)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let progress = Pin::new(&mut self.io).poll_flush(cx);
        self.wrote(progress)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let progress = Pin::new(&mut self.io).poll_shutdown(cx);
        self.wrote(progress)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.wrote(progress)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn activity_after_a_request(version: Version) -> Arc<Activity> {
        let activity = Activity::start();
        drop(activity.begin(version));
        activity
    }

    #[test]
    fn a_new_connection_owes_its_first_head() {
        let limits = Limits::public();
        let activity = Activity::start();
        let due = activity.started + limits.header_read;
        assert_eq!(activity.deadline(&limits), Some((due, Lapse::Slow)));
    }

    #[test]
    fn a_request_in_progress_stops_the_clock_until_the_peer_stops_reading() {
        let limits = Limits::public();
        let activity = Activity::start();
        let _request = activity.begin(Version::HTTP_11);
        assert_eq!(activity.deadline(&limits), None);
        activity.write_waits(true);
        assert!(matches!(activity.deadline(&limits), Some((_, Lapse::Slow))));
        activity.write_waits(false);
        assert_eq!(activity.deadline(&limits), None);
    }

    #[test]
    fn after_a_request_the_idle_time_runs_and_a_new_head_shortens_it() {
        let limits = Limits::public();
        let activity = activity_after_a_request(Version::HTTP_11);
        let (idle, lapse) = activity.deadline(&limits).unwrap();
        assert!(idle >= activity.started + limits.idle);
        assert_eq!(lapse, Lapse::Idle);
        activity.bytes_came();
        let (head, lapse) = activity.deadline(&limits).unwrap();
        assert!(head < idle);
        assert_eq!(lapse, Lapse::Slow);
    }

    #[test]
    fn bytes_of_http2_between_requests_are_no_head() {
        let limits = Limits::public();
        let activity = activity_after_a_request(Version::HTTP_2);
        let idle = activity.deadline(&limits);
        activity.bytes_came();
        assert_eq!(activity.deadline(&limits), idle);
    }
}
