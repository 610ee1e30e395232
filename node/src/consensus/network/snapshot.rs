//! Sends a snapshot: an offer, then pieces from wherever the receiver already is. Every piece that
//! the receiver acknowledges extends the deadline, so that a slow link takes as long as it takes.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use exequatur_federation::ledger::Fixed;
use futures_util::stream;
use openraft::{
    alias::{SnapshotOf, VoteOf},
    raft::SnapshotResponse,
};
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use super::lane::{CallError, Lane};
use crate::{
    consensus::{
        TypeConfig,
        convert::{
            Offer, WireError,
            proto::{SnapshotChunk, SnapshotPiece, SnapshotProgress},
            proto::{snapshot_piece::Piece, snapshot_progress::Progress},
            read_receiver_vote, wire_offer,
        },
    },
    peer::transport::PeerConnector,
};

/// Bytes of one piece: under a second on a link of one megabit.
const CHUNK_BYTES: usize = 64 * 1024;

/// Bytes that were sent and not acknowledged: a full window of one call.
const UNACKNOWLEDGED_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Sends `snapshot`; `patience` is how long the receiver may take for its next acknowledgement.
pub(super) async fn send<C: PeerConnector>(
    lane: &Lane<C>,
    vote: VoteOf<TypeConfig>,
    snapshot: SnapshotOf<TypeConfig, Bytes>,
    patience: Duration,
) -> Result<SnapshotResponse<TypeConfig>, CallError> {
    let bytes = snapshot.snapshot;
    let offer =
        Offer { vote, digest: sha256(&bytes), length: bytes.len() as u64, meta: snapshot.meta };
    let offer = wire_offer(&offer).map_err(|error| {
        CallError::from(Status::internal(format!("the membership has no record: {error}")))
    })?;
    // One place: whatever was sent is on its way, so that what was not can still be held back.
    let (pieces, outbound) = mpsc::channel(1);
    let outbound =
        stream::unfold(outbound, |mut pieces| async { Some((pieces.recv().await?, pieces)) });
    let answers = {
        let offered = pieces.send(SnapshotPiece { piece: Some(Piece::Offer(offer)) });
        let call = lane.call(patience, async |mut client| client.install_snapshot(outbound).await);
        // There is room for the offer, so that it waits for nobody.
        tokio::join!(offered, call).1?
    };
    let mut transfer = Transfer { pieces, answers, patience };
    let sent = transfer.run(&bytes).await;
    match &sent {
        Ok(_) => lane.alive(),
        Err(CallError::TimedOut(_)) => lane.silent(),
        Err(CallError::Refused(_) | CallError::Answer(_)) => {}
    }
    sent.map(SnapshotResponse::new)
}

fn sha256(bytes: &[u8]) -> Fixed<32> {
    let mut fixed = Fixed([0; 32]);
    fixed.0.copy_from_slice(digest(&SHA256, bytes).as_ref());
    fixed
}

/// A transfer under way.
struct Transfer {
    pieces: mpsc::Sender<SnapshotPiece>,
    answers: Streaming<SnapshotProgress>,
    patience: Duration,
}

impl Transfer {
    async fn run(&mut self, bytes: &Bytes) -> Result<VoteOf<TypeConfig>, CallError> {
        let length = bytes.len();
        let (mut sent, mut received): (usize, usize) = (0, 0);
        let mut started = false;
        loop {
            let end = length.min(sent.saturating_add(CHUNK_BYTES));
            let may_send = started && sent < length && end - received <= UNACKNOWLEDGED_BYTES_MAX;
            tokio::select! {
                biased;
                progress = self.answers.message() => {
                    let what = "the progress of a snapshot";
                    let progress = progress?.and_then(|message| message.progress);
                    match progress.ok_or(WireError::Field { what })? {
                        Progress::Vote(vote) => return Ok(read_receiver_vote(&vote)?),
                        Progress::Received(offset) => {
                            let offset = usize::try_from(offset).ok().filter(|at| *at <= length);
                            received = offset.ok_or(WireError::Field { what })?;
                            if !started {
                                (started, sent) = (true, received);
                            }
                        }
                    }
                }
                place = self.pieces.reserve(), if may_send => {
                    // The other half of the call has ended; its status says why.
                    let Ok(place) = place else { continue };
                    let chunk = SnapshotChunk { offset: sent as u64, data: bytes.slice(sent..end) };
                    place.send(SnapshotPiece { piece: Some(Piece::Chunk(chunk)) });
                    sent = end;
                }
                () = tokio::time::sleep(self.patience) => {
                    return Err(CallError::TimedOut(self.patience));
                }
            }
        }
    }
}
