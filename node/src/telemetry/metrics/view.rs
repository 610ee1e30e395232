//! How old the view of revocations is, and the probes that tell.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{add, latency};

/// The view's age, by the region's own bounds.
#[derive(Clone, Debug)]
pub struct ViewMeters {
    /// Since the last probe that succeeded was sent, in seconds; without one since the node
    /// started.
    pub age_seconds: Gauge<f64, AtomicU64>,
    /// Until everything is refused, in seconds, while local mode lasts.
    pub local_seconds_left: Gauge<f64, AtomicU64>,
    states: [Gauge; 3],
}

/// Probes of the leader.
#[derive(Clone, Debug)]
pub struct ProbeMeters {
    /// From sending a probe until the view has what the leader said.
    pub seconds: Histogram,
    /// Probes after which the view was confirmed.
    pub confirmed: Counter,
    /// Probes that were not sent, for want of a leader.
    pub no_leader: Counter,
    /// Probes that a leader answered which finds no quorum.
    pub no_quorum: Counter,
    /// Probes that were not answered.
    pub no_answer: Counter,
    /// Probes that were answered, and the view did not get as far in time.
    pub behind: Counter,
    /// Probes that found another ledger than the leader's.
    pub differs: Counter,
}

/// What a view is good for, in metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewStateLabel {
    /// For everything.
    Fresh,
    /// For the region's own people.
    Local,
    /// For nothing.
    Stale,
}

impl ViewMeters {
    pub(super) fn register(r: &mut Registry) -> Self {
        let states: Family<StateLabels, Gauge> =
            add(r, "view_state", "1 for what the view of revocations is good for, 0 for the rest");
        let of = |state| states.get_or_create_owned(&StateLabels { state });
        Self {
            age_seconds: add(r, "view_age_seconds", "Age of the view of revocations"),
            local_seconds_left: add(r, "view_local_seconds_left", "Until local mode ends"),
            states: [of("fresh"), of("local"), of("stale")],
        }
    }

    /// Tells what the view is good for.
    pub fn state(&self, now: ViewStateLabel) {
        let labels = [ViewStateLabel::Fresh, ViewStateLabel::Local, ViewStateLabel::Stale];
        for (gauge, label) in self.states.iter().zip(labels) {
            gauge.set(i64::from(label == now));
        }
    }
}

impl ProbeMeters {
    pub(super) fn register(r: &mut Registry) -> Self {
        let probes: Family<OutcomeLabels, Counter> =
            add(r, "probes", "Probes of the leader by outcome");
        let seconds = latency();
        r.register("probe_seconds", "From a probe to a view that has caught up", seconds.clone());
        let of = |outcome| probes.get_or_create_owned(&OutcomeLabels { outcome });
        Self {
            seconds,
            confirmed: of("confirmed"),
            no_leader: of("no_leader"),
            no_quorum: of("no_quorum"),
            no_answer: of("no_answer"),
            behind: of("behind"),
            differs: of("differs"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}
