//! The client of the service, for the command line: one connection, one or a few calls.

use exequatur_federation::{
    ledger::{EnvelopeError, LogEntry},
    membership::{Invite, NodeId, NodeTicket},
};
use tonic::{Response, Status, transport::Channel};

use super::{
    Cause, ConnectError, RequestId, Revocation, Revoked, Target, connect, convert,
    wire::{self, admin_client::AdminClient as Stub},
};
use crate::consensus::control::ClusterStatus;

/// Why a call was not answered as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The service says why.
    #[error("{message}")]
    Unmet {
        /// The cause.
        cause: Cause,
        /// In words.
        message: String,
    },
    /// The connection broke, or was never accepted.
    #[error(
        "the connection to the node broke: {message}; whether a change takes effect is unknown"
    )]
    Broken {
        /// What the library says.
        message: String,
    },
    /// The service answered what it should not.
    #[error("the node's answer is not understood: {message}")]
    NotUnderstood {
        /// What is wrong.
        message: String,
    },
}

/// An action that was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// Whether it had been before.
    pub repeated: bool,
}

/// A node that may join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invited {
    /// What it is to be given.
    pub invite: Invite,
    /// Whether it had been invited before.
    pub repeated: bool,
}

/// A connection to a service.
#[derive(Clone, Debug)]
pub struct AdminClient(Stub<Channel>);

impl AdminClient {
    /// Connects.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(target: &Target) -> Result<Self, ConnectError> {
        connect::stub(target).await.map(Self)
    }

    /// The federation as the node sees it.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn status(&mut self) -> Result<ClusterStatus, CallError> {
        let reply = answer(self.0.status(wire::StatusRequest {}).await)?;
        let not_understood =
            |error: convert::BadReply| CallError::NotUnderstood { message: error.to_string() };
        convert::status(reply).map_err(not_understood)
    }

    /// Lets the ticket's node join as a learner, and invites it.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn invite(
        &mut self,
        id: RequestId,
        ticket: &NodeTicket,
    ) -> Result<Invited, CallError> {
        let request =
            wire::InviteRequest { request_id: id.to_bytes(), ticket: ticket.seal().into() };
        let reply = answer(self.0.invite(request).await)?;
        let not_understood =
            |error: EnvelopeError| CallError::NotUnderstood { message: error.to_string() };
        let invite = Invite::open(&reply.invite).map_err(not_understood)?;
        Ok(Invited { invite, repeated: reply.repeated })
    }

    /// Makes a learner a voter, in place of the one that it replaces if it replaces one.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn promote(
        &mut self,
        id: RequestId,
        node: NodeId,
        replacing: Option<NodeId>,
        accept_reduced_survival: bool,
    ) -> Result<Done, CallError> {
        let request = wire::PromoteRequest {
            request_id: id.to_bytes(),
            node: node.bits(),
            accept_reduced_survival,
            replacing: replacing.map(NodeId::bits),
        };
        done(self.0.promote(request).await)
    }

    /// Makes a voter a learner.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn demote(
        &mut self,
        id: RequestId,
        node: NodeId,
        accept_reduced_survival: bool,
    ) -> Result<Done, CallError> {
        let (request_id, node) = (id.to_bytes(), node.bits());
        done(self.0.demote(wire::DemoteRequest { request_id, node, accept_reduced_survival }).await)
    }

    /// Removes a node for ever.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn remove(
        &mut self,
        id: RequestId,
        node: NodeId,
        accept_reduced_survival: bool,
    ) -> Result<Done, CallError> {
        let (request_id, node) = (id.to_bytes(), node.bits());
        done(self.0.remove(wire::RemoveRequest { request_id, node, accept_reduced_survival }).await)
    }

    /// Hands leadership to a voter, or to whichever is best.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn transfer_leader(
        &mut self,
        id: RequestId,
        to: Option<NodeId>,
    ) -> Result<Done, CallError> {
        let (request_id, node) = (id.to_bytes(), to.map(NodeId::bits));
        done(self.0.transfer_leader(wire::TransferLeaderRequest { request_id, node }).await)
    }

    /// Prepares the node to stop.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn drain(&mut self, id: RequestId) -> Result<Done, CallError> {
        done(self.0.drain(wire::DrainRequest { request_id: id.to_bytes() }).await)
    }

    /// A committed entry of the node's log; without an index the last one that holds a
    /// command other than the time.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn entry(&mut self, index: Option<u64>) -> Result<LogEntry, CallError> {
        let reply = answer(self.0.entry(wire::EntryRequest { index }).await)?;
        let not_understood =
            |error: EnvelopeError| CallError::NotUnderstood { message: error.to_string() };
        LogEntry::open(&reply.entry).map_err(not_understood)
    }

    /// Writes a snapshot now.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn snapshot(&mut self, id: RequestId) -> Result<Done, CallError> {
        done(self.0.snapshot(wire::SnapshotRequest { request_id: id.to_bytes() }).await)
    }

    /// Revokes something, or ends a block.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn revoke(
        &mut self,
        id: RequestId,
        revocation: &Revocation,
    ) -> Result<Revoked, CallError> {
        let reply = answer(self.0.revoke(revocation.to_message(id)).await)?;
        let wire::RevokeReply { receipt, agreed, may_return } = reply;
        Ok(Revoked { receipt, agreed, may_return })
    }
}

fn done(outcome: Result<Response<wire::Done>, Status>) -> Result<Done, CallError> {
    let wire::Done { repeated } = answer(outcome)?;
    Ok(Done { repeated })
}

fn answer<T>(outcome: Result<Response<T>, Status>) -> Result<T, CallError> {
    let status = match outcome {
        Ok(response) => return Ok(response.into_inner()),
        Err(status) => status,
    };
    Err(match Cause::of(&status) {
        Some(cause) => CallError::Unmet { cause, message: status.message().to_owned() },
        None if status.code() == tonic::Code::Unimplemented => {
            let message = "it does not know this command: is its version older?".to_owned();
            CallError::NotUnderstood { message }
        }
        None => CallError::Broken { message: crate::causes::with_causes(&status) },
    })
}
