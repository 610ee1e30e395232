//! How fast this node proposes, measured where proposals are made. Answers are one JSON object.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use exequatur_federation::{
    ledger::{Outcome, Revoke, StatusTarget, Target},
    revocation::{LIST_SIZE, ListId},
};
use exequatur_node::consensus::{Answer, Consensus};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::question::revocations;

/// A pause after a refusal: whoever is told to come again does.
const AGAIN: Duration = Duration::from_millis(5);

/// Tokens that were never revoked before, in lists of their own.
struct Fresh {
    list: AtomicU64,
    index: AtomicU32,
}

impl Fresh {
    const fn new(list: u64) -> Self {
        Self { list: AtomicU64::new(list), index: AtomicU32::new(0) }
    }

    /// The next tokens, all of one list.
    fn take(&self, count: u32) -> Vec<Target> {
        let mut first = self.index.fetch_add(count, Ordering::Relaxed);
        if first.saturating_add(count) > LIST_SIZE {
            // Two callers that come here at once skip a list each, which harms nobody.
            self.list.fetch_add(1, Ordering::Relaxed);
            self.index.store(count, Ordering::Relaxed);
            first = 0;
        }
        let list = ListId::new(self.list.load(Ordering::Relaxed));
        (first..first + count).map(|index| Target::Status(StatusTarget { list, index })).collect()
    }
}

/// One proposal at a time, `count` times: `{"p50_us":…,"p99_us":…}`.
pub(crate) async fn single(consensus: &Consensus, count: u32) -> String {
    let fresh = Fresh::new(0x51_0000_0000);
    let mut times = Vec::new();
    for _ in 0..count {
        let revocations = revocations(consensus, fresh.take(1));
        let started = Instant::now();
        match consensus.revoke_many(revocations).await {
            Ok(answers) if all_applied(&answers) => times.push(started.elapsed()),
            other => return format!("failed {other:?}"),
        }
    }
    times.sort_unstable();
    format!(
        "{{\"p50_us\":{},\"p99_us\":{}}}",
        percentile(&times, 50).as_micros(),
        percentile(&times, 99).as_micros()
    )
}

/// `callers` at once revoke `tokens` with each call, for so many seconds:
/// `{"per_s":…,"p50_us":…,"p99_us":…,"refused":…,"entries":…,"flushes":…}`.
pub(crate) async fn load(
    consensus: &Arc<Consensus>,
    (callers, tokens): (u32, u32),
    seconds: u32,
) -> String {
    let fresh = Arc::new(Fresh::new(0x52_0000_0000));
    let first_entry = consensus.view().applied.map_or(0, |id| id.index);
    let writes_before = consensus.log_writes();
    let started = Instant::now();
    let end = started + Duration::from_secs(u64::from(seconds));
    let mut calls = JoinSet::new();
    for _ in 0..callers {
        calls.spawn(call_until(Arc::clone(consensus), (Arc::clone(&fresh), tokens), end));
    }
    let done = calls.join_all().await;
    let took = started.elapsed();
    let entries = consensus.view().applied.map_or(0, |id| id.index) - first_entry;
    let flushes = consensus.log_writes() - writes_before;
    let refused: u64 = done.iter().map(|caller| caller.refused).sum();
    let mut times: Vec<Duration> = done.into_iter().flat_map(|caller| caller.times).collect();
    times.sort_unstable();
    let revoked = times.len() as u64 * u64::from(tokens);
    let per_s = u128::from(revoked) * 1_000 / took.as_millis().max(1);
    format!(
        "{{\"per_s\":{per_s},\"p50_us\":{},\"p99_us\":{},\"refused\":{refused},\"entries\":{entries},\"flushes\":{flushes}}}",
        percentile(&times, 50).as_micros(),
        percentile(&times, 99).as_micros()
    )
}

#[derive(Default)]
struct Caller {
    times: Vec<Duration>,
    refused: u64,
}

async fn call_until(
    consensus: Arc<Consensus>,
    (fresh, tokens): (Arc<Fresh>, u32),
    end: Instant,
) -> Caller {
    let mut caller = Caller::default();
    while Instant::now() < end {
        let revocations: Vec<Revoke> = revocations(&consensus, fresh.take(tokens));
        let started = Instant::now();
        match consensus.revoke_many(revocations).await {
            Ok(answers) if all_applied(&answers) => caller.times.push(started.elapsed()),
            _ => {
                caller.refused += 1;
                sleep(AGAIN).await;
            }
        }
    }
    caller
}

fn all_applied(answers: &[Answer]) -> bool {
    let applied = |a: &Answer| matches!(a, Answer::Decided { outcome: Outcome::Applied, .. });
    answers.iter().all(applied)
}

/// Of times in ascending order.
fn percentile(times: &[Duration], percent: usize) -> Duration {
    let rank = (times.len() * percent).div_ceil(100).saturating_sub(1);
    times.get(rank).copied().unwrap_or_default()
}
