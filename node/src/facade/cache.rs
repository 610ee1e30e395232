//! Bounded caches of tokens whose signature was verified, by the SHA-256 of their text.
//!
//! A hit saves the signature check and nothing else: whoever gets a token from here checks its
//! times, its issuer's current keys and its revocation as if it were new. A token is kept when it
//! comes for the second time: most tokens are exchanged once, and would only push out those that
//! come again.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use lru::LruCache;

use crate::telemetry::metrics::CacheMeters;

/// Tokens kept in one cache: at some 4 KiB each, 32 MiB when full.
const ENTRIES_MAX: NonZeroUsize = NonZeroUsize::new(8_192).unwrap();
/// Tokens remembered as having come once; a power of two, so that a mask finds the place.
const SEEN_MAX: usize = 16_384;

/// Verified tokens by the SHA-256 of their text.
pub struct TokenCache<T> {
    kept: Mutex<Kept<T>>,
    meters: CacheMeters,
}

struct Kept<T> {
    tokens: LruCache<[u8; 32], Arc<T>>,
    /// Parts of digests; a newer token takes the place of an older one. A mistaken match keeps a
    /// token one time too early, which does no harm.
    seen: Vec<u64>,
}

impl<T> TokenCache<T> {
    /// An empty cache.
    #[must_use]
    pub fn new(meters: CacheMeters) -> Self {
        let kept = Kept { tokens: LruCache::new(ENTRIES_MAX), seen: vec![0; SEEN_MAX] };
        Self { kept: Mutex::new(kept), meters }
    }

    /// The token with this digest, if it is kept.
    pub fn find(&self, digest: &[u8; 32]) -> Option<Arc<T>> {
        let found = self.lock().tokens.get(digest).map(Arc::clone);
        let meter = if found.is_some() { &self.meters.hits } else { &self.meters.misses };
        meter.inc();
        found
    }

    /// Keeps a token that was verified, if it came before.
    pub fn keep(&self, digest: &[u8; 32], token: &Arc<T>) {
        let mut kept = self.lock();
        if kept.comes_again(digest) {
            kept.tokens.put(*digest, Arc::clone(token));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept<T>> {
        // A panic of another thread leaves the cache whole: each call is one operation.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Kept<T> {
    fn comes_again(&mut self, digest: &[u8; 32]) -> bool {
        let [place, mark] = [0, 8].map(|at| {
            let part = digest.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
            part.map_or(0, u64::from_be_bytes)
        });
        let place = usize::try_from(place).unwrap_or_default() & (SEEN_MAX - 1);
        let Some(seen) = self.seen.get_mut(place) else { return false };
        std::mem::replace(seen, mark) == mark
    }
}

#[cfg(test)]
mod tests {
    use exequatur_federation::jose::sha256;

    use super::*;
    use crate::telemetry::metrics::Metrics;

    fn cache() -> TokenCache<u32> {
        TokenCache::new(Metrics::new().cache("test"))
    }

    #[test]
    fn a_token_is_kept_when_it_comes_for_the_second_time() {
        let (cache, digest, token) = (cache(), sha256(b"a"), Arc::new(1));
        cache.keep(&digest, &token);
        assert_eq!(cache.find(&digest), None);
        cache.keep(&digest, &token);
        assert_eq!(cache.find(&digest), Some(token));
    }

    #[test]
    fn the_cache_is_bounded_and_the_oldest_go_first() {
        let cache = cache();
        let digests: Vec<_> = (0..=ENTRIES_MAX.get()).map(|n| sha256(&n.to_be_bytes())).collect();
        for digest in &digests {
            cache.keep(digest, &Arc::new(0));
            cache.keep(digest, &Arc::new(0));
        }
        assert_eq!(cache.lock().tokens.len(), ENTRIES_MAX.get());
        assert_eq!(cache.find(&digests[0]), None);
        assert!(cache.find(digests.last().unwrap()).is_some());
    }
}
