//! The rows of all tables but revocations.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Lix;
use crate::{
    ledger::{
        ActivateConfig, Digest, IdentityKey, KeyPurpose, KeyThumbprint, LawVersion, Leave,
        LedgerId, LedgerKey, List, REGIONS_MAX, RegionEntry, RegionState, RevokeKey, RevokeRegion,
        SetRegionState, Signature, TreeHead,
    },
    membership::{Build, ClusterId, LevelRange},
    region::RegionNumber,
    replicable,
    time::UnixTime,
};

/// Anchored heads of a log that can still be cosigned: witnesses cosign every 10 s what a sealer
/// anchors every 2 s, so that a cosignature arrives some heads late.
pub const HEADS_KEPT_MAX: usize = 16;

replicable! {
    /// What there is once.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct FederationRow {
        /// The federation.
        pub cluster: ClusterId,
        /// Its epoch.
        pub epoch: u32,
        /// SHA-256 of its name, as all tickets say.
        pub name: Digest,
        /// Feature level in force.
        pub level: u16,
        /// The law in force.
        pub law: LawVersion,
        /// Time of genesis.
        pub founded_at: UnixTime,
        /// Replicated time.
        pub time: UnixTime,
        /// Minute of replicated time up to which was purged.
        pub purged: u64,
    }
}

replicable! {
    /// A region.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct RegionRow {
        /// As the law names it.
        pub entry: RegionEntry,
        /// Whether it serves.
        pub state: RegionState,
        /// Who serves its people meanwhile.
        pub stand_in: Option<RegionNumber>,
        /// Every token of it with a smaller `lix` is dead.
        pub cutoff: Option<Lix>,
        /// Two other regions revoked it: it proposes nothing, and its keys verify nothing, until a
        /// law gives it another identity key.
        pub revoked: bool,
        /// The latest time that it proposed.
        pub latest: UnixTime,
        /// What it has revoked of other regions.
        pub quota: Quota,
    }
}

replicable! {
    /// Revocations of other regions' tokens within an hour of replicated time.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Quota {
        /// The hour, counted from the epoch of Unix time.
        pub hour: u64,
        /// How many.
        pub used: u32,
    }
}

replicable! {
    /// A member.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct MemberRow {
        /// Its region.
        pub region: RegionNumber,
        /// Its identity key.
        pub key: IdentityKey,
        /// Feature levels that it knows.
        pub levels: LevelRange,
        /// Its build when its ticket was made.
        pub build: Build,
    }
}

replicable! {
    /// Which of a node's signed proposals were judged: the highest serial and the 63 before it.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Window {
        /// The highest serial.
        pub highest: u64,
        /// Bit n: serial `highest - n` was judged.
        pub judged: u64,
        /// Bit n: it was not refused.
        pub taken: u64,
    }
}

replicable! {
    /// A published key.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct KeyRow {
        /// What it is for.
        pub purpose: KeyPurpose,
        /// The key.
        pub key: LedgerKey,
        /// How far it is.
        pub state: KeyState,
        /// Since when it is published.
        pub published_at: UnixTime,
        /// Nodes that publish it and judge with it, until it is activated.
        pub acknowledged: List<crate::membership::NodeId, { crate::ledger::NODES_MAX }>,
    }
}

replicable! {
    /// How far a key is.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum KeyState {
        /// It verifies, and signs nothing yet.
        Published,
        /// It signs.
        Active,
        /// It verifies until then.
        Retired(UnixTime),
        /// It verifies nothing, since then; and it is remembered, so that it never returns.
        Revoked(UnixTime),
    }
}

replicable! {
    /// What is anchored of a log.
    #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    pub struct LogRow {
        /// The newest heads, ascending by size. The last one is the anchor.
        pub heads: List<Head, HEADS_KEPT_MAX>,
        /// The newest head that enough witnesses cosigned.
        pub settled: Option<TreeHead>,
    }
}

replicable! {
    /// An anchored head.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Head {
        /// Size and root.
        pub head: TreeHead,
        /// The audit key of the log's region that signed it.
        pub kid: KeyThumbprint,
        /// Its signature.
        pub signature: Signature,
        /// When it was anchored.
        pub anchored_at: UnixTime,
        /// Witnesses that cosigned it.
        pub cosigners: BTreeMap<RegionNumber, Cosigner>,
    }
}

replicable! {
    /// A cosignature that was verified.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Cosigner {
        /// The witness's audit key.
        pub kid: KeyThumbprint,
        /// When it saw the head, by its own clock.
        pub at: UnixTime,
        /// Its signature.
        pub signature: Signature,
    }
}

replicable! {
    /// What a region has announced.
    #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    pub struct ConfigRow {
        /// Its own configuration.
        pub own: Option<LawVersion>,
        /// The law that it could go by next.
        pub staged: Option<Staged>,
    }
}

replicable! {
    /// A law that a region has staged.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Staged {
        /// Digest and version.
        pub law: LawVersion,
        /// Its regions.
        pub regions: List<RegionEntry, REGIONS_MAX>,
    }
}

replicable! {
    /// An action that needs two regions.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    pub enum PendingAction {
        /// See [`RevokeKey`].
        RevokeKey(RevokeKey),
        /// See [`RevokeRegion`].
        RevokeRegion(RevokeRegion),
        /// See [`SetRegionState`].
        SetRegionState(SetRegionState),
        /// See [`Leave`].
        Leave(Leave),
        /// See [`ActivateConfig`].
        ActivateConfig(ActivateConfig),
    }
}

replicable! {
    /// The first region's part of a two-region action.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct PendingRow {
        /// Which region asked first.
        pub by: RegionNumber,
        /// When.
        pub at: UnixTime,
    }
}

impl FederationRow {
    /// The ledger that signatures are for.
    #[must_use]
    pub const fn id(&self) -> LedgerId {
        LedgerId { cluster: self.cluster, epoch: self.epoch }
    }
}

impl RegionRow {
    /// A region that has just come.
    #[must_use]
    pub const fn new(entry: RegionEntry, at: UnixTime) -> Self {
        Self {
            entry,
            state: RegionState::Active,
            stand_in: None,
            cutoff: None,
            revoked: false,
            latest: at,
            quota: Quota { hour: 0, used: 0 },
        }
    }

    /// Whether it serves and may speak about others.
    #[must_use]
    pub const fn serves(&self) -> bool {
        matches!(self.state, RegionState::Active) && !self.revoked
    }
}

impl KeyRow {
    /// Whether something verifies under it at `now`, if its region is trusted.
    #[must_use]
    pub fn verifies(&self, now: UnixTime) -> bool {
        match self.state {
            KeyState::Published | KeyState::Active => true,
            KeyState::Retired(until) => now <= until,
            KeyState::Revoked(_) => false,
        }
    }

    /// Whether what it signs now is accepted: it is neither retired nor revoked.
    #[must_use]
    pub const fn is_current(&self) -> bool {
        matches!(self.state, KeyState::Published | KeyState::Active)
    }
}

impl LogRow {
    /// The newest anchored head.
    #[must_use]
    pub fn anchor(&self) -> Option<&Head> {
        self.heads.items().last()
    }
}
