//! The feed of revocations for services that verify offline: what was revoked since they last
//! looked, as server-sent events (WHATWG HTML section 9.2), within milliseconds.
//!
//! It holds the newest events and no more; a client has a place in them and no queue of its own. A
//! client whose place is unknown or gone is told to read the lists anew (`reset`), and gets on top
//! what the lists do not hold yet. Event numbers are the feed's own and say nothing of the ledger.
//! Decoys are not told: the clients are this region's own services, and see which are real.

mod events;
mod place;
mod position;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use exequatur_federation::{client::ClientId, revocation::StatusReference};
use futures_util::stream::{Stream, unfold};
use tokio::{
    sync::watch,
    time::{Duration, Instant, sleep, timeout},
};

use self::{events::Events, place::Places};
use crate::{
    entropy::{Entropy, EntropyError, draw},
    telemetry::metrics::StatusListMeters,
};

pub use self::{
    place::{FEEDS_A_CLIENT_MAX, FEEDS_MAX, TooManyFeeds},
    position::Position,
};

/// Events in one piece: some 10 KiB, which is all that a feed holds for its client.
const PIECE_EVENTS: usize = 64;
/// After so long without an event the client gets a comment, so that both sides notice a connection
/// that is gone, well before proxies forget it.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Pause after a piece that was not full: a burst wakes a feed a hundred times a second at most.
const PACE: Duration = Duration::from_millis(10);
/// A feed ends after so long, and its client proves anew who it is.
const LIFETIME: Duration = Duration::from_secs(3_600);
/// How long a client should wait before it comes again, as the stream tells it.
const RETRY: &str = "retry: 1000\n\n";

/// See the module.
pub struct Feed {
    events: Mutex<Events>,
    places: Places,
    changes: watch::Sender<Changes>,
    entropy: Arc<dyn Entropy>,
    /// What stands before a list's id in its address.
    lists: String,
}

/// What wakes the feeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Changes {
    count: u64,
    closed: bool,
}

/// How far the feed was when a publication began.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    next: u64,
    reset: bool,
}

impl Feed {
    /// A feed without events, for tokens of `issuer`.
    ///
    /// # Errors
    /// There is no randomness for its epoch.
    pub fn new(
        issuer: &str,
        entropy: Arc<dyn Entropy>,
        meters: StatusListMeters,
    ) -> Result<Self, EntropyError> {
        let epoch = u64::from_be_bytes(draw(entropy.as_ref())?);
        Ok(Self {
            events: Mutex::new(Events::new(epoch)),
            places: Places::new(meters.feeds),
            changes: watch::Sender::new(Changes::default()),
            entropy,
            lists: format!("{issuer}/statuslists/"),
        })
    }

    /// The events from the one after `last` on, as pieces of an event stream. `last` is what the
    /// client sends as `Last-Event-ID`.
    ///
    /// # Errors
    /// Too many feeds are open.
    pub fn follow(
        self: &Arc<Self>,
        client: &ClientId,
        last: Option<&str>,
    ) -> Result<impl Stream<Item = Bytes> + Send + use<>, TooManyFeeds> {
        let place = self.places.take(client)?;
        let position = last.and_then(Position::parse);
        let following = Following {
            feed: Arc::clone(self),
            changes: self.changes.subscribe(),
            position,
            ends: Instant::now() + LIFETIME,
            state: State::Begin,
            _place: place,
        };
        Ok(unfold(following, Following::next))
    }

    /// How many events there were so far.
    #[cfg(test)]
    pub(super) fn told(&self) -> u64 {
        self.events().mark().next - 1
    }

    /// How far the feed is: to be taken before lists are published.
    #[must_use]
    pub fn mark(&self) -> Mark {
        self.events().mark()
    }

    /// All lists were published since the mark was taken.
    pub fn published(&self, mark: Mark) {
        let reset = match mark.reset.then(|| draw(self.entropy.as_ref())).transpose() {
            Ok(epoch) => epoch.map(u64::from_be_bytes),
            Err(error) => {
                tracing::warn!(%error, "followers of revocations are not told to begin anew yet");
                return;
            }
        };
        self.events().published(mark, reset);
        if reset.is_some() {
            self.wake();
        }
    }

    /// Ends every feed: the node stops.
    pub fn close(&self) {
        self.changes.send_modify(|changes| changes.closed = true);
    }

    fn wake(&self) {
        self.changes.send_modify(|changes| changes.count = changes.count.wrapping_add(1));
    }

    fn events(&self) -> MutexGuard<'_, Events> {
        // Each change is one operation: a panic leaves the events whole.
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Feed {
    /// One token of this region was revoked.
    pub fn revoked(&self, status: StatusReference) {
        self.events().push(status);
        self.wake();
    }

    /// More was revoked than can be told token by token.
    pub fn replaced(&self) {
        // Told once the lists are published: now, they would be read too early.
        self.events().reset_after_publication();
    }
}

/// One client's way through the events.
struct Following {
    feed: Arc<Feed>,
    changes: watch::Receiver<Changes>,
    position: Option<Position>,
    ends: Instant,
    state: State,
    _place: place::Place,
}

/// What a follower did last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Begin,
    Full,
    Partial,
}

impl Following {
    /// The next piece; the end when the node stops, or when the client should come again.
    async fn next(mut self) -> Option<(Bytes, Self)> {
        let mut text = String::new();
        match self.state {
            State::Begin => text.push_str(RETRY),
            State::Full => {}
            State::Partial => sleep(PACE).await,
        }
        loop {
            if self.changes.borrow_and_update().closed || self.ends <= Instant::now() {
                return None;
            }
            let count = self.read(&mut text);
            if !text.is_empty() {
                self.state = if count == PIECE_EVENTS { State::Full } else { State::Partial };
                return Some((text.into(), self));
            }
            match timeout(KEEP_ALIVE, self.changes.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return None,
                Err(_) => return Some((Bytes::from_static(b":\n\n"), self)),
            }
        }
    }

    /// Writes what is new; says how many events there were.
    fn read(&mut self, text: &mut String) -> usize {
        let (reset, events, position) = self.feed.events().after(self.position, PIECE_EVENTS);
        let mut at = position.back(events.len());
        if reset {
            position::write_reset(text, at);
        }
        for status in &events {
            at = at.forth();
            position::write_event(text, at, &self.feed.lists, *status);
        }
        self.position = Some(position);
        events.len()
    }
}
