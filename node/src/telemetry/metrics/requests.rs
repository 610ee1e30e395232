//! Requests by endpoint and outcome, and how long they took.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{add, latency};

/// What is counted as the outcome of a request that was not refused.
const OUTCOME_OK: &str = "ok";

/// The endpoints told apart in metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `POST /token`.
    Token,
    /// `POST /introspect`.
    Introspect,
    /// `POST /revoke`.
    Revoke,
    /// `GET` or `POST /statuslists`: which lists there are.
    StatusLists,
    /// `GET` or `POST /revocations`: the feed.
    RevocationFeed,
    /// Public documents: `GET /jwks`, metadata and status lists.
    Document,
    /// What no route matched.
    Unrouted,
}

/// Requests by endpoint and outcome, and how long they took.
#[derive(Debug)]
pub struct RequestMeters {
    outcomes: Family<RequestLabels, Counter>,
    token: EndpointMeters,
    introspect: EndpointMeters,
    revoke: EndpointMeters,
    status_lists: EndpointMeters,
    revocation_feed: EndpointMeters,
    document: EndpointMeters,
    unrouted: EndpointMeters,
}

impl RequestMeters {
    /// Counts one answered request. `refusal` is the stable error id, or `None` if it succeeded.
    pub fn answered(&self, endpoint: Endpoint, refusal: Option<&'static str>, took: Duration) {
        let meters = match endpoint {
            Endpoint::Token => &self.token,
            Endpoint::Introspect => &self.introspect,
            Endpoint::Revoke => &self.revoke,
            Endpoint::StatusLists => &self.status_lists,
            Endpoint::RevocationFeed => &self.revocation_feed,
            Endpoint::Document => &self.document,
            Endpoint::Unrouted => &self.unrouted,
        };
        meters.seconds.observe(took.as_secs_f64());
        match refusal {
            None => meters.ok.inc(),
            Some(outcome) => {
                let labels = RequestLabels { endpoint: endpoint.name(), outcome };
                self.outcomes.get_or_create(&labels).inc()
            }
        };
    }

    pub(super) fn register(registry: &mut Registry) -> Self {
        let outcomes = add(registry, "requests", "Requests by endpoint and outcome");
        let seconds = Family::new_with_constructor(latency as fn() -> Histogram);
        registry.register("request_seconds", "Time to an answer by endpoint", seconds.clone());
        let of = |endpoint| EndpointMeters::resolve(&outcomes, &seconds, endpoint);
        Self {
            token: of(Endpoint::Token),
            introspect: of(Endpoint::Introspect),
            revoke: of(Endpoint::Revoke),
            status_lists: of(Endpoint::StatusLists),
            revocation_feed: of(Endpoint::RevocationFeed),
            document: of(Endpoint::Document),
            unrouted: of(Endpoint::Unrouted),
            outcomes,
        }
    }
}

impl Endpoint {
    /// The endpoint's name in metrics and records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Introspect => "introspect",
            Self::Revoke => "revoke",
            Self::StatusLists => "status_lists",
            Self::RevocationFeed => "revocation_feed",
            Self::Document => "document",
            Self::Unrouted => "unrouted",
        }
    }
}

#[derive(Debug)]
struct EndpointMeters {
    ok: Counter,
    seconds: Histogram,
}

impl EndpointMeters {
    fn resolve(
        outcomes: &Family<RequestLabels, Counter>,
        seconds: &Family<EndpointLabels, Histogram, fn() -> Histogram>,
        endpoint: Endpoint,
    ) -> Self {
        let endpoint = endpoint.name();
        let labels = RequestLabels { endpoint, outcome: OUTCOME_OK };
        Self {
            ok: outcomes.get_or_create_owned(&labels),
            seconds: seconds.get_or_create_owned(&EndpointLabels { endpoint }),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    endpoint: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointLabels {
    endpoint: &'static str,
}
