//! The pool and the signer before a device that can hang, fail and lie.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        atomic::AtomicUsize,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    task::Poll,
};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use exequatur_federation::{
    jose::{Algorithm, PublicKey},
    time::UnixTime,
};

use super::*;
use crate::hsm::{
    Defect, Signer as _,
    pkcs11::signer::{Machinery, Pkcs11Signer},
};

/// Short, because tests with a device that never answers wait for it.
const DEADLINE: Duration = Duration::from_millis(20);
/// Never reached, however slow the machine.
const NO_DEADLINE: Duration = Duration::from_secs(600);

/// A clock that moves when it is told to.
#[derive(Default)]
struct ManualClock(AtomicU64);

impl ManualClock {
    fn advance(&self, by: Duration) {
        let milliseconds = u64::try_from(by.as_millis()).unwrap();
        self.0.fetch_add(milliseconds, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixTime {
        UnixTime::from_seconds(0)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// What the device does with the next call, one entry a call; then it signs.
enum Behaviour {
    Fail(DeviceError),
    /// Says that it is inside, and stays until it is let go.
    Hang(SyncSender<()>, Receiver<()>),
}

#[derive(Default)]
struct Double {
    script: Mutex<VecDeque<Behaviour>>,
    connections: AtomicUsize,
    calls: AtomicUsize,
    /// The key that signs; without one, the answer is the input.
    pair: Option<Ed25519KeyPair>,
}

struct DoubleConnection(Arc<Double>);

impl Device for Arc<Double> {
    fn connect(&self) -> Result<Box<dyn Connection>, DeviceError> {
        self.connections.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(DoubleConnection(Self::clone(self))))
    }
}

impl Connection for DoubleConnection {
    fn sign(&mut self, _: &KeyReference, input: &Input) -> Result<Vec<u8>, DeviceError> {
        self.0.calls.fetch_add(1, Ordering::SeqCst);
        let behaviour = self.0.script.lock().unwrap().pop_front();
        match behaviour {
            Some(Behaviour::Fail(error)) => return Err(error),
            Some(Behaviour::Hang(inside, release)) => {
                inside.send(()).unwrap();
                // An error means that the test is over.
                release.recv().unwrap_or_default();
            }
            None => {}
        }
        let Input::Message(message) = input else { panic!("a message was expected") };
        Ok(match &self.0.pair {
            Some(pair) => pair.sign(message).as_ref().to_vec(),
            None => message.clone(),
        })
    }
}

impl Double {
    fn then_fails(&self, error: DeviceError) {
        self.script.lock().unwrap().push_back(Behaviour::Fail(error));
    }

    /// The next call hangs: the first end tells when it is inside, the second lets it go.
    fn then_hangs(&self) -> (Receiver<()>, SyncSender<()>) {
        let (inside, is_inside) = sync_channel(1);
        let (let_go, release) = sync_channel(1);
        self.script.lock().unwrap().push_back(Behaviour::Hang(inside, release));
        (is_inside, let_go)
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

fn key(algorithm: Algorithm) -> KeyReference {
    KeyReference { label: "exequatur test".to_owned(), id: [7; 32], algorithm }
}

/// A pool of one worker.
fn pool(double: &Arc<Double>, clock: &Arc<ManualClock>, deadline: Duration) -> SessionPool {
    let settings = PoolSettings { workers: 1, deadline };
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    SessionPool::start(Arc::new(Arc::clone(double)), clock, settings).unwrap()
}

async fn sign(pool: &SessionPool, message: &[u8]) -> Result<Vec<u8>, SignError> {
    pool.sign(Arc::new(key(Algorithm::EdDsa)), Input::Message(message.to_vec())).await
}

/// Signs; a slow machine may need more than one deadline.
async fn is_served(pool: &SessionPool) {
    loop {
        match sign(pool, b"message").await {
            Err(SignError::Unavailable(Outage::DeadlinePassed)) => {}
            outcome => return assert_eq!(outcome, Ok(b"message".to_vec())),
        }
    }
}

/// Lets a future run up to its first wait.
async fn started(future: &mut std::pin::Pin<&mut impl Future>) {
    poll_fn(|context| {
        assert!(future.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
}

fn failed() -> DeviceError {
    DeviceError::Failed("CKR_DEVICE_ERROR".to_owned())
}

#[tokio::test]
async fn a_call_that_failed_once_succeeds_on_a_new_session() {
    let (double, clock) = (Arc::<Double>::default(), Arc::default());
    let pool = pool(&double, &clock, NO_DEADLINE);
    for passing in [failed(), DeviceError::KeyAbsent] {
        double.then_fails(passing);
        assert_eq!(sign(&pool, b"message").await, Ok(b"message".to_vec()));
    }
    assert_eq!(double.calls(), 4);
    assert_eq!(double.connections.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_call_that_fails_on_a_new_session_too_is_not_tried_a_third_time() {
    let (double, clock) = (Arc::<Double>::default(), Arc::default());
    let pool = pool(&double, &clock, NO_DEADLINE);
    double.then_fails(failed());
    double.then_fails(failed());
    let outcome = sign(&pool, b"message").await;
    assert_eq!(outcome, Err(SignError::Unavailable(Outage::DeviceFailed)));
    assert_eq!(double.calls(), 2);
    assert_eq!(sign(&pool, b"message").await, Ok(b"message".to_vec()));
}

#[tokio::test]
async fn what_only_an_operator_can_mend_is_tried_once() {
    let (double, clock) = (Arc::<Double>::default(), Arc::default());
    let pool = pool(&double, &clock, NO_DEADLINE);
    for (error, defect) in [
        (DeviceError::PinRefused, Defect::PinRefused),
        (DeviceError::KeyExposed("it is extractable"), Defect::KeyExposed),
        (DeviceError::MechanismRefused("no".to_owned()), Defect::MechanismRefused),
    ] {
        let before = double.calls();
        double.then_fails(error);
        assert_eq!(sign(&pool, b"message").await, Err(SignError::Unusable(defect)));
        assert_eq!(double.calls(), before + 1);
    }
}

#[tokio::test]
async fn a_worker_that_hangs_is_given_up_and_replaced_and_the_pool_does_not_drain() {
    let (double, clock) = (Arc::<Double>::default(), Arc::<ManualClock>::default());
    let pool = pool(&double, &clock, DEADLINE);
    let mut held = Vec::new();
    for hung in 1..=3 {
        let (is_inside, let_go) = double.then_hangs();
        let mut call = pin!(sign(&pool, b"stuck"));
        started(&mut call).await;
        is_inside.recv().unwrap();
        clock.advance(DEADLINE);
        assert_eq!(call.await, Err(SignError::Unavailable(Outage::DeadlinePassed)));
        assert_eq!(pool.workers_hung(), hung);
        held.push(let_go);
        is_served(&pool).await;
    }
    assert!(pool.deadlines_passed() >= 3);
}

#[tokio::test]
async fn a_device_that_hangs_for_good_cannot_take_more_than_so_many_threads() {
    let (double, clock) = (Arc::<Double>::default(), Arc::<ManualClock>::default());
    let pool = pool(&double, &clock, DEADLINE);
    let mut held = Vec::new();
    for _ in 0..=WORKERS_HUNG_MAX {
        let (is_inside, let_go) = double.then_hangs();
        let mut call = pin!(sign(&pool, b"stuck"));
        started(&mut call).await;
        is_inside.recv().unwrap();
        clock.advance(DEADLINE);
        assert_eq!(call.await, Err(SignError::Unavailable(Outage::DeadlinePassed)));
        held.push(let_go);
    }
    assert_eq!(pool.workers_hung(), WORKERS_HUNG_MAX + 1);
    assert_eq!(pool.shared.state().workers.len(), WORKERS_HUNG_MAX + 1);
    // Nobody is left to serve it, until a call returns after all and its worker comes back.
    let outcome = sign(&pool, b"message").await;
    assert_eq!(outcome, Err(SignError::Unavailable(Outage::DeadlinePassed)));
    held.pop().unwrap().send(()).unwrap();
    while pool.workers_hung() > WORKERS_HUNG_MAX {
        tokio::task::yield_now().await;
    }
    is_served(&pool).await;
}

#[tokio::test]
async fn an_abandoned_worker_whose_place_is_taken_goes_when_its_call_returns() {
    let (double, clock) = (Arc::<Double>::default(), Arc::<ManualClock>::default());
    let pool = pool(&double, &clock, DEADLINE);
    let (is_inside, let_go) = double.then_hangs();
    let mut call = pin!(sign(&pool, b"stuck"));
    started(&mut call).await;
    is_inside.recv().unwrap();
    clock.advance(DEADLINE);
    assert_eq!(call.await, Err(SignError::Unavailable(Outage::DeadlinePassed)));
    assert_eq!(pool.shared.state().workers.len(), 2);
    let_go.send(()).unwrap();
    while pool.shared.state().workers.len() > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(pool.workers_hung(), 0);
    is_served(&pool).await;
}

#[tokio::test]
async fn calls_beyond_the_queue_are_turned_away_at_once_and_the_others_are_served() {
    let (double, clock) = (Arc::<Double>::default(), Arc::<ManualClock>::default());
    let pool = pool(&double, &clock, NO_DEADLINE);
    let (is_inside, let_go) = double.then_hangs();
    let mut first = pin!(sign(&pool, b"first"));
    started(&mut first).await;
    is_inside.recv().unwrap();
    let mut waiting = Vec::new();
    for _ in 0..QUEUE_CALLS_MAX {
        let mut call = Box::pin(sign(&pool, b"waiting"));
        started(&mut call.as_mut()).await;
        waiting.push(call);
    }
    assert_eq!(sign(&pool, b"late").await, Err(SignError::Unavailable(Outage::QueueFull)));
    let_go.send(()).unwrap();
    assert_eq!(first.await, Ok(b"first".to_vec()));
    for call in waiting {
        assert_eq!(call.await, Ok(b"waiting".to_vec()));
    }
}

#[tokio::test]
async fn a_call_whose_caller_went_away_is_not_signed() {
    let (double, clock) = (Arc::<Double>::default(), Arc::<ManualClock>::default());
    let pool = pool(&double, &clock, NO_DEADLINE);
    let (is_inside, let_go) = double.then_hangs();
    let mut first = pin!(sign(&pool, b"first"));
    started(&mut first).await;
    is_inside.recv().unwrap();
    let mut dropped = Box::pin(sign(&pool, b"dropped"));
    started(&mut dropped.as_mut()).await;
    drop(dropped);
    let_go.send(()).unwrap();
    assert_eq!(first.await, Ok(b"first".to_vec()));
    assert_eq!(sign(&pool, b"last").await, Ok(b"last".to_vec()));
    assert_eq!(double.calls(), 2);
}

fn ed25519() -> (Ed25519KeyPair, PublicKey) {
    let pair = Ed25519KeyPair::generate().unwrap();
    let public = PublicKey::ed25519(pair.public_key().as_ref().try_into().unwrap()).unwrap();
    (pair, public)
}

/// A signer whose pinned public half is `public`, before this device.
fn signer(double: &Arc<Double>, clock: &Arc<ManualClock>, public: PublicKey) -> Pkcs11Signer {
    let pool = pool(double, clock, NO_DEADLINE);
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    let machinery = Machinery { pool, clock, rejected: AtomicU64::new(0) };
    Pkcs11Signer::new(key(Algorithm::EdDsa), public, Arc::new(machinery))
}

#[tokio::test]
async fn a_signature_of_another_key_is_never_released() {
    let (pair, _) = ed25519();
    let (_, pinned) = ed25519();
    let double = Arc::new(Double { pair: Some(pair), ..Double::default() });
    let signer = signer(&double, &Arc::default(), pinned);
    assert_eq!(signer.sign(b"message").await, Err(SignError::Rejected));
}

#[tokio::test]
async fn a_device_that_fails_again_and_again_is_left_alone_and_found_again() {
    let (pair, public) = ed25519();
    let double = Arc::new(Double { pair: Some(pair), ..Double::default() });
    let clock = Arc::default();
    let signer = signer(&double, &clock, public.clone());
    for _ in 0..5 {
        double.then_fails(failed());
        double.then_fails(failed());
        let outcome = signer.sign(b"message").await;
        assert_eq!(outcome, Err(SignError::Unavailable(Outage::DeviceFailed)));
    }
    let calls = double.calls();
    assert!(!signer.is_available());
    let outcome = signer.sign(b"message").await;
    assert_eq!(outcome, Err(SignError::Unavailable(Outage::BreakerOpen)));
    assert_eq!(double.calls(), calls);
    clock.advance(Duration::from_secs(1));
    let signature = signer.sign(b"message").await.unwrap();
    assert!(public.verify(Algorithm::EdDsa, b"message", &signature));
    assert!(signer.is_available());
}
