//! What a judged command changes. Everything that could fail was looked at before.

use std::sync::Arc;

use super::{config::Switch, genesis, revocations};
use crate::{
    ledger::{
        Genesis, KeyThumbprint, List, LogName,
        state::{
            ConfigRow, KeyRow, LogRow, MemberRow, PendingAction, PendingRow, RegionRow, State,
        },
    },
    membership::{LevelRange, NodeId},
    region::RegionNumber,
    time::UnixTime,
};

/// A change of the tables.
#[derive(Clone, Debug)]
pub(in crate::ledger) enum Effect {
    /// None.
    Nothing,
    /// The federation begins.
    Found { genesis: Box<Genesis>, at: UnixTime },
    /// Something is revoked.
    Revoke(revocations::Change),
    /// A key is published or changes its state.
    Key(RegionNumber, KeyThumbprint, Box<KeyRow>),
    /// Logs have a newer head, or more cosigners.
    Logs(Vec<(LogName, LogRow)>),
    /// A region has announced a configuration and what its nodes know.
    Announce { region: RegionNumber, row: Box<ConfigRow>, levels: LevelRange },
    /// Another law is in force.
    Switch(Box<Switch>),
    /// A region's row changes.
    Region(RegionNumber, Box<RegionRow>),
    /// A node joins, or has a newer ticket.
    Join(NodeId, MemberRow),
    /// A node leaves.
    Leave(NodeId),
    /// The level rises.
    Level(u16),
    /// A two-region action waits for the second.
    Wait(PendingAction, PendingRow),
}

pub(super) fn take(state: &mut State, effect: Effect) {
    match effect {
        Effect::Nothing => {}
        Effect::Found { genesis, at } => genesis::take(state, &genesis, at),
        Effect::Revoke(change) => revocations::take(state, &change),
        Effect::Key(region, kid, row) => {
            Arc::make_mut(&mut state.keys).insert((region, kid), *row);
        }
        Effect::Logs(rows) => {
            let logs = Arc::make_mut(&mut state.logs);
            logs.extend(rows.into_iter().map(|(name, row)| (name, Arc::new(row))));
        }
        Effect::Announce { region, row, levels } => announce(state, region, *row, levels),
        Effect::Switch(switch) => super::config::take(state, &switch),
        Effect::Region(region, row) => {
            Arc::make_mut(&mut state.regions).insert(region, *row);
        }
        Effect::Join(node, row) => {
            Arc::make_mut(&mut state.members).insert(node, row);
        }
        Effect::Leave(node) => leave(state, node),
        Effect::Level(level) => {
            if let Some(federation) = &mut state.federation {
                federation.level = level;
            }
        }
        Effect::Wait(action, row) => {
            Arc::make_mut(&mut state.pending).insert(action, row);
        }
    }
}

fn announce(state: &mut State, region: RegionNumber, row: ConfigRow, levels: LevelRange) {
    Arc::make_mut(&mut state.configs).insert(region, row);
    if state.members.values().any(|member| member.region == region && member.levels != levels) {
        for member in Arc::make_mut(&mut state.members).values_mut() {
            if member.region == region {
                member.levels = levels;
            }
        }
    }
}

fn leave(state: &mut State, node: NodeId) {
    let Some(row) = Arc::make_mut(&mut state.members).remove(&node) else { return };
    Arc::make_mut(&mut state.tombstones).insert(node, row.region);
    Arc::make_mut(&mut state.windows).remove(&node);
    if state.keys.values().any(|key| key.acknowledged.items().contains(&node)) {
        for key in Arc::make_mut(&mut state.keys).values_mut() {
            let left = key.acknowledged.items().iter().copied().filter(|by| *by != node);
            key.acknowledged = List::new(left.collect()).unwrap_or_default();
        }
    }
}
