//! Appends that come in order over one call.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use exequatur_federation::membership::Certified;
use futures_util::{Stream, StreamExt as _, stream};
use openraft::{
    Raft,
    raft::{AppendEntriesRequest, StreamAppendError},
    storage::RaftStateMachine,
};
use tokio::sync::watch;
use tonic::{Status, Streaming};

use super::{
    OlderThanLedger, RoomCheck, gate::Gate, refuse_from_leader, refuse_without_room, stopped,
};
use crate::consensus::{
    TypeConfig,
    convert::{proto, read_append, wire_append_result},
};

/// A call that brings nothing is not kept.
const FIRST_APPEND: Duration = Duration::from_secs(10);

/// A leader without entries keeps its call for so long, and opens another one when it has some.
const IDLE: Duration = Duration::from_secs(300);

/// Answers to a stream of appends.
pub(super) type Answers =
    Pin<Box<dyn Stream<Item = Result<proto::AppendResponse, Status>> + Send + 'static>>;

/// Appends of one leader.
pub(super) struct Appends {
    pub(super) gate: Gate,
    pub(super) leader: Certified,
    pub(super) older: watch::Sender<Option<OlderThanLedger>>,
    pub(super) room: Arc<RoomCheck>,
    pub(super) stream: Streaming<proto::AppendRequest>,
}

impl Appends {
    /// The next append; `None` at the end.
    async fn next(
        &mut self,
        limit: Duration,
    ) -> Result<Option<AppendEntriesRequest<TypeConfig>>, Status> {
        let Ok(message) = tokio::time::timeout(limit, self.stream.message()).await else {
            return Ok(None);
        };
        let Some(message) = message? else { return Ok(None) };
        // Asked for each append: a call may live longer than a membership.
        self.gate.still(self.leader)?;
        let append = read_append(&message)
            .map_err(|error| refuse_from_leader(&self.older, self.leader.node, &error))?;
        self.gate.leads(self.leader, &append.vote)?;
        refuse_without_room(&append, &self.room)?;
        Ok(Some(append))
    }
}

/// Hands appends to consensus and gives its answers in order; the first append that is refused
/// ends the call, after what came before it was answered.
pub(super) fn answers<SM>(raft: &Raft<TypeConfig, SM>, appends: Appends) -> Answers
where
    SM: RaftStateMachine<TypeConfig, SnapshotData = Bytes>,
{
    let (gate, leader) = (appends.gate.clone(), appends.leader);
    let refused = Arc::new(Mutex::new(None));
    let refusal = Arc::clone(&refused);
    let input = stream::unfold((appends, FIRST_APPEND), move |(mut appends, limit)| {
        let refused = Arc::clone(&refused);
        async move {
            match appends.next(limit).await {
                Ok(append) => Some((append?, (appends, IDLE))),
                Err(status) => {
                    *refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
                    None
                }
            }
        }
    });
    let results = raft.stream_append(input).map(move |result| match result {
        Ok(result) => {
            if !matches!(result, Err(StreamAppendError::HigherVote(_))) {
                gate.follows(leader);
            }
            Ok(wire_append_result(&result))
        }
        Err(fatal) => Err(stopped(&fatal)),
    });
    // Looked at only after the last answer: by then the input has ended.
    let last = stream::once(async move {
        refusal.lock().unwrap_or_else(PoisonError::into_inner).take().map(Err)
    });
    Box::pin(results.chain(last.filter_map(std::future::ready)))
}
