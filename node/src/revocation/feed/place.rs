//! How many feeds may be open, of one client and in all.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use exequatur_federation::client::ClientId;
use prometheus_client::metrics::gauge::Gauge;

/// Feeds of one client: one for each process of a service of common size.
pub const FEEDS_A_CLIENT_MAX: usize = 32;
/// Feeds in all: each holds a connection and some 20 KiB.
pub const FEEDS_MAX: usize = 512;

/// No more feeds may be opened now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many feeds of revocations are open")]
pub struct TooManyFeeds;

/// The feeds that are open.
#[derive(Clone)]
pub(super) struct Places {
    open: Arc<Mutex<BTreeMap<ClientId, usize>>>,
    gauge: Gauge,
}

/// An open feed, until dropped.
pub(super) struct Place {
    places: Places,
    client: ClientId,
}

impl Places {
    pub(super) fn new(gauge: Gauge) -> Self {
        Self { open: Arc::default(), gauge }
    }

    pub(super) fn take(&self, client: &ClientId) -> Result<Place, TooManyFeeds> {
        let mut open = self.open();
        let (all, own) = (open.values().sum::<usize>(), open.get(client).copied());
        let own = own.unwrap_or_default();
        if all >= FEEDS_MAX || own >= FEEDS_A_CLIENT_MAX {
            return Err(TooManyFeeds);
        }
        open.insert(client.clone(), own + 1);
        self.gauge.inc();
        Ok(Place { places: self.clone(), client: client.clone() })
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<ClientId, usize>> {
        // A count is changed in one step: a panic leaves it right.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.places.open();
        if let Some(own) = open.get_mut(&self.client) {
            *own -= 1;
            if *own == 0 {
                open.remove(&self.client);
            }
        }
        self.places.gauge.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_given_back() {
        let places = Places::new(Gauge::default());
        let client = |number: usize| ClientId::new(&format!("client-{number}"));
        let mut held: Vec<Place> =
            (0..FEEDS_A_CLIENT_MAX).map(|_| places.take(&client(0)).unwrap()).collect();
        assert!(places.take(&client(0)).is_err());
        held.pop();
        held.push(places.take(&client(0)).unwrap());
        for number in 1..FEEDS_MAX / FEEDS_A_CLIENT_MAX {
            held.extend((0..FEEDS_A_CLIENT_MAX).map(|_| places.take(&client(number)).unwrap()));
        }
        assert!(places.take(&client(FEEDS_MAX)).is_err());
        assert_eq!(places.gauge.get(), i64::try_from(FEEDS_MAX).unwrap());
        drop(held);
        assert_eq!(places.gauge.get(), 0);
        assert!(places.open().is_empty());
    }
}
