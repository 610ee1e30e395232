//! What a run found: a table for people, with the targets beside it, and one JSON object for
//! programs. Rows that were not measured are null.

use std::fmt::Write as _;

use serde::Serialize;

/// The floor is what `exchange_per_s` is compared with; the other targets are absolute.
const RATIO_TARGET: f64 = 0.80;
const CACHED_FACTOR: f64 = 1.6;
const SOFTHSM_TARGET: f64 = 4_800.0;
const INTROSPECTION_TARGET: f64 = 25_000.0;
const P99_TARGET_US: f64 = 10_000.0;
const FSYNC_FACTOR: f64 = 1.5;
const SINGLE_EXTRA_US: f64 = 180.0;
const IDLE_TARGET_MIB: f64 = 40.0;
const READY_TARGET_MS: f64 = 300.0;

/// Every row of a run; the JSON members, in their order.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Report {
    /// Token exchanges a second: new subject tokens, `client_secret_basic`, software key, SQLite.
    pub(crate) exchange_per_s: Option<u64>,
    /// The same requests a second at the floor.
    pub(crate) floor_per_s: Option<u64>,
    /// The first over the second.
    pub(crate) ratio: Option<f64>,
    /// Exchanges a second of one subject token, again and again.
    pub(crate) cached_subject_per_s: Option<u64>,
    /// Exchanges a second with the signing key in SoftHSM2.
    pub(crate) softhsm_per_s: Option<u64>,
    /// Exchanges a second by `private_key_jwt`, each with an assertion of its own.
    pub(crate) private_key_jwt_per_s: Option<u64>,
    /// Introspections a second.
    pub(crate) introspection_per_s: Option<u64>,
    /// Median latency of the first row, in microseconds.
    pub(crate) p50_us: Option<u32>,
    /// 99th percentile of the same.
    pub(crate) p99_us: Option<u32>,
    /// Median latency of exchanges on one connection.
    pub(crate) single_p50_us: Option<u32>,
    /// Median time of a durable write of 4 KiB in the same directory.
    pub(crate) fsync_p50_us: Option<u32>,
    /// Resident memory after the first row.
    pub(crate) rss_mib: Option<f64>,
    /// Resident memory of a node that is ready and was not asked for anything yet.
    pub(crate) idle_rss_mib: Option<f64>,
    /// From the start of the process to 200 on `/readyz`, the best of several starts.
    pub(crate) ready_ms: Option<f64>,
    /// The floor that verifies assertions too. In the table only: the members above are fixed.
    #[serde(skip)]
    pub(crate) private_key_jwt_floor_per_s: Option<u64>,
    /// Core time of one exchange at the node, in microseconds. In the table only.
    #[serde(skip)]
    pub(crate) exchange_core_us: Option<u64>,
    /// Core time of one exchange at the floor, in microseconds. In the table only.
    #[serde(skip)]
    pub(crate) floor_core_us: Option<u64>,
}

/// What a row should reach.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Target {
    AtLeast(f64),
    AtMost(f64),
    None,
}

struct Row {
    name: &'static str,
    measured: Option<f64>,
    target: Target,
}

impl Report {
    /// The JSON object, on one line.
    pub(crate) fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// The measured rows with their targets, one a line.
    pub(crate) fn table(&self) -> String {
        let mut table = format!("\n{:<28}{:>12}   target\n", "row", "measured");
        for Row { name, measured, target } in self.rows() {
            let Some(measured) = measured else { continue };
            let said = match target {
                Target::AtLeast(target) => {
                    format!("at least {target:.2}{}", verdict(measured >= target))
                }
                Target::AtMost(target) => {
                    format!("at most {target:.2}{}", verdict(measured <= target))
                }
                Target::None => "-".to_owned(),
            };
            writeln!(table, "{name:<28}{measured:>12.2}   {said}").ok();
        }
        table
    }

    fn rows(&self) -> Vec<Row> {
        let floor = self.floor_per_s.map(number);
        let fsync = self.fsync_p50_us.map(f64::from);
        let at_least = |factor, value: Option<f64>| {
            value.map_or(Target::None, |value| Target::AtLeast(factor * value))
        };
        let single = fsync
            .map_or(Target::None, |fsync| Target::AtMost(FSYNC_FACTOR * fsync + SINGLE_EXTRA_US));
        let row = |name, measured, target| Row { name, measured, target };
        let count = |value: Option<u64>| value.map(number);
        let time = |value: Option<u32>| value.map(f64::from);
        vec![
            row("exchange_per_s", count(self.exchange_per_s), at_least(RATIO_TARGET, floor)),
            row("floor_per_s", floor, Target::None),
            row("  core time, us", count(self.exchange_core_us), Target::None),
            row("  core time of the floor, us", count(self.floor_core_us), Target::None),
            row("ratio", self.ratio, Target::AtLeast(RATIO_TARGET)),
            row(
                "cached_subject_per_s",
                count(self.cached_subject_per_s),
                at_least(CACHED_FACTOR, floor),
            ),
            row("softhsm_per_s", count(self.softhsm_per_s), Target::AtLeast(SOFTHSM_TARGET)),
            row("private_key_jwt_per_s", count(self.private_key_jwt_per_s), Target::None),
            row("  its floor", count(self.private_key_jwt_floor_per_s), Target::None),
            row(
                "introspection_per_s",
                count(self.introspection_per_s),
                Target::AtLeast(INTROSPECTION_TARGET),
            ),
            row("p50_us", time(self.p50_us), Target::None),
            row("p99_us", time(self.p99_us), Target::AtMost(P99_TARGET_US)),
            row("single_p50_us", time(self.single_p50_us), single),
            row("fsync_p50_us", fsync, Target::None),
            row("rss_mib", self.rss_mib, Target::None),
            row("idle_rss_mib", self.idle_rss_mib, Target::AtMost(IDLE_TARGET_MIB)),
            row("ready_ms", self.ready_ms, Target::AtMost(READY_TARGET_MS)),
        ]
    }
}

const fn verdict(reached: bool) -> &'static str {
    if reached { "" } else { "   MISSED" }
}

/// A count as a number to calculate with; beyond four billion it does not matter which.
pub(crate) fn number(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Rounds to a thousandth: more digits would promise more than a shared machine can measure.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_json_has_exactly_the_agreed_members_in_their_order() {
        let json = Report::default().json().unwrap();
        let members = [
            "exchange_per_s",
            "floor_per_s",
            "ratio",
            "cached_subject_per_s",
            "softhsm_per_s",
            "private_key_jwt_per_s",
            "introspection_per_s",
            "p50_us",
            "p99_us",
            "single_p50_us",
            "fsync_p50_us",
            "rss_mib",
            "idle_rss_mib",
            "ready_ms",
        ];
        let expected: Vec<String> = members.iter().map(|name| format!("\"{name}\":null")).collect();
        assert_eq!(json, format!("{{{}}}", expected.join(",")));
    }

    #[test]
    fn counts_are_whole_numbers() {
        let report =
            Report { exchange_per_s: Some(8_123), ratio: Some(0.812), ..Report::default() };
        let json: Value = serde_json::from_str(&report.json().unwrap()).unwrap();
        assert_eq!((&json["exchange_per_s"], &json["ratio"]), (&8_123.into(), &0.812.into()));
    }

    #[test]
    fn a_missed_target_is_named_and_a_reached_one_is_not() {
        let line = |report: &Report, name: &str| {
            report.table().lines().find(|line| line.starts_with(name)).unwrap().to_owned()
        };
        let mut report = Report {
            floor_per_s: Some(10_000),
            cached_subject_per_s: Some(15_999),
            fsync_p50_us: Some(100),
            single_p50_us: Some(330),
            ..Report::default()
        };
        assert!(line(&report, "cached_subject_per_s").ends_with("at least 16000.00   MISSED"));
        assert!(line(&report, "single_p50_us").ends_with("at most 330.00"));
        report.single_p50_us = Some(331);
        assert!(line(&report, "single_p50_us").ends_with("MISSED"));
    }

    #[test]
    fn rows_that_were_not_measured_are_left_out_of_the_table() {
        assert_eq!(Report::default().table().trim().lines().count(), 1);
    }
}
