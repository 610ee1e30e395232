//! The keys of one issuer: the set that is held, and the one fetch that all who wait share.
//! Nothing here starts a task: a fetch is driven by whoever waits for it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use exequatur_federation::jose::JwkSet;
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use tokio::sync::Notify;

use super::{
    IssuerSource, RefreshError,
    schedule::{Schedule, Tally},
    source::Loaded,
};
use crate::clock::Clock;

/// How old keys may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// Age at which a set is fetched again in the background.
    pub refresh_after: Duration,
    /// Age beyond which a set is not used, however long the issuer has been failing.
    pub stale_max: Duration,
}

impl Freshness {
    /// What production uses: a key that an issuer withdrew is refused after ten minutes, and an
    /// issuer may be down for a day.
    pub const STANDARD: Self = Self {
        refresh_after: Duration::from_secs(600),
        stale_max: Duration::from_secs(24 * 3_600),
    };
}

/// Why a caller has no keys: [`super::KeysError::Unavailable`] without the issuer's name.
pub(super) struct Unavailable {
    pub(super) retry_after: Duration,
    pub(super) cause: Arc<RefreshError>,
}

/// What is known about one issuer at one moment.
pub(super) struct Snapshot {
    pub(super) keys: usize,
    pub(super) age: Option<Duration>,
    pub(super) usable: bool,
    pub(super) tally: Tally,
}

/// One issuer's keys.
pub(super) struct Issuer {
    source: IssuerSource,
    freshness: Freshness,
    clock: Arc<dyn Clock>,
    begun: Arc<Notify>,
    held: ArcSwapOption<Held>,
    fetching: Mutex<Fetching>,
}

struct Held {
    set: Arc<JwkSet>,
    digest: [u8; 32],
    fetched_at: Duration,
}

type Outcome = Result<(), Arc<RefreshError>>;
type Flight = Shared<BoxFuture<'static, Outcome>>;

#[derive(Default)]
struct Fetching {
    flight: Option<Flight>,
    schedule: Schedule,
}

/// What a request that has no key may do.
enum Turn {
    /// It has one by now.
    Found(Arc<JwkSet>),
    /// Wait for this fetch.
    Join(Flight),
    /// No fetch may start now; this came of the last one.
    Last(Outcome),
}

impl Issuer {
    /// `begun` is notified whenever a request starts a fetch, so that a background loop can see
    /// it through though the request goes away.
    pub(super) fn new(
        source: IssuerSource,
        freshness: Freshness,
        clock: Arc<dyn Clock>,
        begun: Arc<Notify>,
    ) -> Self {
        let (held, fetching) = (ArcSwapOption::empty(), Mutex::default());
        Self { source, freshness, clock, begun, held, fetching }
    }

    pub(super) fn name(&self) -> &str {
        self.source.issuer()
    }

    /// The set that is held, if it is not too old. Takes no lock and allocates nothing.
    pub(super) fn current(&self) -> Option<Arc<JwkSet>> {
        let held = self.held.load();
        let held = held.as_ref().filter(|h| self.age(h) <= self.freshness.stale_max)?;
        Some(Arc::clone(&held.set))
    }

    /// A set that has `kid`, after at most one fetch; or the set as it is, if a fetch that
    /// succeeded is recent enough to say that the issuer has no such key.
    pub(super) async fn keys(
        self: &Arc<Self>,
        kid: Option<&str>,
    ) -> Result<Arc<JwkSet>, Unavailable> {
        let knows = |set: &Arc<JwkSet>| kid.is_none() || set.select(kid).is_some();
        if let Some(set) = self.current().filter(knows) {
            return Ok(set);
        }
        let outcome = match self.turn(knows) {
            Turn::Found(set) => return Ok(set),
            Turn::Join(flight) => flight.await,
            Turn::Last(outcome) => outcome,
        };
        match outcome {
            Ok(()) => self.current().ok_or_else(|| self.unavailable(RefreshError::Pending.into())),
            // The fetch may have failed, but another may have brought the key meanwhile.
            Err(cause) => self.current().filter(knows).ok_or_else(|| self.unavailable(cause)),
        }
    }

    /// The moment of the next background fetch.
    pub(super) fn due_at(&self) -> Duration {
        self.fetching().schedule.due_at()
    }

    /// Fetches if that is due, or sees a running fetch through.
    pub(super) async fn refresh_if_due(self: &Arc<Self>) {
        let flight = {
            let mut fetching = self.fetching();
            match &fetching.flight {
                Some(flight) => flight.clone(),
                None if fetching.schedule.due_at() <= self.clock.monotonic() => {
                    fetching.schedule.begin();
                    self.start(&mut fetching)
                }
                None => return,
            }
        };
        // The outcome is in the schedule and in the log.
        drop(flight.await);
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let held = self.held.load();
        let age = held.as_ref().map(|h| self.age(h));
        Snapshot {
            keys: held.as_ref().map_or(0, |h| h.set.keys().len()),
            age,
            usable: age.is_some_and(|a| a <= self.freshness.stale_max),
            tally: self.fetching().schedule.tally().clone(),
        }
    }

    fn age(&self, held: &Held) -> Duration {
        self.clock.monotonic().saturating_sub(held.fetched_at)
    }

    fn fetching(&self) -> MutexGuard<'_, Fetching> {
        // The state is valid after every statement, so a panic elsewhere spoils nothing.
        self.fetching.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(self: &Arc<Self>, knows: impl Fn(&Arc<JwkSet>) -> bool) -> Turn {
        let now = self.clock.monotonic();
        let mut fetching = self.fetching();
        if let Some(flight) = &fetching.flight {
            return Turn::Join(flight.clone());
        }
        // A fetch may have ended since the caller looked; sets change only under this lock.
        let held = self.current();
        let holds_keys = held.is_some();
        if let Some(set) = held.filter(knows) {
            return Turn::Found(set);
        }
        if !fetching.schedule.pause(now, holds_keys).is_zero() {
            let last = fetching.schedule.tally().last_error.clone();
            return Turn::Last(last.map_or(Ok(()), Err));
        }
        fetching.schedule.begin_for_request(now);
        let flight = self.start(&mut fetching);
        self.begun.notify_one();
        Turn::Join(flight)
    }

    fn start(self: &Arc<Self>, fetching: &mut Fetching) -> Flight {
        let location = fetching.schedule.location(self.clock.monotonic()).cloned();
        // The flight is kept in the issuer, so it must not keep the issuer.
        let (source, issuer) = (self.source.clone(), Arc::downgrade(self));
        let flight = async move {
            let loaded = source.load(location).await;
            match issuer.upgrade() {
                Some(issuer) => issuer.settle(loaded),
                None => Err(RefreshError::Pending.into()),
            }
        };
        let flight = flight.boxed().shared();
        fetching.flight = Some(flight.clone());
        flight
    }

    fn settle(&self, loaded: Result<Loaded, RefreshError>) -> Outcome {
        let now = self.clock.monotonic();
        let mut fetching = self.fetching();
        fetching.flight = None;
        match loaded {
            Ok(Loaded { set, digest, discovered }) => {
                fetching.schedule.succeeded(now, self.freshness, discovered);
                self.hold(set, digest, now);
                Ok(())
            }
            Err(error) => {
                let error = Arc::new(error);
                fetching.schedule.failed(now, Arc::clone(&error));
                self.report(&error);
                Err(error)
            }
        }
    }

    fn hold(&self, set: JwkSet, digest: [u8; 32], fetched_at: Duration) {
        let before = self.held.load_full().filter(|h| h.digest == digest);
        let set = if let Some(held) = before {
            // The same `Arc`, so that whoever remembers what it verified compares by address.
            Arc::clone(&held.set)
        } else {
            let keys = set.keys().len();
            tracing::info!(issuer = self.name(), keys, "the issuer's keys were replaced");
            Arc::new(set)
        };
        self.held.store(Some(Arc::new(Held { set, digest, fetched_at })));
    }

    fn report(&self, error: &RefreshError) {
        let issuer = self.name();
        if matches!(error, RefreshError::Set { .. }) {
            tracing::error!(issuer, %error, "an issuer's key set was refused: look at the issuer");
        } else {
            tracing::warn!(issuer, %error, "an issuer's keys were not fetched");
        }
    }

    fn unavailable(&self, cause: Arc<RefreshError>) -> Unavailable {
        let holds_keys = self.current().is_some();
        let now = self.clock.monotonic();
        let retry_after = self.fetching().schedule.pause(now, holds_keys);
        Unavailable { retry_after, cause }
    }
}
