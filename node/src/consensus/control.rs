//! What an operator sees of a federation and may do to it, as plain data and one trait: the seam
//! between the operator's service and consensus. How it is done is not known here.

use std::{future::Future, pin::Pin};

use exequatur_federation::{
    freshness::{Bounds, Freshness, Traffic, ViewFacts, judge},
    ledger::{Digest, LogEntry, Objection},
    membership::{Build, Invite, LevelRange, NodeId, NodeTicket},
    time::UnixTime,
};

/// The federation as one node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterStatus {
    /// The federation's id, in hexadecimal digits.
    pub cluster: String,
    /// Its epoch.
    pub epoch: u32,
    /// The node that says so.
    pub node: NodeId,
    /// That node's region.
    pub region: String,
    /// What that node is.
    pub state: NodeState,
    /// Its term.
    pub term: u64,
    /// Whom it takes for the leader.
    pub leader: Option<NodeId>,
    /// The feature level in force.
    pub level: u16,
    /// Its last log entry.
    pub last_log_index: Option<u64>,
    /// The last entry that it knows to be committed.
    pub committed_index: Option<u64>,
    /// The last entry that it has applied.
    pub applied_index: Option<u64>,
    /// The last entry in its newest snapshot.
    pub snapshot_index: Option<u64>,
    /// The last entry that it holds no more.
    pub purged_index: Option<u64>,
    /// Time in the ledger.
    pub replicated_time: UnixTime,
    /// Digest of the ledger's state.
    pub state_digest: Digest,
    /// Digest of the law in force.
    pub law: Digest,
    /// Every member.
    pub nodes: Vec<NodeStatus>,
    /// Whether the loss of any one region leaves a quorum.
    pub survives_any_region: bool,
    /// How old that node's view of revocations is; not known to consensus itself.
    pub view: Option<ViewStatus>,
    /// What an operator should look at, as sentences.
    pub warnings: Vec<String>,
}

/// How old a node's view of revocations is, by the region's own bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewStatus {
    /// Milliseconds since the last probe that succeeded was sent, if one has since the node started.
    pub age_ms: Option<u64>,
    /// What it is good for.
    pub state: ViewState,
    /// Seconds until it is good for nothing, in [`ViewState::Local`].
    pub local_seconds_left: Option<u64>,
}

/// What a view is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewState {
    /// For everything.
    Fresh,
    /// For the region's own people.
    Local,
    /// For nothing.
    Stale,
}

impl ViewStatus {
    /// The status of a view.
    #[must_use]
    pub fn of(bounds: &Bounds, facts: &ViewFacts) -> Self {
        let (state, local_seconds_left) = match judge(bounds, Traffic::Resident, facts) {
            Freshness::Fresh => (ViewState::Fresh, None),
            Freshness::Local { left, .. } => (ViewState::Local, Some(left.as_secs())),
            Freshness::Stale => (ViewState::Stale, None),
        };
        let age = facts.age();
        let age_ms = age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        Self { age_ms, state, local_seconds_left }
    }
}

/// What a node is to its federation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// It leads.
    Leader,
    /// It follows and votes.
    Follower,
    /// It asks for votes.
    Candidate,
    /// It follows and does not vote.
    Learner,
    /// It takes no part any more.
    Shutdown,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// Its id.
    pub node: NodeId,
    /// Its region.
    pub region: String,
    /// Whether it votes.
    pub voter: bool,
    /// Where it is reached.
    pub address: Option<String>,
    /// The last entry that it is known to hold; known to the leader only.
    pub matched_index: Option<u64>,
    /// Milliseconds since it was heard of.
    pub last_seen_ms: Option<u64>,
    /// Its build.
    pub build: Option<Build>,
    /// Feature levels that it knows.
    pub levels: Option<LevelRange>,
}

/// Why the federation is not as an operator asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// Only the leader can, and it could not be asked.
    #[error(
        "this node does not lead{}: ask the leader",
        .leader.map_or_else(|| ", and knows no leader".to_owned(), |node| format!(", node {node} does"))
    )]
    NotLeader {
        /// Who leads, as far as the node knows.
        leader: Option<NodeId>,
    },
    /// Too few voters answer.
    #[error("too few voters can be reached: start the missing nodes, and try again")]
    NoQuorum,
    /// Another change of the members is under way.
    #[error("another change of the members is under way: try again when it is done")]
    InProgress,
    /// The voters would not survive the loss of a region.
    #[error("{0}")]
    VoterRules(String),
    /// There is no such node.
    #[error("node {0} is not a member: `exequatur cluster status` lists the members")]
    Unknown(NodeId),
    /// The ledger refuses.
    #[error("the ledger refuses it: {0}")]
    Refused(Objection),
    /// The learner has not caught up.
    #[error("the learner is {behind} entries behind: promote it once it has caught up")]
    LaggingLearner {
        /// How many entries it lacks.
        behind: u64,
    },
    /// It is accepted, and takes effect once another region asks for the same.
    #[error(
        "it is recorded, and takes effect once an operator of another region asks for the same"
    )]
    Pending,
    /// Too much is under way.
    #[error("the node has too much to do: try again later")]
    Overloaded,
    /// The log holds no such entry, or none at all.
    #[error("{}", no_entry(.0))]
    NoEntry(Option<(u64, u64)>),
    /// Something on the node is wrong.
    #[error("{0}")]
    Local(String),
}

fn no_entry(held: &Option<(u64, u64)>) -> String {
    match held {
        Some((first, last)) => {
            format!("this node's log holds committed entries {first} to {last}: name one of them")
        }
        None => "this node's log holds no committed command: name an entry by its index".to_owned(),
    }
}

/// The answer of an action, still to come.
pub type Acting<'a, T> = Pin<Box<dyn Future<Output = Result<T, ControlError>> + Send + 'a>>;

/// A federation, as an operator handles it through one of its nodes.
pub trait Cluster: Send + Sync {
    /// What the node knows now; asks nobody.
    fn status(&self) -> ClusterStatus;

    /// Lets the ticket's node join as a learner, and invites it.
    fn invite(&self, ticket: NodeTicket) -> Acting<'_, Invite>;

    /// Makes a learner a voter; with `replacing`, in place of a voter, which becomes a learner in
    /// the same change.
    fn promote(
        &self,
        node: NodeId,
        replacing: Option<NodeId>,
        accept_reduced_survival: bool,
    ) -> Acting<'_, ()>;

    /// Makes a voter a learner.
    fn demote(&self, node: NodeId, accept_reduced_survival: bool) -> Acting<'_, ()>;

    /// Removes a node for ever.
    fn remove(&self, node: NodeId, accept_reduced_survival: bool) -> Acting<'_, ()>;

    /// Hands leadership to a voter, or to whichever is best.
    fn transfer_leader(&self, to: Option<NodeId>) -> Acting<'_, ()>;

    /// Prepares this node to stop: not ready, no longer leader, no new proposals.
    fn drain(&self) -> Acting<'_, ()>;

    /// Writes a snapshot now.
    fn snapshot(&self) -> Acting<'_, ()>;

    /// The committed entry at an index, or the last one that holds a command other than the
    /// time.
    fn entry(&self, index: Option<u64>) -> Acting<'_, LogEntry>;
}
