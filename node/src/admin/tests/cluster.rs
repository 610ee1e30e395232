//! A cluster in memory: it notes what it is asked for, and how many records are durable by then.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use exequatur_federation::{
    ledger::{EntryPayload, Fixed, IdentityKey, List, LogEntry, LogId},
    membership::{
        Build, Invitation, Invite, LEVELS, LevelRange, NodeDescription, NodeId, NodeTicket,
    },
    operator::Operator,
    region::RegionNumber,
    time::UnixTime,
};
use tokio::sync::Semaphore;

use crate::{
    admin::{RequestId, Revocation, Revoked, Revoker, Revoking, What},
    consensus::control::{
        Acting, Cluster, ClusterStatus, ControlError, NodeState, NodeStatus, ViewState, ViewStatus,
    },
    store::Store,
};

pub(super) struct MemoryCluster {
    store: Arc<dyn Store>,
    asked: Mutex<Vec<Asked>>,
    failures: Mutex<VecDeque<ControlError>>,
    gate: Semaphore,
}

/// One action that reached the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) what: String,
    /// Durable records when it came.
    pub(super) records: u64,
}

impl MemoryCluster {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            asked: Mutex::default(),
            failures: Mutex::default(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
        }
    }

    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|asked| asked.what.clone()).collect()
    }

    pub(super) fn last(&self) -> Asked {
        self.asked.lock().unwrap().last().unwrap().clone()
    }

    /// The next action fails so.
    pub(super) fn fail(&self, error: ControlError) {
        self.failures.lock().unwrap().push_back(error);
    }

    /// Lets actions begin, but not end.
    pub(super) fn close_gate(&self) {
        self.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    /// Lets so many actions end.
    pub(super) fn open_gate(&self, actions: usize) {
        self.gate.add_permits(actions);
    }

    fn note<T: Send + 'static>(&self, what: String, result: T) -> Acting<'_, T> {
        Box::pin(async move {
            let records = self.store.audit_tail().await.unwrap().size();
            self.asked.lock().unwrap().push(Asked { what, records });
            self.gate.acquire().await.unwrap().forget();
            let failure = self.failures.lock().unwrap().pop_front();
            failure.map_or(Ok(result), Err)
        })
    }
}

impl Revoker for MemoryCluster {
    fn revoke<'a>(
        &'a self,
        _operator: &'a Operator,
        _id: RequestId,
        revocation: &'a Revocation,
    ) -> Revoking<'a> {
        let What::Client(id) = &revocation.what else { panic!("nobody asks for that here") };
        let what = format!("revoke client {id} {:?}", revocation.measure);
        Box::pin(async move {
            self.note(what, ()).await?;
            Ok(Revoked { receipt: "r".to_owned(), agreed: true, may_return: false })
        })
    }
}

impl Cluster for MemoryCluster {
    fn status(&self) -> ClusterStatus {
        status()
    }

    fn invite(&self, ticket: NodeTicket) -> Acting<'_, Invite> {
        self.note(format!("invite {}", ticket.description.node), invite())
    }

    fn promote(&self, node: NodeId, replacing: Option<NodeId>, accept: bool) -> Acting<'_, ()> {
        let replaced = replacing.map_or_else(String::new, |old| format!(" replacing {old}"));
        self.note(format!("promote {node}{replaced} {accept}"), ())
    }

    fn demote(&self, node: NodeId, accept: bool) -> Acting<'_, ()> {
        self.note(format!("demote {node} {accept}"), ())
    }

    fn remove(&self, node: NodeId, accept: bool) -> Acting<'_, ()> {
        self.note(format!("remove {node} {accept}"), ())
    }

    fn transfer_leader(&self, to: Option<NodeId>) -> Acting<'_, ()> {
        self.note(format!("transfer_leader {to:?}"), ())
    }

    fn drain(&self) -> Acting<'_, ()> {
        self.note("drain".to_owned(), ())
    }

    fn snapshot(&self) -> Acting<'_, ()> {
        self.note("snapshot".to_owned(), ())
    }

    fn entry(&self, index: Option<u64>) -> Acting<'_, LogEntry> {
        let id = LogId { term: 7, leader: node(2), index: index.unwrap_or(118) };
        self.note(format!("entry {index:?}"), LogEntry { id, payload: EntryPayload::Blank })
    }
}

pub(super) fn node(bits: u64) -> NodeId {
    NodeId::new(bits).unwrap()
}

/// Every field filled, and one node with nothing known.
pub(super) fn status() -> ClusterStatus {
    ClusterStatus {
        cluster: "000102030405060708090a0b0c0d0e0f".to_owned(),
        epoch: 1,
        node: node(1),
        region: "eu-central".to_owned(),
        state: NodeState::Follower,
        term: 7,
        leader: Some(node(2)),
        level: 1,
        last_log_index: Some(120),
        committed_index: Some(119),
        applied_index: Some(118),
        snapshot_index: Some(100),
        purged_index: Some(0),
        replicated_time: UnixTime::from_seconds(1_800_000_000),
        state_digest: Fixed([3; 32]),
        law: Fixed([4; 32]),
        nodes: vec![
            NodeStatus {
                node: node(1),
                region: "eu-central".to_owned(),
                voter: true,
                address: Some("eu1.example:8445".to_owned()),
                matched_index: Some(0),
                last_seen_ms: Some(0),
                build: Some(Build { major: 1, minor: 2, patch: u16::MAX }),
                levels: Some(LevelRange { lowest: 1, highest: 2 }),
            },
            NodeStatus {
                node: node(u64::MAX),
                region: "us-east".to_owned(),
                voter: false,
                address: None,
                matched_index: None,
                last_seen_ms: None,
                build: None,
                levels: None,
            },
        ],
        survives_any_region: true,
        view: Some(ViewStatus {
            age_ms: Some(11_000),
            state: ViewState::Local,
            local_seconds_left: Some(3_589),
        }),
        warnings: vec!["a clock is slow".to_owned()],
    }
}

pub(super) fn ticket() -> NodeTicket {
    let description = NodeDescription {
        federation: Fixed([1; 32]),
        region: RegionNumber::new(2).unwrap(),
        node: node(9),
        key: IdentityKey::Ed25519(Fixed([5; 32])),
        levels: LEVELS,
        build: Build { major: 0, minor: 1, patch: 0 },
    };
    NodeTicket { description, signature: Fixed([6; 64]) }
}

pub(super) fn invite() -> Invite {
    let invitation = Invitation {
        cluster: Fixed([7; 16]),
        epoch: 1,
        genesis: Fixed([8; 32]),
        node: node(9),
        region: RegionNumber::new(1).unwrap(),
        expires_at: UnixTime::from_seconds(1_800_000_000),
        members: List::empty(),
    };
    Invite { invitation, signature: Fixed([9; 64]) }
}
