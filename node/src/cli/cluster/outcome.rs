//! What became of a request: the text and the exit code for it.

use std::io;

use exequatur_federation::membership::NodeId;
use serde::Serialize;

use super::super::{CliError, Exit, Output};
use crate::admin::{CallError, Cause, ConnectError, Done, RequestId};

#[derive(Serialize)]
struct Changed<'a> {
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a str>,
    /// The voter whose place the node took.
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced: Option<&'a str>,
    /// Whether the node had done this request before.
    repeated: bool,
}

/// Tells that a change is made.
pub(super) fn done(
    output: &mut Output<'_>,
    action: &'static str,
    node: Option<NodeId>,
    said: (Done, &str),
) -> io::Result<()> {
    replaced(output, action, (node, None), said)
}

/// Tells that a change is made, by which one node took the place of another.
pub(super) fn replaced(
    output: &mut Output<'_>,
    action: &'static str,
    (node, replaced): (Option<NodeId>, Option<NodeId>),
    (done, text): (Done, &str),
) -> io::Result<()> {
    let [node, replaced] = [node, replaced].map(|node| node.map(|node| node.to_string()));
    let (node, replaced) = (node.as_deref(), replaced.as_deref());
    let changed = Changed { action, node, replaced, repeated: done.repeated };
    output.result(&changed, |out| {
        writeln!(out, "{text}")?;
        if done.repeated {
            writeln!(out, "(this request had been carried out before)")?;
        }
        Ok(())
    })
}

/// There is no connection.
pub(in crate::cli) fn unconnected(error: &ConnectError) -> CliError {
    match error {
        ConnectError::Address { .. } | ConnectError::File { .. } | ConnectError::Tls(_) => {
            CliError::local(error)
        }
        ConnectError::NotRunning { .. }
        | ConnectError::OtherUser { .. }
        | ConnectError::Socket { .. }
        | ConnectError::Unreachable { .. }
        | ConnectError::Slow { .. }
        | ConnectError::Protocol(_) => CliError::remote(error),
    }
}

/// The node did not do it, or it is unknown whether it did.
pub(in crate::cli) fn unmet(error: &CallError, id: Option<RequestId>) -> CliError {
    let (exit, unknown) = match error {
        CallError::Unmet { cause, .. } => (exit(*cause), *cause == Cause::Deadline),
        CallError::Broken { .. } => (Exit::Remote, true),
        CallError::NotUnderstood { .. } => (Exit::Remote, true),
    };
    match id {
        Some(id) if unknown => {
            CliError::new(exit, format_args!("{error}\nto send it again: --request-id {id}"))
        }
        Some(_) | None => CliError::new(exit, error),
    }
}

const fn exit(cause: Cause) -> Exit {
    match cause {
        Cause::Malformed | Cause::RequestIdReused => Exit::Local,
        Cause::AuditUnavailable
        | Cause::Deadline
        | Cause::InProgress
        | Cause::Local
        | Cause::NoQuorum
        | Cause::NotLeader
        | Cause::Overloaded
        | Cause::RateLimited => Exit::Remote,
        Cause::LaggingLearner
        | Cause::NoRole
        | Cause::NotPermitted
        | Cause::NotRevocable
        | Cause::Refused
        | Cause::Unknown
        | Cause::VoterRules => Exit::Refused,
        Cause::Pending => Exit::Degraded,
    }
}
