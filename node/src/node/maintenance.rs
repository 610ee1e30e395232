//! What a node does without being asked: counts become records, what expired is deleted, the next
//! status list is drawn, and every part reports how it is.

use std::{sync::Arc, time::Duration};

use exequatur_federation::{
    audit::{AuditRecord, Event},
    time::Ttl,
};
use prometheus_client::metrics::counter::Counter;
use tokio::task::{JoinError, JoinSet};

use super::{Seams, facade::draw_list};
use crate::{
    audit::{AuditItem, COUNT_INTERVAL},
    causes::with_causes,
    entropy::Entropy,
    facade::Facade,
    hsm::{KeyStore, KeyStoreError},
    store::Store,
    telemetry::{
        health::{Condition, Health},
        metrics::Metrics,
    },
    upstream::IssuerStatus,
};

/// How often conditions are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// How often expired rows are deleted.
const PURGE_INTERVAL: Duration = Duration::from_secs(60);
/// How long expired rows stay: longer than a request may take, and than the clock may step back.
const PURGE_MARGIN: Ttl = Ttl::from_seconds(600);
/// How often the attributes of the keys are read back (at start and hourly).
const KEY_CHECK_INTERVAL: Duration = Duration::from_secs(3_600);

/// The conditions of `/readyz`.
pub(super) struct Conditions {
    audit: Condition,
    keys: Condition,
    issuers: Condition,
}

impl Conditions {
    pub(super) fn register(health: &Health) -> Self {
        Self {
            audit: health.condition("audit_log"),
            keys: health.condition("key_store"),
            issuers: health.condition("issuer_keys"),
        }
    }
}

/// The parts that need upkeep.
pub(super) struct Maintenance {
    pub(super) facade: Arc<Facade>,
    pub(super) store: Arc<dyn Store>,
    pub(super) keys: Arc<dyn KeyStore>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) conditions: Conditions,
}

impl Maintenance {
    /// Works for ever.
    pub(super) async fn run(self) {
        let mut look = tokio::time::interval(LOOK_INTERVAL);
        let mut count = tokio::time::interval(COUNT_INTERVAL);
        let mut purge = tokio::time::interval(PURGE_INTERVAL);
        let mut check = tokio::time::interval(KEY_CHECK_INTERVAL);
        let mut key_fault = None;
        // One check at a time, beside everything else: a device that hangs holds up nothing here.
        let mut checking = JoinSet::new();
        let mut fetches = FetchCounts::new(&self.facade.metrics);
        loop {
            tokio::select! {
                _ = look.tick() => {
                    let status = self.facade.keys.status();
                    fetches.update(&status);
                    self.look(key_fault.as_deref(), &status);
                    self.provide_list().await;
                }
                _ = count.tick() => flush_counts(&self.facade).await,
                _ = purge.tick() => self.purge().await,
                _ = check.tick(), if checking.is_empty() => {
                    let keys = Arc::clone(&self.keys);
                    checking.spawn_blocking(move || keys.check());
                }
                Some(checked) = checking.join_next() => key_fault = fault_of(checked),
            }
        }
    }

    fn look(&self, key_fault: Option<&str>, status: &[IssuerStatus]) {
        match self.facade.audit.trouble() {
            None => self.conditions.audit.ready(),
            Some(trouble) => self.conditions.audit.not_ready(trouble.to_string()),
        }
        match (key_fault, self.keys.health().available) {
            (Some(fault), _) => self.conditions.keys.not_ready(fault.to_owned()),
            (None, true) => self.conditions.keys.ready(),
            (None, false) => self.conditions.keys.not_ready("the key store fails repeatedly"),
        }
        let amiss: Vec<String> =
            status.iter().filter(|s| s.last_error.is_some()).map(ToString::to_string).collect();
        // A provider that is down stops its own people only: introspection, revocation and other
        // providers go on, so the node stays in rotation and says what is amiss.
        if amiss.is_empty() {
            self.conditions.issuers.ready();
        } else {
            self.conditions.issuers.degraded(amiss.join("; "));
        }
    }

    async fn provide_list(&self) {
        if !self.facade.indexes.wants_next(self.facade.clock.now()) {
            return;
        }
        let seams =
            Seams { clock: Arc::clone(&self.facade.clock), entropy: Arc::clone(&self.entropy) };
        match draw_list(self.store.as_ref(), &seams).await {
            Ok(list) => self.facade.indexes.provide(list),
            Err(error) => {
                tracing::warn!(
                    error = with_causes(&error),
                    "the next status list is not durable yet"
                );
            }
        }
    }

    async fn purge(&self) {
        let before = self.facade.clock.now().minus(PURGE_MARGIN);
        self.facade.revocations.purge(before);
        if let Err(error) = self.store.purge(before).await {
            tracing::warn!(%error, "expired rows were not deleted");
        }
        for list in self.facade.indexes.in_use() {
            let now = self.facade.clock.now();
            if let Err(error) = self.store.use_status_list(list.bits(), now).await {
                tracing::warn!(%error, "the use of a status list was not noted");
            }
        }
    }
}

/// What is wrong with the keys, in words.
fn fault_of(checked: Result<Result<(), KeyStoreError>, JoinError>) -> Option<String> {
    match checked {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(with_causes(&error)),
        Err(_) => Some("the check of the keys broke off".to_owned()),
    }
}

/// Fetches from global issuers by outcome: the issuers keep totals, metrics want increments.
struct FetchCounts {
    counters: [Counter; 3],
    told: [u64; 3],
}

impl FetchCounts {
    fn new(metrics: &Metrics) -> Self {
        let counters = ["ok", "failed", "set_refused"].map(|o| metrics.upstream_fetches(o));
        Self { counters, told: [0; 3] }
    }

    fn update(&mut self, status: &[IssuerStatus]) {
        let total = |of: fn(&IssuerStatus) -> u64| status.iter().map(of).sum::<u64>();
        let (fetches, failures) = (total(|s| s.fetches), total(|s| s.failures));
        let totals = [fetches.saturating_sub(failures), failures, total(|s| s.sets_refused)];
        for ((counter, told), total) in self.counters.iter().zip(&mut self.told).zip(totals) {
            // A fetch that is under way counts as good until it fails.
            counter.inc_by(total.saturating_sub(*told));
            *told = total.max(*told);
        }
    }
}

/// Records the refusals of strangers since the last time; what cannot be recorded is counted on.
///
/// A count is taken just before its record is queued, and what is queued is saved: a node that is
/// stopped meanwhile loses no count. Where it is unknown whether a record was saved, its count may
/// stand twice.
pub(super) async fn flush_counts(facade: &Facade) {
    for reason in facade.counted.reasons() {
        let Some(row) = facade.counted.take(reason) else { continue };
        let event =
            Event::RefusedCounted { error_id: row.reason, count: row.count, from: row.from };
        let record = AuditRecord::new(row.to, None, event);
        let saved = match AuditItem::of(&record) {
            Ok(item) => facade.audit.record(item).await.is_ok(),
            Err(_) => false,
        };
        if !saved {
            facade.counted.put_back(row);
        }
    }
}
