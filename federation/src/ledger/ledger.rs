//! The ledger: the state that every node holds alike, and the only ways to change it.
//!
//! [`Ledger::apply`] takes entries in the order of the log. It depends on nothing but the entries:
//! two ledgers that were given the same are equal, and so are their snapshots, whether they were
//! copied, written and read in between or not.

use std::sync::Arc;

use super::{
    Batch, Digest, Fixed, KeyThumbprint, Kind, LawVersion, LedgerId, LogName, Objection, Outcome,
    Proposal,
    rules::{self, Admission, Verdict},
    snapshot::{self, Begin, SnapshotError, SnapshotHead},
    state::{ConfigRow, KeyRow, LogRow, MemberRow, Owner, RegionRow, Revoked, State},
};
use crate::{jose::sha256, membership::NodeId, region::RegionNumber, time::UnixTime};

/// What all regions have agreed on. A copy is cheap: tables are shared until they are changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    genesis: Digest,
    digest: Digest,
    pub(super) state: State,
}

impl Ledger {
    /// An empty ledger that takes one genesis only: the one whose frame has this SHA-256.
    #[must_use]
    pub fn new(genesis: Digest) -> Self {
        Self { genesis, digest: genesis, state: State::default() }
    }

    /// Whether `apply` would refuse the proposal now: asked before it is sent, and by the leader
    /// before it is written.
    ///
    /// # Errors
    /// What `apply` would object.
    pub fn check(&self, proposal: &Proposal) -> Result<(), Objection> {
        // Only the index of its entry is not known yet, and no objection depends on it.
        match self.judge(u64::MAX, proposal) {
            Judged::Refused(objection) | Judged::Admitted(_, Err(objection)) => Err(objection),
            Judged::Admitted(_, Ok(_)) | Judged::Duplicate => Ok(()),
        }
    }

    /// Applies the entry at `index`, and says what became of each of its proposals.
    pub fn apply(&mut self, index: u64, batch: &Batch) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(batch.len() as usize);
        for (position, proposal) in (0_u32..).zip(batch.proposals()) {
            let outcome = self.apply_one(index, &proposal);
            self.fold(index, position, proposal.command.kind(), outcome);
            outcomes.push(outcome);
        }
        rules::purge(&mut self.state);
        outcomes
    }

    fn apply_one(&mut self, index: u64, proposal: &Proposal) -> Outcome {
        let (now, judgement) = match self.judge(index, proposal) {
            Judged::Refused(objection) => return Outcome::Refused(objection),
            Judged::Duplicate => return Outcome::Duplicate,
            Judged::Admitted(now, judgement) => (now, judgement),
        };
        let (outcome, verdict) = match judgement {
            Ok(verdict) => (verdict.outcome, Some(verdict)),
            Err(objection) => (Outcome::Refused(objection), None),
        };
        let taken = verdict.is_some();
        if let Some(verdict) = verdict {
            rules::take(&mut self.state, verdict);
        }
        rules::note(&mut self.state, proposal, now, taken);
        outcome
    }

    fn judge(&self, index: u64, proposal: &Proposal) -> Judged {
        let Some(federation) = &self.state.federation else {
            return match rules::judge_genesis(&self.genesis, proposal) {
                Ok(verdict) => Judged::Admitted(proposal.header.proposed_at, Ok(verdict)),
                Err(objection) => Judged::Refused(objection),
            };
        };
        match Admission::of(&self.state, federation, proposal, index) {
            Ok(Admission::Admitted(case)) => {
                Judged::Admitted(case.now, rules::judge(&case, &proposal.command))
            }
            Ok(Admission::Duplicate) => Judged::Duplicate,
            Err(objection) => Judged::Refused(objection),
        }
    }

    /// Digest = SHA-256(digest before it ‖ index ‖ position in the entry ‖ kind ‖ outcome), numbers
    /// in network byte order; before the first, the digest of genesis.
    fn fold(&mut self, index: u64, position: u32, kind: Kind, outcome: Outcome) {
        let mut bytes = Vec::with_capacity(48);
        bytes.extend_from_slice(self.digest.bytes());
        bytes.extend_from_slice(&index.to_be_bytes());
        bytes.extend_from_slice(&position.to_be_bytes());
        bytes.extend_from_slice(&kind.number().to_be_bytes());
        bytes.extend_from_slice(&outcome.code().to_be_bytes());
        self.digest = Fixed(sha256(&bytes));
    }

    /// The canonical bytes.
    #[must_use]
    pub fn snapshot(&self, head: &SnapshotHead) -> Vec<u8> {
        let begin = Begin { head: head.clone(), genesis: self.genesis, digest: self.digest };
        snapshot::seal(&begin, &self.state)
    }

    /// Reads what [`snapshot`](Self::snapshot) wrote.
    ///
    /// # Errors
    /// See [`SnapshotError`]: nothing that is damaged, foreign, or written otherwise is taken.
    pub fn restore(bytes: &[u8], genesis: Digest) -> Result<(SnapshotHead, Self), SnapshotError> {
        let (begin, state) = snapshot::open(bytes, genesis)?;
        Ok((begin.head, Self { genesis, digest: begin.digest, state }))
    }

    /// The digest over all outcomes so far: nodes that applied the same have the same.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// SHA-256 of the pinned genesis frame.
    #[must_use]
    pub const fn genesis(&self) -> Digest {
        self.genesis
    }

    /// Replicated time; 0 before genesis.
    #[must_use]
    pub fn time(&self) -> UnixTime {
        self.state.federation.map_or(UnixTime::default(), |federation| federation.time)
    }

    /// The feature level in force; 0 before genesis.
    #[must_use]
    pub fn level(&self) -> u16 {
        self.state.federation.map_or(0, |federation| federation.level)
    }

    /// Which ledger signatures are for, once there is a genesis.
    #[must_use]
    pub fn id(&self) -> Option<LedgerId> {
        self.state.federation.map(|federation| federation.id())
    }

    /// SHA-256 of the federation's name, once there is a genesis.
    #[must_use]
    pub fn name(&self) -> Option<Digest> {
        self.state.federation.map(|federation| federation.name)
    }

    /// The law in force; before genesis, one that is none.
    #[must_use]
    pub fn law(&self) -> LawVersion {
        let none = LawVersion { digest: Fixed([0; 32]), version: 0 };
        self.state.federation.map_or(none, |federation| federation.law)
    }

    /// Whether a law is in force or staged by a region: a peer that goes by it is no stranger.
    #[must_use]
    pub fn is_announced(&self, law: &Digest) -> bool {
        let staged = |row: &ConfigRow| row.staged.as_ref().is_some_and(|s| s.law.digest == *law);
        self.state.federation.is_some_and(|federation| federation.law.digest == *law)
            || self.state.configs.values().any(staged)
    }

    /// A member.
    #[must_use]
    pub fn member(&self, node: NodeId) -> Option<&MemberRow> {
        self.state.members.get(&node)
    }

    /// All members.
    pub fn members(&self) -> impl Iterator<Item = (NodeId, &MemberRow)> {
        self.state.members.iter().map(|(node, row)| (*node, row))
    }

    /// Whether the id was a member's that has left.
    #[must_use]
    pub fn is_tombstone(&self, node: NodeId) -> bool {
        self.state.tombstones.contains_key(&node)
    }

    /// A region.
    #[must_use]
    pub fn region(&self, region: RegionNumber) -> Option<&RegionRow> {
        self.state.regions.get(&region)
    }

    /// All regions.
    pub fn regions(&self) -> impl Iterator<Item = (RegionNumber, &RegionRow)> {
        self.state.regions.iter().map(|(number, row)| (*number, row))
    }

    /// Whether the region serves, was not revoked, and has a node.
    #[must_use]
    pub fn is_active(&self, region: RegionNumber) -> bool {
        self.state.is_active(region)
    }

    /// A key, in whatever state it is.
    #[must_use]
    pub fn key(&self, region: RegionNumber, kid: KeyThumbprint) -> Option<&KeyRow> {
        self.state.keys.get(&(region, kid))
    }

    /// The keys of a region under which something may verify at `now`: not revoked, nor of a region
    /// that was, nor past their end.
    pub fn verifying_keys(
        &self,
        region: RegionNumber,
        now: UnixTime,
    ) -> impl Iterator<Item = (KeyThumbprint, &KeyRow)> {
        let trusted = self.region(region).is_some_and(|row| !row.revoked);
        let range = (region, Fixed([0; 32]))..=(region, Fixed([0xff; 32]));
        let keys = self.state.keys.range(range).map(|((_, kid), row)| (*kid, row));
        keys.filter(move |(_, row)| trusted && row.verifies(now))
    }

    /// One of [`Self::verifying_keys`].
    #[must_use]
    pub fn verifying_key(
        &self,
        region: RegionNumber,
        kid: KeyThumbprint,
        now: UnixTime,
    ) -> Option<&KeyRow> {
        let row = self.key(region, kid)?;
        let trusted = self.region(region).is_some_and(|row| !row.revoked);
        (trusted && row.verifies(now)).then_some(row)
    }

    /// What is anchored of a log.
    #[must_use]
    pub fn log(&self, log: LogName) -> Option<&LogRow> {
        self.state.logs.get(&log).map(|row| &**row)
    }

    /// What a region has announced.
    #[must_use]
    pub fn config(&self, region: RegionNumber) -> Option<&ConfigRow> {
        self.state.configs.get(&region)
    }

    /// What was revoked of a region; shared, so that a view can hold it.
    #[must_use]
    pub fn revocations(&self, owner: RegionNumber) -> Option<&Arc<Owner>> {
        self.state.revocations.get(&owner)
    }

    /// What was revoked of all regions, shared.
    #[must_use]
    pub fn revoked(&self) -> Revoked {
        Revoked {
            regions: Arc::clone(&self.state.regions),
            owners: Arc::clone(&self.state.revocations),
        }
    }
}

enum Judged {
    /// Nothing of it is believed.
    Refused(Objection),
    /// It had taken effect before.
    Duplicate,
    /// It is a member's, and tells this time.
    Admitted(UnixTime, Result<Verdict, Objection>),
}
