//! The runtime that openraft runs on: tokio, with randomness that can be repeated.
//!
//! Inside [`SeededRuntime::scope`] every draw follows from one seed, and a task that is spawned
//! draws from a branch of its parent's, so that a simulated run repeats election timeouts and all.
//! Outside of any scope draws come from the operating system. It is one type for both, so that what
//! is simulated is what runs.

use std::{cell::Cell, future::Future, io, time::Duration};

use openraft_rt::{AsyncRuntime, OptionalSend};
use openraft_rt_tokio::TokioRuntime;
use rand::{SeedableRng, rngs::SmallRng};

tokio::task_local! {
    static SEED: Cell<u64>;
}

/// Increments of two sequences of SplitMix64 (Steele, Lea, Flood 2014), so that what a task draws
/// and what its children start from never meet.
const DRAW: u64 = 0x9e37_79b9_7f4a_7c15;
const BRANCH: u64 = 0xd1b5_4a32_d192_ed03;

/// Tokio with repeatable randomness.
#[derive(Debug)]
pub struct SeededRuntime {
    inner: TokioRuntime,
}

impl SeededRuntime {
    /// Runs a future whose draws, and those of all it spawns, follow from `seed`.
    pub fn scope<F: Future>(seed: u64, future: F) -> impl Future<Output = F::Output> {
        SEED.scope(Cell::new(seed), future)
    }
}

const fn mixed(seed: u64, increment: u64) -> u64 {
    let z = seed.wrapping_add(increment);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The next seed of this task, if it runs in a scope.
fn next_seed() -> Option<u64> {
    SEED.try_with(|cell| {
        let seed = cell.get();
        cell.set(mixed(seed, DRAW));
        seed
    })
    .ok()
}

impl AsyncRuntime for SeededRuntime {
    type JoinError = <TokioRuntime as AsyncRuntime>::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = <TokioRuntime as AsyncRuntime>::JoinHandle<T>;
    type Sleep = <TokioRuntime as AsyncRuntime>::Sleep;
    type Instant = <TokioRuntime as AsyncRuntime>::Instant;
    type TimeoutError = <TokioRuntime as AsyncRuntime>::TimeoutError;
    type Timeout<R, T: Future<Output = R> + OptionalSend> =
        <TokioRuntime as AsyncRuntime>::Timeout<R, T>;
    type ThreadLocalRng = SmallRng;
    type Mpsc = <TokioRuntime as AsyncRuntime>::Mpsc;
    type Watch = <TokioRuntime as AsyncRuntime>::Watch;
    type Oneshot = <TokioRuntime as AsyncRuntime>::Oneshot;
    type Mutex<T: OptionalSend + 'static> = <TokioRuntime as AsyncRuntime>::Mutex<T>;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        match next_seed() {
            Some(seed) => TokioRuntime::spawn(SEED.scope(Cell::new(mixed(seed, BRANCH)), future)),
            None => TokioRuntime::spawn(future),
        }
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        TokioRuntime::sleep(duration)
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        TokioRuntime::sleep_until(deadline)
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(
        duration: Duration,
        future: F,
    ) -> Self::Timeout<R, F> {
        TokioRuntime::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(
        deadline: Self::Instant,
        future: F,
    ) -> Self::Timeout<R, F> {
        TokioRuntime::timeout_at(deadline, future)
    }

    fn is_panic(join_error: &Self::JoinError) -> bool {
        TokioRuntime::is_panic(join_error)
    }

    fn thread_rng() -> Self::ThreadLocalRng {
        match next_seed() {
            Some(seed) => SmallRng::seed_from_u64(mixed(seed, DRAW)),
            None => rand::make_rng(),
        }
    }

    fn new(threads: usize) -> Self {
        Self { inner: TokioRuntime::new(threads) }
    }

    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        self.inner.block_on(future)
    }

    fn spawn_blocking<F, T>(f: F) -> impl Future<Output = Result<T, io::Error>> + Send
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        TokioRuntime::spawn_blocking(f)
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    async fn draws() -> Vec<u64> {
        let mut drawn: Vec<u64> = Vec::new();
        for _ in 0..3 {
            drawn.push(SeededRuntime::thread_rng().random());
            let child = SeededRuntime::spawn(async {
                let first: u64 = SeededRuntime::thread_rng().random();
                let grandchild =
                    SeededRuntime::spawn(async { SeededRuntime::thread_rng().random::<u64>() });
                [first, grandchild.await.unwrap()]
            });
            drawn.extend(child.await.unwrap());
        }
        drawn
    }

    #[tokio::test]
    async fn one_seed_repeats_every_draw_of_a_task_and_its_children() {
        let first = SeededRuntime::scope(7, draws()).await;
        assert_eq!(first, SeededRuntime::scope(7, draws()).await);
        assert_ne!(first, SeededRuntime::scope(8, draws()).await);
        let mut distinct = first.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), first.len(), "no two draws of a run are the same");
    }

    #[tokio::test]
    async fn outside_of_a_scope_draws_differ_from_run_to_run() {
        assert_ne!(draws().await, draws().await);
    }
}
