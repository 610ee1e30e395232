//! Tells operators how old the view is: `/readyz`, metrics, and `cluster status`.

use std::{sync::Arc, time::Duration};

use exequatur_federation::freshness::{
    AsOf, Bounds, Freshness, Traffic, ViewFacts, judge, minutes_left,
};

use super::ViewAge;
use crate::telemetry::{
    health::Condition,
    metrics::{ViewMeters, ViewStateLabel},
};

/// How often: the age of a view is counted in seconds.
const EVERY: Duration = Duration::from_secs(1);

/// Looks at the view from time to time. Decisions do not go by what it sees.
pub struct ViewReport {
    /// How old the view is.
    pub age: Arc<ViewAge>,
    /// The region's own bounds.
    pub bounds: Bounds,
    /// What `/readyz` shows.
    pub condition: Condition,
    /// What `/metrics` shows.
    pub meters: ViewMeters,
}

impl ViewReport {
    /// Reports until the node stops.
    pub async fn run(self) {
        let started = self.age.now().boottime;
        let mut due = tokio::time::interval(EVERY);
        loop {
            due.tick().await;
            self.report(started);
        }
    }

    fn report(&self, started: Duration) {
        let facts = self.age.facts();
        let since_start = facts.now.boottime.saturating_sub(started);
        self.meters.age_seconds.set(facts.age().unwrap_or(since_start).as_secs_f64());
        let (label, left) = match judge(&self.bounds, Traffic::Resident, &facts) {
            Freshness::Fresh => {
                self.condition.ready();
                (ViewStateLabel::Fresh, Duration::ZERO)
            }
            Freshness::Local { left, .. } => {
                self.condition.degraded(local_text(left));
                (ViewStateLabel::Local, left)
            }
            Freshness::Stale => {
                self.condition.not_ready(stale_text(&facts));
                (ViewStateLabel::Stale, Duration::ZERO)
            }
        };
        self.meters.state(label);
        self.meters.local_seconds_left.set(left.as_secs_f64());
    }
}

fn local_text(left: Duration) -> String {
    let minutes = minutes_left(left);
    let unit = if minutes == 1 { "minute" } else { "minutes" };
    format!(
        "too few voters can be reached to know every revocation: nothing crosses a border, and the \
         region's own people get short tokens for {minutes} more {unit}"
    )
}

const fn stale_text(facts: &ViewFacts) -> &'static str {
    match facts.as_of {
        AsOf::Never => {
            "no leader has confirmed the view of revocations since the node started, so tokens are \
             neither issued nor introspected: start the missing nodes, or mend the network"
        }
        AsOf::Alone | AsOf::Probe(_) => {
            "the view of revocations is too old, so tokens are neither issued nor introspected: \
             start the missing nodes, or mend the network"
        }
    }
}

#[cfg(test)]
mod tests {
    use exequatur_federation::{freshness::OnStale, time::Ttl};

    use super::*;
    use crate::{
        clock::{Clock as _, testing::HandClock},
        telemetry::{health::Health, metrics::Metrics},
    };

    #[test]
    fn readiness_and_metrics_follow_the_view() {
        let clock = Arc::new(HandClock::default());
        let age = Arc::new(ViewAge::of_member(Arc::<HandClock>::clone(&clock)));
        let (health, metrics) = (Health::new(), Metrics::new());
        let (stale_ttl, local_max) = (Ttl::from_seconds(60), Ttl::from_seconds(3_600));
        let report = ViewReport {
            age: Arc::clone(&age),
            bounds: Bounds {
                max_staleness: Ttl::from_seconds(10),
                on_stale: OnStale::Local { stale_ttl, local_max },
            },
            condition: health.condition("revocation_view"),
            meters: metrics.view.clone(),
        };
        let shown = || {
            report.report(Duration::ZERO);
            let readiness = health.readiness();
            let reason = readiness.conditions[0].reason.clone().unwrap_or_default();
            (readiness.ready, reason.into_owned(), metrics.text().unwrap())
        };
        let has = |text: &str, line: &str| {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        };
        clock.pass(Duration::from_secs(3));
        let (ready, reason, text) = shown();
        assert!(!ready && reason.contains("since the node started"), "{reason}");
        has(&text, r#"exequatur_view_state{state="stale"} 1"#);
        has(&text, "exequatur_view_age_seconds 3.0");

        age.confirmed(clock.moment());
        let (ready, reason, text) = shown();
        assert_eq!((ready, reason.as_str()), (true, ""));
        has(&text, r#"exequatur_view_state{state="fresh"} 1"#);
        has(&text, r#"exequatur_view_state{state="stale"} 0"#);

        clock.pass(Duration::from_secs(3_541));
        let (ready, reason, text) = shown();
        assert!(ready && reason.ends_with("for 1 more minute"), "{reason}");
        has(&text, r#"exequatur_view_state{state="local"} 1"#);
        has(&text, "exequatur_view_local_seconds_left 59.0");

        clock.pass(Duration::from_secs(59));
        let (ready, reason, text) = shown();
        assert!(!ready && reason.contains("too old"), "{reason}");
        has(&text, "exequatur_view_age_seconds 3600.0");
        has(&text, "exequatur_view_local_seconds_left 0.0");
    }
}
