//! The proposer against a leader that does as the test says.

use std::sync::atomic::{AtomicUsize, Ordering};

use exequatur_federation::{
    ledger::{
        AnnounceConfig, BATCH_BYTES_MAX, Command, ConfigScope, Fixed, Header, IdentityKey,
        KeyPurpose, LawVersion, LedgerKey, List, Mode, PublishKey, RegionEntry, Revoke,
        StatusTarget, Target,
    },
    membership::{LEVELS, NodeId},
    region::RegionNumber,
    revocation::ListId,
    time::UnixTime,
};
use tokio::sync::Semaphore;

use super::*;

const PATIENCE: Duration = Duration::from_secs(5);

fn revocation(index: u32) -> Proposal {
    let region = RegionNumber::new(1).unwrap();
    let header = Header {
        region,
        node: NodeId::new(1).unwrap(),
        serial: 0,
        level: 1,
        proposed_at: UnixTime::from_seconds(1),
    };
    let revoke = Revoke {
        owner: region,
        target: Target::Status(StatusTarget { list: ListId::new(1), index }),
        mode: Mode::Cutoff,
        expires_at: UnixTime::from_seconds(2),
    };
    Proposal::unsigned(header, Command::Revoke(revoke)).unwrap()
}

/// A leader that answers each proposal with its index of revocation, when it is let.
struct Leader {
    gate: Semaphore,
    batches: Mutex<Vec<u32>>,
    failures: Mutex<VecDeque<SubmitError>>,
    calls: AtomicUsize,
}

impl Leader {
    fn new(open: usize) -> Arc<Self> {
        Arc::new(Self {
            gate: Semaphore::new(open),
            batches: Mutex::default(),
            failures: Mutex::default(),
            calls: AtomicUsize::new(0),
        })
    }
}

impl Submit for Leader {
    fn submit<'a>(&'a self, batch: &'a Batch) -> Submitting<'a> {
        Box::pin(async move {
            self.calls.fetch_add(1, Ordering::SeqCst);
            if let Some(failure) = self.failures.lock().unwrap().pop_front() {
                return Err(failure);
            }
            self.gate.acquire().await.unwrap().forget();
            self.batches.lock().unwrap().push(batch.len());
            let index_of = |proposal: Proposal| {
                let Command::Revoke(revoke) = proposal.command else { return u64::MAX };
                let Target::Status(status) = revoke.target else { return u64::MAX };
                u64::from(status.index)
            };
            let answer = |index| Answer::Decided { index, outcome: Outcome::Applied };
            Ok(batch.proposals().map(index_of).map(answer).collect())
        })
    }
}

fn index_of(answer: &Answer) -> u64 {
    match answer {
        Answer::Decided { index, .. } => *index,
        Answer::Rejected(_) => u64::MAX,
    }
}

#[tokio::test]
async fn everybody_gets_the_answers_to_their_own_proposals_and_those_who_wait_share_entries() {
    let leader = Leader::new(0);
    let (proposer, task) = Proposer::new(Arc::<Leader>::clone(&leader), PATIENCE);
    let mut tasks = JoinSet::new();
    tasks.spawn(async {
        task.await;
        Vec::new()
    });
    for caller in 0..200_u32 {
        let proposer = proposer.clone();
        tasks.spawn(async move {
            let own = [2 * caller, 2 * caller + 1];
            let answers = proposer.propose(own.map(revocation).to_vec()).await.unwrap();
            assert_eq!(answers.iter().map(index_of).collect::<Vec<_>>(), own.map(u64::from));
            answers
        });
    }
    // The first entries are under way before the gate opens; everybody else waits meanwhile.
    while leader.calls.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    leader.gate.add_permits(10_000);
    drop(proposer);
    let mut answered = 0;
    while let Some(done) = tasks.join_next().await {
        answered += done.unwrap().len();
    }
    assert_eq!(answered, 400);
    let batches = leader.batches.lock().unwrap();
    assert_eq!(batches.iter().sum::<u32>(), 400);
    assert!(batches.len() < 40, "200 callers travelled in {} entries", batches.len());
}

#[tokio::test]
async fn one_call_of_many_proposals_is_cut_into_entries_that_fit() {
    let leader = Leader::new(10_000);
    let (proposer, task) = Proposer::new(Arc::<Leader>::clone(&leader), PATIENCE);
    let call = async move {
        let proposals = (0..5_000).map(revocation).collect();
        let answers = proposer.propose(proposals).await.unwrap();
        assert_eq!(
            answers.iter().map(index_of).collect::<Vec<_>>(),
            (0..5_000).collect::<Vec<_>>()
        );
    };
    tokio::join!(task, call);
    let largest = revocation(4_999).seal().len();
    let most = u32::try_from(BATCH_BYTES_MAX / revocation(0).seal().len()).unwrap();
    let least = u32::try_from(BATCH_BYTES_MAX / largest).unwrap();
    let batches = leader.batches.lock().unwrap();
    let (last, full) = batches.split_last().unwrap();
    assert!(full.iter().all(|count| (least..=most).contains(count)), "{batches:?}");
    assert!(*last <= most, "{batches:?}");
}

#[tokio::test(start_paused = true)]
async fn a_batch_without_a_leader_is_handed_over_again() {
    let leader = Leader::new(10);
    let later = SubmitError::Later(ComeAgain(Duration::from_millis(7)));
    *leader.failures.lock().unwrap() = [SubmitError::Again, SubmitError::Again, later].into();
    let (proposer, task) = Proposer::new(Arc::<Leader>::clone(&leader), PATIENCE);
    let call = async move { proposer.propose(vec![revocation(3)]).await };
    let ((), answers) = tokio::join!(task, call);
    assert_eq!(index_of(&answers.unwrap()[0]), 3);
    assert_eq!(leader.calls.load(Ordering::SeqCst), 4);
}

#[tokio::test(start_paused = true)]
async fn a_caller_is_told_when_no_leader_is_found_in_time() {
    let leader = Leader::new(0);
    let (proposer, task) = Proposer::new(Arc::<Leader>::clone(&leader), PATIENCE);
    let call = async move { proposer.propose(vec![revocation(3)]).await };
    let ((), answers) = tokio::join!(task, call);
    assert_eq!(answers, Err(ProposeError::NoQuorum));
}

#[tokio::test]
async fn the_largest_commands_fit_an_entry() {
    let entry = RegionEntry {
        region: RegionNumber::new(1).unwrap(),
        identity: IdentityKey::P256(Fixed([2; 33])),
        stand_ins: List::empty(),
        witness: true,
    };
    let region = List::new(vec![entry; 64]).unwrap();
    let law = LawVersion { digest: Fixed([0; 32]), version: 1 };
    let scope = ConfigScope::Federation(region);
    let command = Command::AnnounceConfig(AnnounceConfig { law, scope, levels: LEVELS });
    let fits = Proposal { header: revocation(0).header, command, signature: Some(Fixed([0; 64])) };
    assert!(Batch::of(&fits).is_some(), "the largest announcement fits an entry");
    let key = LedgerKey::Rsa3072(Box::new(Fixed([0xff; 384])));
    let publish = PublishKey { purpose: KeyPurpose::AccessToken, key, kid: Fixed([0; 32]) };
    let fits = Proposal {
        header: revocation(0).header,
        command: Command::PublishKey(publish),
        signature: Some(Fixed([0; 64])),
    };
    assert!(Batch::of(&fits).is_some(), "the largest key fits an entry");
}

#[tokio::test]
async fn too_many_proposals_in_one_call_are_refused_at_once() {
    let (proposer, _task) = Proposer::new(Leader::new(0), PATIENCE);
    let many = vec![revocation(0); PROPOSALS_PER_CALL_MAX + 1];
    assert_eq!(proposer.propose(many).await, Err(ProposeError::TooLarge));
}

#[tokio::test]
async fn more_calls_than_may_wait_are_refused_at_once() {
    let (proposer, _task) = Proposer::new(Leader::new(0), PATIENCE);
    // The task is not driven, so that every call waits.
    let mut waiting = Vec::new();
    for index in 0..CALLS_WAITING_MAX {
        let (reply, answers) = oneshot::channel();
        let proposals = vec![revocation(u32::try_from(index).unwrap())];
        assert!(proposer.queue.try_send(Call { proposals, reply }).is_ok());
        waiting.push(answers);
    }
    let refused = proposer.propose(vec![revocation(0)]).await;
    assert_eq!(refused, Err(ProposeError::Overloaded(RETRY_PAUSE)));
}
