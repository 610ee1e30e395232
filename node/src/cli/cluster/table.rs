//! The status as text: who answers, who leads, every node, what survives.

use std::{
    io::{self, Write},
    time::Duration,
};

use exequatur_federation::{freshness::minutes_left, membership::NodeId, time::UnixTime};

use super::{
    condition::Condition,
    status::{name, view_name},
};
use crate::consensus::control::{ClusterStatus, NodeState, NodeStatus, ViewStatus};

const HEAD: [&str; 8] = ["REGION", "NODE", "ROLE", "LAG", "SEEN", "BUILD", "LEVELS", "ADDRESS"];

/// What is not known.
const UNKNOWN: &str = "-";

/// Writes the status.
pub(super) fn write(
    out: &mut dyn Write,
    status: &ClusterStatus,
    degraded: &[Condition],
    now: UnixTime,
) -> io::Result<()> {
    let ClusterStatus { cluster, epoch, level, node, region, term, .. } = status;
    writeln!(out, "federation   {}, epoch {epoch}, level {level}", printable(cluster))?;
    writeln!(
        out,
        "answered by  {node} ({}), {} in term {term}",
        printable(region),
        name(status.state)
    )?;
    writeln!(out, "leader       {}", leader(status))?;
    writeln!(
        out,
        "log          last {}, committed {}, applied {}, snapshot {}, purged {}",
        index(status.last_log_index),
        index(status.committed_index),
        index(status.applied_index),
        index(status.snapshot_index),
        index(status.purged_index),
    )?;
    let (time, ago) = (status.replicated_time, now.since(status.replicated_time));
    writeln!(out, "ledger time  {time} ({ago} s ago)")?;
    writeln!(out, "state        {}", status.state_digest)?;
    writeln!(out, "law          {}", status.law)?;
    if let Some(view) = &status.view {
        writeln!(out, "revocations  {}", view_text(view))?;
    }
    writeln!(out)?;
    rows(out, status)?;
    writeln!(out)?;
    let survives = if status.survives_any_region { "yes" } else { "NO" };
    writeln!(out, "survives the loss of any one region: {survives}")?;
    for condition in degraded {
        writeln!(out, "degraded: {}", condition.as_str())?;
    }
    for warning in &status.warnings {
        writeln!(out, "warning: {}", printable(warning))?;
    }
    Ok(())
}

fn leader(status: &ClusterStatus) -> String {
    let Some(leader) = status.leader else { return "none known".to_owned() };
    match status.nodes.iter().find(|node| node.node == leader) {
        Some(node) => format!("{leader} ({})", printable(&node.region)),
        None => leader.to_string(),
    }
}

fn view_text(view: &ViewStatus) -> String {
    let age = match view.age_ms {
        Some(age_ms) => format!("known up to {} ago", seen(age_ms)),
        None => "not confirmed since the node started".to_owned(),
    };
    let left = view.local_seconds_left.map(|left| minutes_left(Duration::from_secs(left)));
    let left = left.map(|minutes| format!(" for {minutes} min more")).unwrap_or_default();
    format!("{age}: {}{left}", view_name(view.state))
}

fn rows(out: &mut dyn Write, status: &ClusterStatus) -> io::Result<()> {
    let mut nodes: Vec<&NodeStatus> = status.nodes.iter().collect();
    nodes.sort_by(|a, b| (&a.region, a.node).cmp(&(&b.region, b.node)));
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(nodes.into_iter().map(|node| row(status, node)));
    let mut widths = [0; HEAD.len()];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

fn row(status: &ClusterStatus, node: &NodeStatus) -> [String; HEAD.len()] {
    let unknown = || UNKNOWN.to_owned();
    [
        printable(&node.region),
        node.node.to_string(),
        role(status.leader, node).to_owned(),
        lag(status, node).map_or_else(unknown, |lag| lag.to_string()),
        node.last_seen_ms.map_or_else(unknown, seen),
        node.build.map_or_else(unknown, |build| build.to_string()),
        node.levels.map_or_else(unknown, |l| format!("{}-{}", l.lowest, l.highest)),
        node.address.as_deref().map_or_else(unknown, printable),
    ]
}

fn role(leader: Option<NodeId>, node: &NodeStatus) -> &'static str {
    match (node.voter, leader == Some(node.node)) {
        (_, true) => "leader",
        (true, false) => "voter",
        (false, false) => "learner",
    }
}

/// How many entries it lacks of the leader's; only the leader knows.
fn lag(status: &ClusterStatus, node: &NodeStatus) -> Option<u64> {
    if status.state == NodeState::Leader && status.node == node.node {
        return Some(0);
    }
    Some(status.last_log_index?.saturating_sub(node.matched_index?))
}

fn seen(milliseconds: u64) -> String {
    format!("{}.{} s", milliseconds / 1_000, milliseconds % 1_000 / 100)
}

fn index(index: Option<u64>) -> String {
    index.map_or_else(|| UNKNOWN.to_owned(), |index| index.to_string())
}

/// Another node's text must not steer the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
