//! Metrics: every time series of a node, named in one place.
//!
//! Label values are `&'static str` from closed lists, and those of the hot path are resolved when
//! the series is made, so that counting is an atomic addition and never an allocation.

mod connections;
mod requests;
mod status_lists;
mod view;

use std::fmt;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

use self::connections::ConnectionFamilies;
pub use self::connections::ConnectionMeters;
pub use self::requests::{Endpoint, RequestMeters};
pub use self::status_lists::StatusListMeters;
pub use self::view::{ProbeMeters, ViewMeters, ViewStateLabel};

/// The shortest latency told apart: below it lies only a cache hit.
const LATENCY_SECONDS_MIN: f64 = 0.000_1;

/// Doublings from the shortest latency; the last bucket ends at 6.6 s, past every deadline of a
/// request that can succeed.
const LATENCY_BUCKETS: u16 = 17;

/// Doublings from one record; the last bucket ends at 512 records in one audit batch.
const BATCH_BUCKETS: u16 = 10;

/// All metrics of a node, and the registry that writes them.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Requests by endpoint.
    pub requests: RequestMeters,
    /// The signers and what stands before them.
    pub signer: SignerMeters,
    /// The audit writer.
    pub audit: AuditMeters,
    /// The age of the view of revocations.
    pub view: ViewMeters,
    /// The probes that tell it.
    pub probes: ProbeMeters,
    /// Status lists and the feed of revocations.
    pub status_lists: StatusListMeters,
    /// Lookups by cache.
    caches: Family<CacheLabels, Counter>,
    upstream_fetches: Family<UpstreamLabels, Counter>,
    invariant_violations: Family<InvariantLabels, Counter>,
    connections: ConnectionFamilies,
    /// Revocations acknowledged here.
    pub revocations: Counter,
    /// Revocations that wait for the federation.
    pub revocations_pending: Gauge,
    /// Revocations that the federation refused.
    pub revocations_rejected: Counter,
    /// Panics of request handlers that were answered with an error.
    pub handler_panics: Counter,
    /// Until when the serving certificate is valid, in seconds since the epoch.
    pub certificate_not_after_seconds: Gauge,
    /// Until when the certificate towards other nodes is valid, in seconds since the epoch.
    pub peer_certificate_not_after_seconds: Gauge,
    /// Until when the certificate towards operators is valid, in seconds since the epoch.
    pub admin_certificate_not_after_seconds: Gauge,
    /// Certificate pairs that were found on disk and not taken.
    pub certificate_reload_failures: Counter,
}

/// The signers and what stands before them.
#[derive(Clone, Debug)]
pub struct SignerMeters {
    /// Signatures that were asked for and are not there yet.
    pub pending: Gauge,
    /// Time from queueing to the verified signature.
    pub sign_seconds: Histogram,
    /// Signatures that were not made, or not released.
    pub failures: Counter,
}

/// The audit writer.
#[derive(Clone, Debug)]
pub struct AuditMeters {
    /// Records made durable.
    pub records: Counter,
    /// Records in one transaction.
    pub batch_records: Histogram,
    /// Time of one durable write.
    pub fsync_seconds: Histogram,
}

/// Hits and misses of one cache.
#[derive(Clone, Debug)]
pub struct CacheMeters {
    /// Lookups that found an entry that may be used.
    pub hits: Counter,
    /// Lookups that did not.
    pub misses: Counter,
}

impl Metrics {
    /// All series, at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("exequatur");
        let version = vec![("version", env!("CARGO_PKG_VERSION"))];
        registry.register("build", "The running program", Info::new(version));
        let r = &mut registry;
        Self {
            requests: RequestMeters::register(r),
            signer: SignerMeters::register(r),
            audit: AuditMeters::register(r),
            view: ViewMeters::register(r),
            probes: ProbeMeters::register(r),
            status_lists: StatusListMeters::register(r),
            caches: add(r, "cache_lookups", "Cache lookups by cache and result"),
            upstream_fetches: add(r, "upstream_fetches", "Fetches from global issuers by outcome"),
            invariant_violations: add(r, "invariant_violations", "Must be zero; by invariant"),
            connections: ConnectionFamilies::register(r),
            revocations: add(r, "revocations", "Revocations acknowledged here"),
            revocations_pending: add(
                r,
                "revocations_pending",
                "Revocations of this node that wait for the federation",
            ),
            revocations_rejected: add(
                r,
                "revocations_rejected",
                "Revocations that the federation refused: each needs an operator",
            ),
            handler_panics: add(r, "handler_panics", "Panics of request handlers"),
            certificate_not_after_seconds: add(
                r,
                "certificate_not_after_seconds",
                "Until when the serving certificate is valid, seconds since the epoch",
            ),
            peer_certificate_not_after_seconds: add(
                r,
                "peer_certificate_not_after_seconds",
                "Until when the certificate towards other nodes is valid, seconds since the epoch",
            ),
            admin_certificate_not_after_seconds: add(
                r,
                "admin_certificate_not_after_seconds",
                "Until when the certificate towards operators is valid, seconds since the epoch",
            ),
            certificate_reload_failures: add(
                r,
                "certificate_reload_failures",
                "Certificate pairs found on disk and not taken",
            ),
            registry,
        }
    }

    /// All series in the OpenMetrics text format.
    ///
    /// # Errors
    /// A metric could not be written as text.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut out = String::new();
        text::encode(&mut out, &self.registry)?;
        Ok(out)
    }

    /// The meters of the cache called `cache`; keep them.
    #[must_use]
    pub fn cache(&self, cache: &'static str) -> CacheMeters {
        let of = |result| self.caches.get_or_create_owned(&CacheLabels { cache, result });
        CacheMeters { hits: of("hit"), misses: of("miss") }
    }

    /// The counter of fetches from global issuers that ended as `outcome`; keep it.
    #[must_use]
    pub fn upstream_fetches(&self, outcome: &'static str) -> Counter {
        self.upstream_fetches.get_or_create_owned(&UpstreamLabels { outcome })
    }

    /// Counts a violation of the invariant `id` (such as `I-R1`).
    pub fn invariant_violated(&self, id: &'static str) {
        self.invariant_violations.get_or_create(&InvariantLabels { id }).inc();
        tracing::error!(invariant = id, "invariant violated");
    }

    /// The meters of the listener called `listener`; keep them.
    #[must_use]
    pub fn connections(&self, listener: &'static str) -> ConnectionMeters {
        self.connections.of(listener)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl SignerMeters {
    fn register(registry: &mut Registry) -> Self {
        let sign_seconds = latency();
        registry.register("sign_seconds", "Time to a verified signature", sign_seconds.clone());
        Self {
            pending: add(registry, "sign_pending", "Signatures asked for and not there yet"),
            failures: add(registry, "sign_failures", "Signatures not made or not released"),
            sign_seconds,
        }
    }
}

impl AuditMeters {
    fn register(registry: &mut Registry) -> Self {
        let batch_records = Histogram::new(exponential_buckets(1.0, 2.0, BATCH_BUCKETS));
        registry.register("audit_batch_records", "Records in one save", batch_records.clone());
        let fsync_seconds = latency();
        registry.register("audit_fsync_seconds", "Time of one save", fsync_seconds.clone());
        let records = add(registry, "audit_records", "Audit records made durable");
        Self { records, batch_records, fsync_seconds }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CacheLabels {
    cache: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UpstreamLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InvariantLabels {
    id: &'static str,
}

/// A new metric, registered under `name`; metrics are handles, so both sides see one value.
fn add<M>(registry: &mut Registry, name: &str, help: &str) -> M
where
    M: Metric + Clone + Default,
{
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

fn latency() -> Histogram {
    Histogram::new(exponential_buckets(LATENCY_SECONDS_MIN, 2.0, LATENCY_BUCKETS))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn requests_are_counted_by_endpoint_and_outcome() {
        let metrics = Metrics::new();
        let took = Duration::from_micros(250);
        metrics.requests.answered(Endpoint::Token, None, took);
        metrics.requests.answered(Endpoint::Token, Some("home_region_elsewhere"), took);
        let text = metrics.text().unwrap();
        for line in [
            r#"exequatur_requests_total{endpoint="token",outcome="ok"} 1"#,
            r#"exequatur_requests_total{endpoint="token",outcome="home_region_elsewhere"} 1"#,
            r#"exequatur_request_seconds_count{endpoint="token"} 2"#,
            r#"exequatur_request_seconds_bucket{le="0.0002",endpoint="token"} 0"#,
            r#"exequatur_request_seconds_bucket{le="0.0004",endpoint="token"} 2"#,
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn the_names_that_dashboards_use_are_there() {
        let metrics = Metrics::new();
        metrics.invariant_violated("I-R1");
        metrics.cache("subject").hits.inc();
        metrics.upstream_fetches("timeout").inc();
        metrics.connections("public").open.inc();
        let text = metrics.text().unwrap();
        for line in [
            r#"exequatur_invariant_violations_total{id="I-R1"} 1"#,
            r#"exequatur_cache_lookups_total{cache="subject",result="hit"} 1"#,
            r#"exequatur_cache_lookups_total{cache="subject",result="miss"} 0"#,
            r#"exequatur_upstream_fetches_total{outcome="timeout"} 1"#,
            r#"exequatur_connections_open{listener="public"} 1"#,
            r#"exequatur_tls_handshake_failures_total{listener="public"} 0"#,
            "exequatur_certificate_not_after_seconds 0",
            "exequatur_peer_certificate_not_after_seconds 0",
            "exequatur_sign_pending 0",
            "exequatur_audit_records_total 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
    }
}
