//! Appends in order over one call: the next is sent before the last is answered.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{Stream, StreamExt as _, stream};
use openraft::{
    OptionalSend, RPCTypes,
    base::BoxStream,
    errors::RPCError,
    raft::{AppendEntriesRequest, StreamAppendResult},
};
use tokio::sync::watch;
use tonic::Streaming;

use super::{Connection, lane::CallError};
use crate::{
    consensus::{
        TypeConfig,
        convert::{proto, read_append_result, wire_append},
    },
    peer::transport::PeerConnector,
};

/// Time without an answer while an append waits for one. It is a bound on a follower's disk and the
/// path together, not on one heartbeat: a slower follower falls behind, and that is all.
const STALLED: Duration = Duration::from_secs(5);

type Answer = Result<StreamAppendResult<TypeConfig>, RPCError<TypeConfig>>;

/// What was sent so far.
struct Sent {
    appends: watch::Sender<u64>,
    /// One more than the index of the last entry that an append said to be committed.
    committed: Arc<AtomicU64>,
}

/// Answers that come back.
struct Answers<'s, C> {
    connection: &'s Connection<C>,
    stream: Streaming<proto::AppendResponse>,
    answered: u64,
    sent: watch::Receiver<u64>,
    sent_all: bool,
    committed: Arc<AtomicU64>,
}

/// Sends the appends of `input` and gives their answers in order.
pub(super) async fn stream<'s, C, S>(
    connection: &'s Connection<C>,
    input: S,
) -> Result<BoxStream<'s, Answer>, RPCError<TypeConfig>>
where
    C: PeerConnector,
    S: Stream<Item = AppendEntriesRequest<TypeConfig>> + OptionalSend + Unpin + 'static,
{
    // openraft pauses after a failure when it is asked for the next append, and only then. So it is
    // asked before the call is made: a node that refuses connections would be called without end.
    let mut input = input.peekable();
    if Pin::new(&mut input).peek().await.is_none() {
        return Ok(Box::pin(stream::empty()));
    }
    let (appends, sent) = watch::channel(0);
    let committed = Arc::new(AtomicU64::new(0));
    let outbound = outbound(input, Sent { appends, committed: Arc::clone(&committed) });
    let opened = connection
        .lane
        .call(STALLED, async |mut client| client.append_stream(outbound).await)
        .await;
    let failed = |error: CallError| -> RPCError<TypeConfig> {
        connection.error(RPCTypes::AppendEntries, &error)
    };
    let stream = opened.map_err(failed)?;
    let answers = Answers { connection, stream, answered: 0, sent, sent_all: false, committed };
    Ok(Box::pin(stream::unfold(Some(answers), |answers| async {
        let mut answers = answers?;
        let answer = answers.next().await?;
        let goes_on = matches!(answer, Ok(Ok(_)));
        Some((answer, goes_on.then_some(answers)))
    })))
}

/// The messages of appends. It ends before one that has no message: what was not sent is not
/// acknowledged, and openraft sees that.
fn outbound<S>(input: S, sent: Sent) -> impl Stream<Item = proto::AppendRequest> + Send + 'static
where
    S: Stream<Item = AppendEntriesRequest<TypeConfig>> + OptionalSend + Unpin + 'static,
{
    stream::unfold((input, sent), |(mut input, sent)| async {
        let request = input.next().await?;
        let message = wire_append(&request)
            .inspect_err(|error| tracing::error!(%error, "an entry has no record"))
            .ok()?;
        let committed = request.leader_commit.map_or(0, |id| id.index.saturating_add(1));
        sent.committed.fetch_max(committed, Ordering::Relaxed);
        sent.appends.send_modify(|appends| *appends += 1);
        Some((message, (input, sent)))
    })
}

impl<C: PeerConnector> Answers<'_, C> {
    async fn next(&mut self) -> Option<Answer> {
        let failed = |error: &CallError| -> RPCError<TypeConfig> {
            self.connection.error(RPCTypes::AppendEntries, error)
        };
        loop {
            let waits = *self.sent.borrow_and_update() > self.answered;
            tokio::select! {
                biased;
                message = self.stream.message() => {
                    let message = match message {
                        Ok(message) => message?,
                        Err(status) => return Some(Err(failed(&status.into()))),
                    };
                    self.answered += 1;
                    self.connection.lane.alive();
                    return Some(match read_append_result(message) {
                        Ok(result) => {
                            let committed = self.committed.load(Ordering::Relaxed).checked_sub(1);
                            self.connection.acknowledged(&result, committed);
                            Ok(result)
                        }
                        Err(error) => Err(failed(&error.into())),
                    });
                }
                changed = self.sent.changed(), if !waits && !self.sent_all => {
                    self.sent_all = changed.is_err();
                }
                () = tokio::time::sleep(STALLED), if waits || self.sent_all => {
                    self.connection.lane.silent();
                    return Some(Err(failed(&CallError::TimedOut(STALLED))));
                }
            }
        }
    }
}
