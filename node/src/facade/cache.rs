//! Bounded caches of tokens whose signature was verified, by the SHA-256 of their text.
//!
//! A hit saves the signature check and nothing else: whoever gets a token from here checks its
//! times, its issuer's current keys and its revocation as if it were new.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
};

use lru::LruCache;

use crate::telemetry::metrics::CacheMeters;

/// Tokens kept in one cache: at some 4 KiB each, 32 MiB when full.
const ENTRIES_MAX: NonZeroUsize = NonZeroUsize::new(8_192).unwrap();

/// Verified tokens by the SHA-256 of their text.
pub struct TokenCache<T> {
    entries: Mutex<LruCache<[u8; 32], Arc<T>>>,
    meters: CacheMeters,
}

impl<T> TokenCache<T> {
    /// An empty cache.
    #[must_use]
    pub fn new(meters: CacheMeters) -> Self {
        Self { entries: Mutex::new(LruCache::new(ENTRIES_MAX)), meters }
    }

    /// The token with this digest, if it is kept.
    pub fn find(&self, digest: &[u8; 32]) -> Option<Arc<T>> {
        let found = self.lock().get(digest).map(Arc::clone);
        let meter = if found.is_some() { &self.meters.hits } else { &self.meters.misses };
        meter.inc();
        found
    }

    /// Keeps a token.
    pub fn keep(&self, digest: [u8; 32], token: Arc<T>) {
        self.lock().put(digest, token);
    }

    /// Forgets a token.
    pub fn forget(&self, digest: &[u8; 32]) {
        self.lock().pop(digest);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LruCache<[u8; 32], Arc<T>>> {
        // A panic of another thread leaves the cache whole: each call is one operation.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
