//! Receives snapshots. One at a time is kept, and what has come of it stays when the call breaks,
//! so that the next call for the same snapshot goes on from there.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_lc_rs::digest::{Context, SHA256};
use bytes::{Bytes, BytesMut};
use exequatur_federation::ledger::Digest;
use futures_util::{Stream, stream};
use openraft::{
    Raft,
    alias::{SnapshotMetaOf, SnapshotOf, VoteOf},
    storage::RaftStateMachine,
};
use tokio::time::Instant;
use tonic::{Status, Streaming};

use super::{SnapshotCheck, stopped};
use crate::consensus::{
    TypeConfig,
    convert::{
        Offer, WireError,
        proto::{SnapshotChunk, SnapshotPiece, SnapshotProgress},
        proto::{snapshot_piece::Piece, snapshot_progress::Progress},
        read_offer, wire_receiver_vote,
    },
};

/// Largest snapshot that is taken from another node: a million revocations take a few MiB, and a node
/// that receives one while it holds another stays within a small machine. A ledger whose audit logs
/// are all at their caps could be larger; it would need this limit raised on every node first.
pub const SNAPSHOT_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Longest pause between two pieces.
const NEXT_PIECE: Duration = Duration::from_secs(60);

/// How long what has come of a snapshot is kept for the next call: a leader that still wants to
/// send it calls again within seconds.
const KEPT_FOR: Duration = Duration::from_secs(600);

/// How far a transfer has come.
pub(super) type Progresses =
    Pin<Box<dyn Stream<Item = Result<SnapshotProgress, Status>> + Send + 'static>>;

/// The snapshot that is coming.
pub(super) struct Incoming {
    check: Arc<SnapshotCheck>,
    partial: Mutex<Partial>,
}

/// What has come of a snapshot.
#[derive(Default)]
struct Partial {
    /// Counts calls: only the latest may add.
    call: u64,
    name: Option<Name>,
    bytes: BytesMut,
    digest: Option<Context>,
    touched: Option<Instant>,
}

/// What makes two offers one snapshot, whoever makes them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    digest: Digest,
    length: u64,
    meta: SnapshotMetaOf<TypeConfig>,
}

/// One call that brings a snapshot.
pub(super) struct Transfer {
    incoming: Arc<Incoming>,
    call: u64,
    vote: VoteOf<TypeConfig>,
    name: Name,
    pieces: Streaming<SnapshotPiece>,
}

/// The offer that a call begins with.
pub(super) async fn offer(
    pieces: &mut Streaming<SnapshotPiece>,
) -> Result<Result<Offer, WireError>, Status> {
    let what = "the offer of a snapshot";
    match next(pieces).await?.and_then(|message| message.piece) {
        Some(Piece::Offer(offer)) => Ok(read_offer(&offer)),
        Some(Piece::Chunk(_)) | None => Ok(Err(WireError::Field { what })),
    }
}

/// The answer to an offer of a leader that was outvoted.
pub(super) fn outvoted(own: &VoteOf<TypeConfig>) -> Progresses {
    Box::pin(stream::iter([Ok(ended(own))]))
}

fn ended(vote: &VoteOf<TypeConfig>) -> SnapshotProgress {
    SnapshotProgress { progress: Some(Progress::Vote(wire_receiver_vote(vote))) }
}

async fn next(pieces: &mut Streaming<SnapshotPiece>) -> Result<Option<SnapshotPiece>, Status> {
    let slow = |_| Status::deadline_exceeded(format!("no piece within {NEXT_PIECE:?}"));
    tokio::time::timeout(NEXT_PIECE, pieces.message()).await.map_err(slow)?
}

impl Incoming {
    pub(super) fn new(check: Arc<SnapshotCheck>) -> Self {
        Self { check, partial: Mutex::default() }
    }

    /// Begins a call, which ends any other that brings a snapshot.
    pub(super) fn begin(
        self: &Arc<Self>,
        offer: Offer,
        pieces: Streaming<SnapshotPiece>,
    ) -> Result<Transfer, Status> {
        let Offer { vote, digest, length, meta } = offer;
        if length > SNAPSHOT_BYTES_MAX {
            return Err(Status::resource_exhausted(format!(
                "a snapshot of {length} bytes is too large: at most {SNAPSHOT_BYTES_MAX}"
            )));
        }
        let name = Name { digest, length, meta };
        let mut partial = self.lock();
        partial.call += 1;
        if partial.name.as_ref() != Some(&name) {
            partial.restart(Some(name.clone()));
        }
        let call = partial.call;
        drop(partial);
        Ok(Transfer { incoming: Arc::clone(self), call, vote, name, pieces })
    }

    /// Gives up what nobody has added to for long, so that a snapshot that never comes does not
    /// hold its memory.
    pub(super) fn forget_stale(&self) {
        let mut partial = self.lock();
        if partial.touched.is_some_and(|at| at.elapsed() > KEPT_FOR) {
            partial.restart(None);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Partial> {
        self.partial.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Partial {
    fn restart(&mut self, name: Option<Name>) {
        self.digest = name.is_some().then(|| Context::new(&SHA256));
        self.touched = name.is_some().then(Instant::now);
        self.name = name;
        self.bytes = BytesMut::new();
    }

    fn received(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn add(&mut self, chunk: &SnapshotChunk, length: u64) -> Result<(), Status> {
        let received = self.received();
        if chunk.offset != received {
            return Err(Status::invalid_argument(format!(
                "a piece at {} came, due is the one at {received}",
                chunk.offset
            )));
        }
        let end = received.saturating_add(chunk.data.len() as u64);
        if chunk.data.is_empty() || end > length {
            return Err(Status::invalid_argument(format!(
                "a piece from {received} to {end} is none of a snapshot of {length} bytes"
            )));
        }
        self.touched = Some(Instant::now());
        // Room grows with what is really there, not with what was announced.
        self.bytes.extend_from_slice(&chunk.data);
        if let Some(digest) = &mut self.digest {
            digest.update(&chunk.data);
        }
        Ok(())
    }
}

impl Transfer {
    /// Receives, checks and installs. `may_go_on` is asked at every piece.
    pub(super) fn run<SM>(
        self,
        raft: Raft<TypeConfig, SM>,
        may_go_on: impl Fn() -> Result<(), Status> + Send + Sync + 'static,
    ) -> Progresses
    where
        SM: RaftStateMachine<TypeConfig, SnapshotData = Bytes>,
    {
        struct State<SM: RaftStateMachine<TypeConfig>, M> {
            transfer: Transfer,
            raft: Raft<TypeConfig, SM>,
            may_go_on: M,
            began: bool,
        }
        let state = State { transfer: self, raft, may_go_on, began: false };
        Box::pin(stream::unfold(Some(state), |state| async {
            let mut state = state?;
            let step = async {
                let transfer = &mut state.transfer;
                if state.began && !transfer.is_complete()? {
                    (state.may_go_on)()?;
                    transfer.receive().await?;
                }
                if transfer.is_complete()? && state.began {
                    return transfer.install(&state.raft).await.map(|vote| (ended(&vote), true));
                }
                state.began = true;
                let received = Progress::Received(transfer.received()?);
                Ok((SnapshotProgress { progress: Some(received) }, false))
            };
            match step.await {
                Ok((progress, true)) => Some((Ok(progress), None)),
                Ok((progress, false)) => Some((Ok(progress), Some(state))),
                Err(status) => Some((Err(status), None)),
            }
        }))
    }

    /// What has come, if this still is the latest call.
    fn partial(&self) -> Result<MutexGuard<'_, Partial>, Status> {
        let partial = self.incoming.lock();
        if partial.call == self.call && partial.name.as_ref() == Some(&self.name) {
            return Ok(partial);
        }
        Err(Status::aborted("another call brings a snapshot"))
    }

    fn received(&self) -> Result<u64, Status> {
        self.partial().map(|partial| partial.received())
    }

    fn is_complete(&self) -> Result<bool, Status> {
        Ok(self.received()? == self.name.length)
    }

    async fn receive(&mut self) -> Result<(), Status> {
        let missing = || Status::cancelled("the snapshot ends before its last piece");
        let piece = next(&mut self.pieces).await?.ok_or_else(missing)?;
        match piece.piece {
            Some(Piece::Chunk(chunk)) => self.partial()?.add(&chunk, self.name.length),
            Some(Piece::Offer(_)) | None => {
                Err(Status::invalid_argument("a piece was due, something else came"))
            }
        }
    }

    async fn install<SM>(&self, raft: &Raft<TypeConfig, SM>) -> Result<VoteOf<TypeConfig>, Status>
    where
        SM: RaftStateMachine<TypeConfig, SnapshotData = Bytes>,
    {
        let (bytes, digest) = {
            let mut partial = self.partial()?;
            let taken = (std::mem::take(&mut partial.bytes).freeze(), partial.digest.take());
            partial.restart(None);
            taken
        };
        let digest = digest.map(Context::finish);
        if digest.is_none_or(|digest| digest.as_ref() != self.name.digest.bytes()) {
            return Err(Status::data_loss(
                "the bytes are not those of the snapshot that was offered",
            ));
        }
        (self.incoming.check)(&bytes, &self.name.meta)
            .map_err(|why| Status::invalid_argument(format!("this is no snapshot: {why}")))?;
        let snapshot =
            SnapshotOf::<TypeConfig, Bytes> { meta: self.name.meta.clone(), snapshot: bytes };
        let installed = raft.install_full_snapshot(self.vote, snapshot).await;
        installed.map(|answer| answer.vote).map_err(|error| stopped(&error))
    }
}
