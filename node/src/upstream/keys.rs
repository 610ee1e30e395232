//! The keys of all configured issuers. A request finds them without lock, allocation or fetch
//! while they are known; a background loop, driven by the node's supervisor, keeps them young.

use std::{collections::BTreeMap, convert::Infallible, fmt, sync::Arc, time::Duration};

use exequatur_federation::{jose::JwkSet, time::Ttl};
use futures_util::future::join_all;
use tokio::sync::Notify;

use super::{
    Freshness, IssuerSource, RefreshError,
    issuer::{Issuer, Snapshot, Unavailable},
};
use crate::clock::Clock;

/// The signing keys of every configured issuer, each by its exact name.
pub struct IssuerKeys {
    issuers: BTreeMap<String, Arc<Issuer>>,
    clock: Arc<dyn Clock>,
    begun: Arc<Notify>,
}

/// One issuer was given twice.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the issuer `{issuer}` is configured twice")]
pub struct DuplicateIssuer {
    /// Its name.
    pub issuer: String,
}

/// Why a request has no keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// The keys, or whether a key exists, cannot be known now: 503 with `Retry-After`.
    #[error("the keys of the issuer `{issuer}` are not known now: {cause}")]
    Unavailable {
        /// The issuer.
        issuer: String,
        /// When a further request may do better; at least one second.
        retry_after: Ttl,
        /// What is wrong. For operators, not for clients: it names addresses.
        cause: Arc<RefreshError>,
    },
    /// No such issuer is configured.
    #[error("the issuer is not configured")]
    UnknownIssuer,
}

/// What is known about one issuer's keys, for readiness, status and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerStatus {
    /// The issuer.
    pub issuer: String,
    /// How many signing keys are held.
    pub keys: usize,
    /// Seconds since they were fetched; `None` if they never were.
    pub age_seconds: Option<u64>,
    /// Whether tokens can be verified: keys are held and not too old.
    pub usable: bool,
    /// Fetches begun since the start.
    pub fetches: u64,
    /// Fetches that failed since the start.
    pub failures: u64,
    /// Fetched sets that were malformed or poisoned: each one deserves an alert.
    pub sets_refused: u64,
    /// Why the last fetch failed; `None` if it succeeded.
    pub last_error: Option<Arc<RefreshError>>,
}

impl IssuerKeys {
    /// Keys of these issuers. Nothing is fetched yet.
    ///
    /// # Errors
    /// See [`DuplicateIssuer`].
    pub fn new(
        sources: impl IntoIterator<Item = IssuerSource>,
        freshness: Freshness,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, DuplicateIssuer> {
        let begun = Arc::new(Notify::new());
        let mut issuers = BTreeMap::new();
        for source in sources {
            let name = source.issuer().to_owned();
            let (clock, begun) = (Arc::clone(&clock), Arc::clone(&begun));
            let issuer = Arc::new(Issuer::new(source, freshness, clock, begun));
            if issuers.insert(name.clone(), issuer).is_some() {
                return Err(DuplicateIssuer { issuer: name });
            }
        }
        Ok(Self { issuers, clock, begun })
    }

    /// The keys of `issuer` for a token whose header names `kid`.
    ///
    /// Known keys are returned at once, whatever their age up to [`Freshness::stale_max`]. For
    /// an unknown `kid`, or without keys, the caller waits for one fetch that all callers share. A
    /// set without `kid` is returned if the issuer recently said that it has no such key.
    ///
    /// # Errors
    /// See [`KeysError`].
    pub async fn keys_for(
        &self,
        issuer: &str,
        kid: Option<&str>,
    ) -> Result<Arc<JwkSet>, KeysError> {
        let found = self.issuers.get(issuer).ok_or(KeysError::UnknownIssuer)?;
        found.keys(kid).await.map_err(|e| unavailable(issuer, e))
    }

    /// The keys of `issuer` that are held and not too old, without any fetch. The same `Arc` is
    /// returned until the issuer publishes another set, so a cache of verified tokens compares
    /// by address whether its keys still stand.
    #[must_use]
    pub fn current(&self, issuer: &str) -> Option<Arc<JwkSet>> {
        self.issuers.get(issuer)?.current()
    }

    /// Fetches what is due, all issuers at once, and sees through what requests have begun.
    pub async fn refresh_due(&self) {
        join_all(self.issuers.values().map(Issuer::refresh_if_due)).await;
    }

    /// Keeps all keys young; never returns. To be run by the node's supervisor; without it, keys
    /// are still fetched when they are missing, unknown or too old, but callers wait for that.
    pub async fn keep_fresh(&self) -> Infallible {
        loop {
            self.refresh_due().await;
            // Either a fetch becomes due, or a request begins one that may need seeing through.
            drop(tokio::time::timeout(self.until_due(), self.begun.notified()).await);
        }
    }

    /// What is known about each issuer, in the order of their names.
    #[must_use]
    pub fn status(&self) -> Vec<IssuerStatus> {
        self.issuers.values().map(|i| IssuerStatus::new(i.name(), i.snapshot())).collect()
    }

    fn until_due(&self) -> Duration {
        /// Only for a node without upstreams: a wait that never matters.
        const IDLE: Duration = Duration::from_secs(3_600);
        let now = self.clock.monotonic();
        let next = self.issuers.values().map(|i| i.due_at()).min();
        next.map_or(IDLE, |at| at.saturating_sub(now))
    }
}

impl fmt::Debug for IssuerKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("IssuerKeys").field(&self.status()).finish()
    }
}

impl IssuerStatus {
    fn new(issuer: &str, snapshot: Snapshot) -> Self {
        Self {
            issuer: issuer.to_owned(),
            keys: snapshot.keys,
            age_seconds: snapshot.age.map(|a| a.as_secs()),
            usable: snapshot.usable,
            fetches: snapshot.tally.fetches,
            failures: snapshot.tally.failures,
            sets_refused: snapshot.tally.sets_refused,
            last_error: snapshot.tally.last_error,
        }
    }
}

impl fmt::Display for IssuerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "issuer `{}`: ", self.issuer)?;
        match self.age_seconds {
            None => f.write_str("no keys yet")?,
            Some(age) if self.usable => write!(f, "{} keys, {age} s old", self.keys)?,
            Some(age) => write!(f, "its keys are too old ({age} s)")?,
        }
        match (&self.last_error, self.age_seconds) {
            (Some(error), _) => write!(f, ": {error}"),
            (None, None) => write!(f, ": {}", RefreshError::Pending),
            (None, Some(_)) => Ok(()),
        }
    }
}

fn unavailable(issuer: &str, error: Unavailable) -> KeysError {
    // Rounded up, so that a client that waits so long is not told to wait again.
    let seconds = error.retry_after.as_secs().saturating_add(1);
    KeysError::Unavailable {
        issuer: issuer.to_owned(),
        retry_after: Ttl::from_seconds(u32::try_from(seconds).unwrap_or(u32::MAX)),
        cause: error.cause,
    }
}
