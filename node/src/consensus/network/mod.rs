//! How consensus reaches other nodes: each call of openraft as a call of `peer.proto`.
//!
//! Every call has a deadline. A node that does not answer is reported as unreachable, so that
//! openraft waits before it tries again. Connections are the business of `crate::peer`.

mod append;
mod forward;
mod lane;
mod snapshot;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use exequatur_federation::membership::NodeId;
use futures_util::Stream;
use openraft::{
    OptionalSend, RPCTypes, RaftNetworkFactory, RaftNetworkV2,
    alias::{SnapshotOf, VoteOf},
    base::{BoxFuture, BoxStream},
    errors::{RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable},
    network::{Backoff, RPCOption, stream_append_sequential},
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult,
        TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
    },
};

pub use forward::{ForwardError, Forwarder};
use lane::{CallError, Lane, Lanes, Purpose};

use crate::{
    consensus::{
        RaftId, RaftMember, TypeConfig,
        convert::{
            last_of, read_append_result, read_ballot_answer, read_transfer_answer,
            to_single_answer, wire_append, wire_ballot, wire_transfer,
        },
    },
    peer::{Dialer, Witness, transport::PeerConnector},
};

/// The first pause before an unreachable node is tried again; it doubles.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest: a node that comes back is found within it.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Reaches every other node.
#[derive(Debug)]
pub struct Network<C> {
    own: NodeId,
    lanes: Arc<Lanes<C>>,
    witness: Arc<Witness>,
}

/// Reaches one node for one purpose.
#[derive(Debug)]
pub struct Connection<C> {
    own: NodeId,
    node: NodeId,
    purpose: Purpose,
    lane: Arc<Lane<C>>,
    /// Where what must not wait goes.
    urgent: Arc<Lane<C>>,
    witness: Arc<Witness>,
}

impl<C: PeerConnector> Network<C> {
    /// The network of the node `own`.
    #[must_use]
    pub fn new(own: NodeId, dialer: Dialer<C>) -> Self {
        let witness = Arc::clone(&dialer.greeter.witness);
        Self { own, lanes: Arc::new(Lanes::new(Arc::new(dialer))), witness }
    }

    /// What hands proposals to the leader over the same network.
    #[must_use]
    pub fn forwarder(&self) -> Forwarder<C> {
        Forwarder::new(Arc::clone(&self.lanes))
    }

    fn connection(&self, node: NodeId, purpose: Purpose) -> Connection<C> {
        Connection {
            own: self.own,
            node,
            purpose,
            lane: self.lanes.lane(node, purpose),
            urgent: self.lanes.lane(node, Purpose::Heartbeat),
            witness: Arc::clone(&self.witness),
        }
    }
}

impl<C: PeerConnector> RaftNetworkFactory<TypeConfig> for Network<C> {
    type Network = Connection<C>;

    async fn new_client(&mut self, target: RaftId, _: &RaftMember) -> Connection<C> {
        self.connection(target.0, Purpose::Append)
    }

    async fn new_heartbeat_client(&mut self, target: RaftId, _: &RaftMember) -> Connection<C> {
        self.connection(target.0, Purpose::Heartbeat)
    }

    async fn new_snapshot_client(&mut self, target: RaftId, _: &RaftMember) -> Connection<C> {
        self.connection(target.0, Purpose::Snapshot)
    }
}

impl<C> Connection<C> {
    /// An error of a call as openraft has it.
    fn error<E: From<Timeout<TypeConfig>> + From<Unreachable<TypeConfig>>>(
        &self,
        action: RPCTypes,
        error: &CallError,
    ) -> E {
        match error {
            CallError::TimedOut(timeout) => E::from(Timeout {
                action,
                id: RaftId(self.own),
                target: RaftId(self.node),
                timeout: *timeout,
            }),
            CallError::Refused(_) | CallError::Answer(_) => {
                E::from(Unreachable::from_string(format!("node {}: {error}", self.node)))
            }
        }
    }

    /// Notes that the node holds what it acknowledged, as far as that is committed: only then it
    /// may never give it up again.
    fn acknowledged(&self, result: &StreamAppendResult<TypeConfig>, committed: Option<u64>) {
        if let (Ok(Some(last)), Some(committed)) = (result, committed) {
            self.witness.held(self.node, last.index.min(committed));
        }
    }
}

impl<C: PeerConnector> RaftNetworkV2<TypeConfig> for Connection<C> {
    type SnapshotData = Bytes;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        let failed = |error: CallError| -> RPCError<TypeConfig> {
            self.error(RPCTypes::AppendEntries, &error)
        };
        let message = wire_append(&request)
            .map_err(|error| Unreachable::from_string(format!("entry without record: {error}")))?;
        let answer = self
            .lane
            .call(option.soft_ttl(), async |mut client| client.append(message).await)
            .await
            .map_err(failed)?;
        let result = read_append_result(answer).map_err(|error| failed(error.into()))?;
        self.acknowledged(&result, request.leader_commit.map(|id| id.index));
        Ok(to_single_answer(&result, last_of(&request).as_ref()))
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<
        's,
        Result<
            BoxStream<'s, Result<StreamAppendResult<TypeConfig>, RPCError<TypeConfig>>>,
            RPCError<TypeConfig>,
        >,
    >
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + OptionalSend + Unpin + 'static,
    {
        match self.purpose {
            Purpose::Append => Box::pin(append::stream(self, input)),
            Purpose::Heartbeat | Purpose::Snapshot | Purpose::Forward => {
                stream_append_sequential(self, input, option)
            }
        }
    }

    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let message = wire_ballot(&request);
        let failed =
            |error: CallError| -> RPCError<TypeConfig> { self.error(RPCTypes::Vote, &error) };
        let answer = self
            .urgent
            .call(option.hard_ttl(), async |mut client| client.vote(message).await)
            .await
            .map_err(failed)?;
        read_ballot_answer(&answer).map_err(|error| failed(error.into()))
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let message = wire_ballot(&request);
        let failed =
            |error: CallError| -> RPCError<TypeConfig> { self.error(RPCTypes::Vote, &error) };
        let answer = self
            .urgent
            .call(option.hard_ttl(), async |mut client| client.pre_vote(message).await)
            .await
            .map_err(failed)?;
        read_ballot_answer(&answer).map_err(|error| failed(error.into()))
    }

    async fn full_snapshot(
        &mut self,
        vote: VoteOf<TypeConfig>,
        snapshot: SnapshotOf<TypeConfig, Bytes>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        tokio::select! {
            biased;
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = snapshot::send(&self.lane, vote, snapshot, option.soft_ttl()) => sent
                .map_err(|error| self.error(RPCTypes::InstallSnapshot, &error)),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        let message = wire_transfer(&request);
        let failed = |error: CallError| -> RPCError<TypeConfig> {
            self.error(RPCTypes::TransferLeader, &error)
        };
        let answer = self
            .urgent
            .call(option.hard_ttl(), async |mut client| client.transfer_leader(message).await)
            .await
            .map_err(failed)?;
        read_transfer_answer(answer, &request).map_err(|error| failed(error.into()))
    }

    fn backoff(&self) -> Option<Backoff> {
        let double = |pause: &Duration| Some(pause.saturating_mul(2).min(PAUSE_MAX));
        Some(Backoff::new(std::iter::successors(Some(PAUSE_MIN), double)))
    }
}
