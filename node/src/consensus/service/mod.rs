//! What other nodes may ask of this one: Raft, and proposals if it leads.
//!
//! Every call is checked before consensus sees it: the node that is certified on the connection is
//! a member now, it speaks for itself, only voters campaign and lead, and everything in the message
//! is something that this node knows. An entry of a later release stops the node: whoever skipped
//! it would have another ledger than the others.

mod append;
mod deadline;
mod gate;
mod snapshot;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use exequatur_federation::{
    ledger::{Batch, StateDigest},
    membership::{Certified, NodeId},
};
use openraft::{
    Raft,
    alias::{SnapshotMetaOf, VoteOf},
    errors::Fatal,
    raft::{AppendEntriesRequest, AppendEntriesResponse},
    storage::RaftStateMachine,
};
use tokio::sync::watch;
use tonic::{Request, Response, Status, Streaming};

pub use deadline::Deadline;
use gate::Gate;
use snapshot::Incoming;
pub use snapshot::SNAPSHOT_BYTES_MAX;

use super::{
    LeaderContact, Probed, TypeConfig,
    control::ControlError,
    convert::last_of,
    convert::{
        Forwarded, LeaderAction, WireError,
        proto::{self, peer_server::PeerServer},
        read_action, read_append, read_ballot, read_probe, read_proposals, read_transfer,
        to_stream_result, wire_append_result, wire_ballot_answer, wire_done, wire_forwarded,
        wire_probed, wire_transfer_answer,
    },
};
use crate::peer::{Standpoint, limits::MESSAGE_BYTES_MAX};

/// Longest that any call may take until its answer begins, its own request included. A proposal
/// waits for a commit, which a failover may delay; everything else is much quicker.
const CALL: Duration = Duration::from_secs(30);

/// Does what only a leader can, for other nodes.
pub trait Leads: Send + Sync + 'static {
    /// What became of the proposals, all of which are of the region of `from`.
    fn take(&self, from: Certified, batch: Batch) -> impl Future<Output = Forwarded> + Send;

    /// Has a quorum confirm that this node leads, and says how far the ledger goes.
    fn probed(
        &self,
        from: Certified,
        state: Option<StateDigest>,
    ) -> impl Future<Output = Probed> + Send;

    /// Carries out an action that an operator of another node asks for.
    fn act(
        &self,
        from: Certified,
        action: LeaderAction,
    ) -> impl Future<Output = Result<(), ControlError>> + Send;
}

/// Whether bytes are the snapshot that they were offered as, found before consensus installs them:
/// it would stop the node over a snapshot that it cannot read.
pub type SnapshotCheck =
    dyn Fn(&Bytes, &SnapshotMetaOf<TypeConfig>) -> Result<(), String> + Send + Sync;

/// Whether the disk has room for more of the log.
pub type RoomCheck = dyn Fn() -> bool + Send + Sync;

/// The ledger has entries that this release does not know. The node must stop and be upgraded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the ledger is of a later release than this node ({what}, sent by leader {leader}): upgrade this node"
)]
pub struct OlderThanLedger {
    /// Who sent it.
    pub leader: NodeId,
    /// What is not known.
    pub what: String,
}

/// What the service is made of.
pub struct Parts<SM, P>
where
    SM: RaftStateMachine<TypeConfig>,
{
    /// This node's consensus.
    pub raft: Raft<TypeConfig, SM>,
    /// What this node knows of others.
    pub standpoint: Arc<dyn Standpoint>,
    /// Who leads, if this node does.
    pub leader: Arc<P>,
    /// What is told of each append of a leader.
    pub contact: Arc<LeaderContact>,
    /// What is asked before entries are taken: a log that runs full would stop the node.
    pub room: Arc<RoomCheck>,
    /// What looks at a snapshot before it is installed.
    pub check_snapshot: Arc<SnapshotCheck>,
    /// Told when this node must stop because it is older than the ledger.
    pub older: watch::Sender<Option<OlderThanLedger>>,
}

/// Answers other nodes.
pub struct PeerService<SM, P>
where
    SM: RaftStateMachine<TypeConfig>,
{
    raft: Raft<TypeConfig, SM>,
    gate: Gate,
    leader: Arc<P>,
    room: Arc<RoomCheck>,
    incoming: Arc<Incoming>,
    older: watch::Sender<Option<OlderThanLedger>>,
}

/// What answers the calls of connections: give it to [`crate::peer::PeerServer`].
pub type PeerCalls<SM, P> = Deadline<PeerServer<PeerService<SM, P>>>;

impl<SM, P> PeerService<SM, P>
where
    SM: RaftStateMachine<TypeConfig, SnapshotData = Bytes>,
    P: Leads,
{
    /// The service, with its limits around it. Nothing is compressed and nothing describes itself.
    pub fn calls(parts: Parts<SM, P>) -> PeerCalls<SM, P> {
        let own = parts.raft.clone();
        let leads_here = Arc::new(move || own.is_leader());
        let service = Self {
            raft: parts.raft,
            gate: Gate::new(parts.standpoint, parts.contact, leads_here),
            leader: parts.leader,
            room: parts.room,
            incoming: Arc::new(Incoming::new(parts.check_snapshot)),
            older: parts.older,
        };
        let server = PeerServer::new(service)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        Deadline::new(server, CALL)
    }

    fn vote_of_this_node(&self) -> VoteOf<TypeConfig> {
        use openraft::async_runtime::WatchReceiver as _;
        self.raft.server_metrics().borrow_watched().vote
    }
}

/// Tells the node to stop if a leader sent what only a later release knows.
fn refuse_from_leader(
    older: &watch::Sender<Option<OlderThanLedger>>,
    leader: NodeId,
    error: &WireError,
) -> Status {
    if matches!(error, WireError::Later { .. }) {
        let found = OlderThanLedger { leader, what: error.to_string() };
        tracing::error!(%found, "this node cannot go on");
        older.send_replace(Some(found));
    }
    refuse(error)
}

/// Heartbeats are taken whatever the disk looks like; entries only while there is room for them.
fn refuse_without_room(
    append: &AppendEntriesRequest<TypeConfig>,
    room: &Arc<RoomCheck>,
) -> Result<(), Status> {
    if append.entries.is_empty() || room() {
        return Ok(());
    }
    Err(Status::resource_exhausted("the disk of this node has no room for entries"))
}

fn refuse(error: &WireError) -> Status {
    match error {
        WireError::Later { .. } => Status::failed_precondition(error.to_string()),
        WireError::Frame { .. } | WireError::Field { .. } => {
            Status::invalid_argument(error.to_string())
        }
    }
}

fn stopped(error: &(impl std::error::Error + ?Sized)) -> Status {
    Status::unavailable(format!("consensus has stopped here: {error}"))
}

#[tonic::async_trait]
impl<SM, P> proto::peer_server::Peer for PeerService<SM, P>
where
    SM: RaftStateMachine<TypeConfig, SnapshotData = Bytes>,
    P: Leads,
{
    type AppendStreamStream = append::Answers;
    type InstallSnapshotStream = snapshot::Progresses;

    async fn append(
        &self,
        request: Request<proto::AppendRequest>,
    ) -> Result<Response<proto::AppendResponse>, Status> {
        let leader = self.gate.leader(&request)?;
        // Heartbeats come as long as there is a leader, so that this is as good as a timer.
        self.incoming.forget_stale();
        let append = read_append(request.get_ref())
            .map_err(|error| refuse_from_leader(&self.older, leader.node, &error))?;
        self.gate.leads(leader, &append.vote)?;
        refuse_without_room(&append, &self.room)?;
        let (previous, last) = (append.prev_log_id, last_of(&append));
        let answer = self.raft.append_entries(append).await.map_err(|error| stopped(&error))?;
        if !matches!(answer, AppendEntriesResponse::HigherVote(_)) {
            self.gate.follows(leader);
        }
        let result = to_stream_result(&answer, previous, last)
            .ok_or_else(|| Status::internal("a conflict with nothing"))?;
        Ok(Response::new(wire_append_result(&result)))
    }

    async fn append_stream(
        &self,
        request: Request<Streaming<proto::AppendRequest>>,
    ) -> Result<Response<append::Answers>, Status> {
        let leader = self.gate.leader(&request)?;
        let appends = append::Appends {
            gate: self.gate.clone(),
            leader,
            older: self.older.clone(),
            room: Arc::clone(&self.room),
            stream: request.into_inner(),
        };
        Ok(Response::new(append::answers(&self.raft, appends)))
    }

    async fn pre_vote(
        &self,
        request: Request<proto::VoteRequest>,
    ) -> Result<Response<proto::VoteResponse>, Status> {
        let candidate = self.gate.voter(&request)?;
        let ballot = read_ballot(request.get_ref()).map_err(|error| refuse(&error))?;
        self.gate.campaigns(candidate, &ballot.vote)?;
        let answer = self.raft.pre_vote(ballot).await.map_err(|error| stopped(&error))?;
        Ok(Response::new(wire_ballot_answer(&answer)))
    }

    async fn vote(
        &self,
        request: Request<proto::VoteRequest>,
    ) -> Result<Response<proto::VoteResponse>, Status> {
        let candidate = self.gate.voter(&request)?;
        let ballot = read_ballot(request.get_ref()).map_err(|error| refuse(&error))?;
        self.gate.campaigns(candidate, &ballot.vote)?;
        let answer = self.raft.vote(ballot).await.map_err(|error| stopped(&error))?;
        Ok(Response::new(wire_ballot_answer(&answer)))
    }

    async fn transfer_leader(
        &self,
        request: Request<proto::TransferLeaderRequest>,
    ) -> Result<Response<proto::TransferLeaderResponse>, Status> {
        let leader = self.gate.leader(&request)?;
        let transfer = read_transfer(request.get_ref()).map_err(|error| refuse(&error))?;
        self.gate.leads(leader, transfer.from_leader())?;
        self.gate.may_lead(transfer.to_node_id().0)?;
        let answer = self.raft.handle_transfer_leader(transfer).await;
        let answer = answer.map_err(|error: Fatal<TypeConfig>| stopped(&error))?;
        Ok(Response::new(wire_transfer_answer(&answer)))
    }

    async fn install_snapshot(
        &self,
        request: Request<Streaming<proto::SnapshotPiece>>,
    ) -> Result<Response<snapshot::Progresses>, Status> {
        let leader = self.gate.leader(&request)?;
        let mut pieces = request.into_inner();
        let offer = snapshot::offer(&mut pieces).await?;
        let offer = offer.map_err(|error| refuse_from_leader(&self.older, leader.node, &error))?;
        self.gate.leads(leader, &offer.vote)?;
        let own = self.vote_of_this_node();
        if own > offer.vote {
            // Nothing is sent in vain to a node that has seen a later leader.
            return Ok(Response::new(snapshot::outvoted(&own)));
        }
        let transfer = self.incoming.begin(offer, pieces)?;
        let gate = self.gate.clone();
        Ok(Response::new(transfer.run(self.raft.clone(), move || gate.still(leader))))
    }

    async fn propose(
        &self,
        request: Request<proto::ProposeRequest>,
    ) -> Result<Response<proto::ProposeResponse>, Status> {
        let from = self.gate.member(&request)?;
        let batch = read_proposals(request.get_ref()).map_err(|error| refuse(&error))?;
        if let Some(foreign) = batch.proposals().find(|p| p.header.region != from.region) {
            return Err(Status::permission_denied(format!(
                "node {} of region {} hands over a proposal of region {}",
                from.node, from.region, foreign.header.region
            )));
        }
        let forwarded = self.leader.take(from, batch).await;
        Ok(Response::new(wire_forwarded(&forwarded)))
    }

    async fn control(
        &self,
        request: Request<proto::ControlRequest>,
    ) -> Result<Response<proto::ControlResponse>, Status> {
        let from = self.gate.member(&request)?;
        let action = read_action(request.get_ref()).map_err(|error| refuse(&error))?;
        let done = self.leader.act(from, action).await;
        Ok(Response::new(wire_done(&done)))
    }

    async fn probe(
        &self,
        request: Request<proto::ProbeRequest>,
    ) -> Result<Response<proto::ProbeResponse>, Status> {
        let from = self.gate.member(&request)?;
        let state = read_probe(request.get_ref()).map_err(|error| refuse(&error))?;
        let probed = self.leader.probed(from, state).await;
        Ok(Response::new(wire_probed(&probed)))
    }
}

impl<SM, P> fmt::Debug for PeerService<SM, P>
where
    SM: RaftStateMachine<TypeConfig>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerService").finish_non_exhaustive()
    }
}

impl<SM, P> fmt::Debug for Parts<SM, P>
where
    SM: RaftStateMachine<TypeConfig>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}
