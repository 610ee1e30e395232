//! Worker threads that own one session each, a bounded queue before them, a deadline on each call.
//!
//! PKCS#11 calls block, a session is for one thread, and a device may never answer. So the calls
//! run on threads of the pool, and a call that is not answered by its deadline is given up: its
//! worker is stuck in the library, cannot be stopped, and is *abandoned*: another takes its place,
//! so that the pool does not drain. An abandoned worker whose call returns after all goes, or
//! comes back if the pool is short of workers. Knows nothing of keys, PINs or handles.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::{sync::oneshot, time::timeout};

use super::{
    super::{Outage, SignError},
    device::{Connection, Device, DeviceError, Input, KeyReference},
};
use crate::clock::Clock;

/// Most calls that wait for a worker: at 2,000 signatures a second some 130 ms of work, so that a
/// call that got in is answered long before its deadline.
const QUEUE_CALLS_MAX: usize = 256;
/// Most workers that may be stuck in the device at once. Each holds a thread and a session; past
/// it no more are replaced and calls run into their deadline, which opens the breaker.
const WORKERS_HUNG_MAX: usize = 16;
/// How long an orderly end waits for calls that are under way.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// How a pool is dimensioned.
#[derive(Clone, Copy, Debug)]
pub(super) struct PoolSettings {
    /// Workers, and so sessions that are in use at once.
    pub(super) workers: usize,
    /// Longest time from call to answer.
    pub(super) deadline: Duration,
}

/// Signs on worker threads. Dropping it ends the workers that are not stuck.
pub(super) struct SessionPool {
    shared: Arc<Shared>,
}

struct Shared {
    device: Arc<dyn Device>,
    clock: Arc<dyn Clock>,
    settings: PoolSettings,
    state: Mutex<State>,
    work: Condvar,
    gone: Condvar,
    deadlines_passed: AtomicU64,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Call>,
    workers: BTreeMap<u64, Worker>,
    workers_started: u64,
    /// Workers that wait for a call, so that nobody is woken where nobody waits.
    waiting: usize,
    closed: bool,
}

#[derive(Clone, Copy)]
struct Worker {
    /// Since when it has been in the device; `None` while it waits for work.
    busy_since: Option<Duration>,
    abandoned: bool,
}

struct Call {
    key: Arc<KeyReference>,
    input: Input,
    reply: oneshot::Sender<Result<Vec<u8>, DeviceError>>,
}

impl SessionPool {
    /// Starts the workers; each opens its session by itself.
    pub(super) fn start(
        device: Arc<dyn Device>,
        clock: Arc<dyn Clock>,
        settings: PoolSettings,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            device,
            clock,
            settings,
            state: Mutex::default(),
            work: Condvar::new(),
            gone: Condvar::new(),
            deadlines_passed: AtomicU64::new(0),
        });
        let pool = Self { shared };
        let mut state = pool.shared.state();
        for _ in 0..settings.workers {
            start_worker(&pool.shared, &mut state)?;
        }
        drop(state);
        Ok(pool)
    }

    /// Has a worker sign `input` with `key`.
    pub(super) async fn sign(
        &self,
        key: Arc<KeyReference>,
        input: Input,
    ) -> Result<Vec<u8>, SignError> {
        let (reply, answer) = oneshot::channel();
        self.shared.enqueue(Call { key, input, reply })?;
        match timeout(self.shared.settings.deadline, answer).await {
            Ok(Ok(result)) => result.map_err(SignError::from),
            Ok(Err(_closed)) => Err(SignError::Unavailable(Outage::DeviceFailed)),
            Err(_elapsed) => {
                self.shared.deadlines_passed.fetch_add(1, Ordering::Relaxed);
                replace_stuck_workers(&self.shared);
                Err(SignError::Unavailable(Outage::DeadlinePassed))
            }
        }
    }

    /// Workers that are stuck in the device now.
    pub(super) fn workers_hung(&self) -> usize {
        self.shared.state().workers.values().filter(|w| w.abandoned).count()
    }

    /// Calls that were given up at their deadline.
    pub(super) fn deadlines_passed(&self) -> u64 {
        self.shared.deadlines_passed.load(Ordering::Relaxed)
    }
}

impl Drop for SessionPool {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.closed = true;
        state.queue.clear();
        self.shared.work.notify_all();
        let at_work = |state: &mut State| state.workers.values().any(|w| !w.abandoned);
        // Whoever does not come back in time is stuck, and ends with the process.
        drop(self.shared.gone.wait_timeout_while(state, CLOSE_WAIT, at_work));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change of the state is complete before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enqueue(&self, call: Call) -> Result<(), SignError> {
        let mut state = self.state();
        if state.queue.len() >= QUEUE_CALLS_MAX {
            return Err(SignError::Unavailable(Outage::QueueFull));
        }
        state.queue.push_back(call);
        let someone_waits = state.waiting > 0;
        drop(state);
        if someone_waits {
            self.work.notify_one();
        }
        Ok(())
    }

    /// The next call for worker `id`, or `None` if it has to go.
    fn next_call(&self, id: u64) -> Option<Call> {
        let mut state = self.state();
        if !state.returns_to_work(id, self.settings.workers) {
            return None;
        }
        loop {
            if state.closed {
                return None;
            }
            // A caller that gave up has dropped its end: nobody wants the signature.
            let call = state.queue.pop_front().filter(|call| !call.reply.is_closed());
            if let Some(call) = call {
                state.mark(id, Some(self.clock.monotonic()));
                return Some(call);
            }
            if state.queue.is_empty() {
                state.waiting = state.waiting.saturating_add(1);
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.waiting = state.waiting.saturating_sub(1);
            }
        }
    }
}

impl State {
    fn mark(&mut self, id: u64, busy_since: Option<Duration>) {
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.busy_since = busy_since;
        }
    }

    /// Whether worker `id` is still wanted after a call: always, unless it was abandoned and its
    /// place is taken.
    fn returns_to_work(&mut self, id: u64, wanted: usize) -> bool {
        let short = self.at_work() < wanted;
        let Some(worker) = self.workers.get_mut(&id) else { return false };
        worker.busy_since = None;
        worker.abandoned = worker.abandoned && !short;
        !worker.abandoned
    }

    fn at_work(&self) -> usize {
        self.workers.values().filter(|w| !w.abandoned).count()
    }
}

fn start_worker(shared: &Arc<Shared>, state: &mut State) -> io::Result<()> {
    let id = state.workers_started;
    let of_worker = Arc::clone(shared);
    // The state is locked here, so the worker finds its entry when it first looks.
    thread::Builder::new().name(format!("hsm-{id}")).spawn(move || {
        work(&of_worker, id);
        of_worker.state().workers.remove(&id);
        of_worker.gone.notify_all();
    })?;
    state.workers_started = id.saturating_add(1);
    // Opening the session is a call, too, and can hang.
    let busy_since = Some(shared.clock.monotonic());
    state.workers.insert(id, Worker { busy_since, abandoned: false });
    Ok(())
}

/// Abandons the workers that are stuck and starts others in their place.
fn replace_stuck_workers(shared: &Arc<Shared>) {
    let settings = shared.settings;
    let now = shared.clock.monotonic();
    // A device answers in milliseconds. Half a deadline finds the worker whose call began a little
    // after its caller started to wait.
    let patience = settings.deadline / 2;
    let mut state = shared.state();
    for worker in state.workers.values_mut() {
        let stuck = worker.busy_since.is_some_and(|since| now.saturating_sub(since) >= patience);
        worker.abandoned = worker.abandoned || stuck;
    }
    let threads_max = settings.workers.saturating_add(WORKERS_HUNG_MAX);
    while state.at_work() < settings.workers && state.workers.len() < threads_max {
        if let Err(error) = start_worker(shared, &mut state) {
            tracing::error!(%error, "no thread to replace one that is stuck in the HSM");
            return;
        }
        tracing::error!(
            hung = state.workers.len().saturating_sub(settings.workers),
            "a call to the HSM does not return: its thread was abandoned and replaced"
        );
    }
}

/// A worker's life: it serves calls until the pool closes or its place is taken.
fn work(shared: &Shared, id: u64) {
    let mut connection = shared.device.connect().ok();
    while let Some(Call { key, input, reply }) = shared.next_call(id) {
        let result = sign(&*shared.device, &mut connection, &key, &input);
        if let Err(error) = &result {
            tracing::warn!(key = %key.label, %error, "the HSM did not sign");
        }
        // The caller may have gone meanwhile.
        drop(reply.send(result));
    }
}

/// Signs; what may succeed on a new session is tried once more on one.
fn sign(
    device: &dyn Device,
    connection: &mut Option<Box<dyn Connection>>,
    key: &KeyReference,
    input: &Input,
) -> Result<Vec<u8>, DeviceError> {
    let mut attempt = || {
        let session = match connection.take() {
            Some(session) => session,
            None => device.connect()?,
        };
        // A session that failed is not used again.
        let session = connection.insert(session);
        session.sign(key, input).inspect_err(|_| *connection = None)
    };
    match attempt() {
        Err(error) if error.may_pass() => attempt(),
        outcome => outcome,
    }
}

#[cfg(test)]
#[path = "session_pool_test.rs"]
mod session_pool_test;
