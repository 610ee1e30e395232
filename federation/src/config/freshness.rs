//! How old the view of revocations may be: `[revocation]`, and the stricter settings of a
//! `[[resource]]`.

use std::time::Duration;

use super::{
    diagnostic::{Place, Report},
    federation::Federation,
    resource::token_ttl,
    table::{At, Table},
};
use crate::{
    freshness::{Bounds, OnStale},
    law::Resource,
    membership::RaftTiming,
    time::Ttl,
};

/// Longest time that a region goes on with a stale view.
const LOCAL_SECONDS_MAX: u32 = 86_400;

/// What a resource goes by where the region's own bounds cannot be read: an error was reported.
const UNREADABLE: Bounds =
    Bounds { max_staleness: Ttl::from_seconds(1), on_stale: OnStale::Refuse };

/// Reads `[revocation]`.
pub(super) fn region(root: &Table<'_>, report: &mut Report<'_>) -> Option<Bounds> {
    let table = root.table("revocation")?;
    let max_staleness = staleness(&table.duration("max_staleness")?, report);
    let local_max = table.duration("local_max")?;
    if local_max.value.seconds() > LOCAL_SECONDS_MAX {
        report.error(&local_max.place, "a region goes on with a stale view for at most 24h", None);
    }
    let stale_ttl = token_ttl(&table.duration("stale_ttl")?, report);
    let on_stale = match table.text("on_stale")?.value.as_str() {
        "refuse" => OnStale::Refuse,
        _ => {
            check_begins(&local_max, max_staleness, report);
            OnStale::Local { stale_ttl: stale_ttl?, local_max: local_max.value }
        }
    };
    Some(Bounds { max_staleness, on_stale })
}

/// Reads the settings of a `[[resource]]`: what it leaves out is the region's, what it says is
/// stricter.
pub(super) fn resource(
    table: &Table<'_>,
    region: Option<&Bounds>,
    report: &mut Report<'_>,
) -> Bounds {
    let Some(region) = region else { return UNREADABLE };
    let max_staleness = match table.duration("max_staleness") {
        None => region.max_staleness,
        Some(own) => {
            check_no_longer(&own, ("max_staleness", region.max_staleness), report);
            staleness(&own, report)
        }
    };
    let on_stale = on_stale(table, (region.on_stale, max_staleness), report);
    Bounds { max_staleness, on_stale }
}

fn on_stale(
    table: &Table<'_>,
    (region, max_staleness): (OnStale, Ttl),
    report: &mut Report<'_>,
) -> OnStale {
    let own = table.text("on_stale");
    let local_max = table.duration("local_max");
    let refuses = own.as_ref().is_some_and(|own| own.value == "refuse");
    let (stale_ttl, of_region) = match region {
        OnStale::Local { stale_ttl, local_max } if !refuses => (stale_ttl, local_max),
        OnStale::Local { .. } | OnStale::Refuse => {
            if let Some(own) = own.filter(|own| own.value != "refuse") {
                let message =
                    "the region refuses with a stale view, and a resource cannot be laxer";
                let hint = "remove it here, or write on_stale = \"local\" under [revocation]";
                report.error(&own.place, message, Some(hint.to_owned()));
            } else if let Some(local_max) = local_max {
                let message = "nobody is served with a stale view here, so there is nothing to end";
                report.error(&local_max.place, message, Some("remove local_max".to_owned()));
            }
            return OnStale::Refuse;
        }
    };
    let local_max = local_max.map_or(of_region, |own| {
        check_no_longer(&own, ("local_max", of_region), report);
        check_begins(&own, max_staleness, report);
        own.value
    });
    OnStale::Local { stale_ttl, local_max }
}

fn staleness(own: &At<Ttl>, report: &mut Report<'_>) -> Ttl {
    if own.value.seconds() == 0 {
        report.error(&own.place, "a view is never fresher than 1s", None);
    }
    own.value
}

fn check_no_longer(own: &At<Ttl>, (key, region): (&str, Ttl), report: &mut Report<'_>) {
    if own.value > region {
        let message = format!(
            "{} is longer than {region}, the region's {key}, and a resource can only be stricter",
            own.value
        );
        let hint = format!("write {key} = \"{region}\" or less, or raise revocation.{key}");
        report.error(&own.place, message, Some(hint));
    }
}

/// Local mode begins when the view is stale, and must not have ended by then.
fn check_begins(local_max: &At<Ttl>, max_staleness: Ttl, report: &mut Report<'_>) {
    if local_max.value <= max_staleness {
        let message = format!(
            "a local_max of {} ends before the view is stale, at {max_staleness}",
            local_max.value
        );
        let hint = "write a longer one, or on_stale = \"refuse\" and no local_max".to_owned();
        report.error(&local_max.place, message, Some(hint));
    }
}

/// Refuses bounds that every failover would break.
pub(super) fn check_failover(
    root: &Table<'_>,
    resources: &[(Table<'_>, Resource)],
    federation: &Federation,
    report: &mut Report<'_>,
) {
    let Some(settings) = &federation.settings else { return };
    let timing = settings.timing();
    if let Some(table) = root.table("revocation")
        && let Some(max_staleness) = table.duration("max_staleness")
    {
        check_outlasts(max_staleness.value, &table.place_of("max_staleness"), &timing, report);
    }
    for (table, resource) in resources.iter().filter(|(table, _)| table.has("max_staleness")) {
        let place = table.place_of("max_staleness");
        check_outlasts(resource.freshness.max_staleness, &place, &timing, report);
    }
}

fn check_outlasts(max_staleness: Ttl, place: &Place, timing: &RaftTiming, report: &mut Report<'_>) {
    let max_staleness = Duration::from_secs(u64::from(max_staleness.seconds()));
    let reached = timing.reached_staleness(max_staleness);
    // Of none at all it was said that there is no such view.
    if max_staleness >= reached || max_staleness.is_zero() {
        return;
    }
    let message = format!(
        "a max_staleness of {} s is less than a view ages while a leader is replaced: {} ms for \
         that (8 heartbeats of {} ms, 4 round trips of {} ms, 1 s), {} ms until the next probe \
         and {} ms for it are {} ms",
        max_staleness.as_secs(),
        timing.failover_max.as_millis(),
        timing.heartbeat.as_millis(),
        timing.max_rtt.as_millis(),
        (max_staleness / 8).as_millis(),
        timing.max_rtt.as_millis(),
        reached.as_millis(),
    );
    let hint = format!(
        "write max_staleness = \"{}s\" or more, or a smaller max_rtt_ms in federation.toml",
        timing.staleness_min().as_secs()
    );
    report.error(place, message, Some(hint));
}
