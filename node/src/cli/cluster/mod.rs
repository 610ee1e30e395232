//! `exequatur cluster`: who founds a federation, who joins it, and what an operator asks of a
//! running one. One file a verb.
//!
//! Founding and joining work offline, on this node's directory and on files that people hand over.
//! Everything else asks a node, which decides who may.

mod bootstrap;
mod condition;
pub(super) mod connection;
mod demote;
mod drain;
mod entry;
mod invite;
mod join;
mod outcome;
mod promote;
mod remove;
mod snapshot;
mod status;
mod table;
mod ticket;
mod transfer_leader;

use clap::Subcommand;

use super::{CliError, Output};

/// Found a federation, join one, look after its members.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
`ticket`, `bootstrap` and `join` work on this node's files. All others ask a node: over its Unix
socket (`listen.admin` of the region file), or with --address and an operator's certificate. Every
change is recorded in that region's audit log.

Exit codes: 0 done, 1 error here, 2 the node cannot be reached or cannot do it now, 3 refused by the
rules, 4 degraded (`status`), or not in force before another region asks for the same.")]
pub(super) enum Cluster {
    /// Found the federation from the tickets of all its voters.
    Bootstrap(bootstrap::Bootstrap),
    /// Make a voter a learner.
    Demote(demote::Demote),
    /// Prepare a node to stop: out of rotation, no longer leader, no new proposals.
    Drain(drain::Drain),
    /// Show an entry of the log, as all regions hold it.
    Entry(entry::Entry),
    /// Let a new node join as a learner, and write its invite.
    Invite(invite::Invite),
    /// Pin the federation that this node belongs to.
    Join(join::Join),
    /// Make a learner a voter.
    Promote(promote::Promote),
    /// Remove a node for ever.
    Remove(remove::Remove),
    /// Have a node write a snapshot now.
    Snapshot(snapshot::Snapshot),
    /// Show the federation as a node sees it.
    Status(status::Status),
    /// Make this node's ticket anew.
    Ticket(ticket::Ticket),
    /// Hand leadership to another voter.
    TransferLeader(transfer_leader::TransferLeader),
}

impl Cluster {
    pub(super) fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        match self {
            Self::Bootstrap(bootstrap) => bootstrap.run(output),
            Self::Demote(demote) => demote.run(output),
            Self::Drain(drain) => drain.run(output),
            Self::Entry(entry) => entry.run(output),
            Self::Invite(invite) => invite.run(output),
            Self::Join(join) => join.run(output),
            Self::Promote(promote) => promote.run(output),
            Self::Remove(remove) => remove.run(output),
            Self::Snapshot(snapshot) => snapshot.run(output),
            Self::Status(status) => status.run(output),
            Self::Ticket(ticket) => ticket.run(output),
            Self::TransferLeader(transfer) => transfer.run(output),
        }
    }
}
