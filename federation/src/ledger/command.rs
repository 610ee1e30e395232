//! What regions can agree on: a closed set of commands of fixed-width values.
//!
//! The order of variants and fields is the format; it is never changed, and what is added is added
//! at the end, under a new kind or behind a higher feature level.

use serde::{Deserialize, Serialize};

use super::{
    Digest, Fixed, IdentityKey, KeyPurpose, KeyThumbprint, Kind, LedgerKey, List, Signature,
};
use crate::{
    membership::{ClusterId, LevelRange, NodeId, NodeTicket},
    region::RegionNumber,
    replicable,
    revocation::ListId,
    time::UnixTime,
};

/// Most regions of a federation: two-region rules, medians and status stay readable up to here.
pub const REGIONS_MAX: usize = 64;
/// Most founders of a federation.
pub const FOUNDERS_MAX: usize = 32;
/// Most regions that may stand in for one.
pub const STAND_INS_MAX: usize = 4;
/// Most hashes of a consistency proof (RFC 6962 section 2.1.2 for a tree of 2^63 leaves).
pub const PROOF_HASHES_MAX: usize = 64;
/// Most cosignatures in one command.
pub const COSIGNATURES_MAX: usize = 64;

replicable! {
    /// The first entry: who founds the federation, under which law.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Genesis {
        /// Random; names the federation in every signature.
        pub cluster: ClusterId,
        /// 0 at first; one more after each recovery from survivors.
        pub epoch: u32,
        /// Feature level that the ledger starts at.
        pub level: u16,
        /// Digest and version of `federation.toml`.
        pub law: LawVersion,
        /// Its regions.
        pub regions: List<RegionEntry, REGIONS_MAX>,
        /// The founders; every one of them becomes a voter.
        pub founders: List<NodeTicket, FOUNDERS_MAX>,
    }
}

replicable! {
    /// A version of a configuration file.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    pub struct LawVersion {
        /// SHA-256 over it.
        pub digest: Digest,
        /// Its version, counted upwards by whoever writes it.
        pub version: u64,
    }
}

replicable! {
    /// A region as the ledger knows it.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct RegionEntry {
        /// Its number.
        pub region: RegionNumber,
        /// Its identity key, pinned in `federation.toml`.
        pub identity: IdentityKey,
        /// Regions that may stand in for it.
        pub stand_ins: List<RegionNumber, STAND_INS_MAX>,
        /// Whether it cosigns checkpoints of others.
        pub witness: bool,
    }
}

replicable! {
    /// Revokes one thing.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    pub struct Revoke {
        /// The region whose thing it is.
        pub owner: RegionNumber,
        /// The thing.
        pub target: Target,
        /// How.
        pub mode: Mode,
        /// When the revocation has no effect any more, because what it covers has expired.
        pub expires_at: UnixTime,
    }
}

replicable! {
    /// What is revoked.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    pub enum Target {
        /// One token.
        Status(StatusTarget),
        /// One login session, by a digest made for one reader.
        Session(Fixed<16>),
        /// One person, by a digest made for one reader.
        Subject(Fixed<16>),
        /// A client of the owner, by its number there.
        Client(u32),
        /// A transfer rule of the owner, by its number there.
        TransferRule(u32),
        /// Every token of a list.
        List(ListId),
    }
}

replicable! {
    /// A token's place.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    pub struct StatusTarget {
        /// The list.
        pub list: ListId,
        /// The index in it.
        pub index: u32,
    }
}

replicable! {
    /// How a target is revoked.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    pub enum Mode {
        /// What was issued before this entry is dead.
        Cutoff,
        /// As a cut-off, and nothing is issued until it is lifted or expires.
        Block,
        /// A block ends. What was issued before this entry stays dead.
        Lift,
    }
}

replicable! {
    /// Tells the time of a region that has nothing else to propose.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Tick {}
}

replicable! {
    /// Publishes a key of the proposing region, before anything is signed with it.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct PublishKey {
        /// What it is for.
        pub purpose: KeyPurpose,
        /// The key.
        pub key: LedgerKey,
        /// SHA-256 of its RFC 7638 thumbprint input.
        pub kid: KeyThumbprint,
    }
}

replicable! {
    /// A node publishes a key in its own key set and judges with it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct AcknowledgeKey {
        /// Whose key.
        pub region: RegionNumber,
        /// Which.
        pub kid: KeyThumbprint,
        /// The node; one of the proposing region's.
        pub node: NodeId,
    }
}

replicable! {
    /// A published key begins to sign.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct ActivateKey {
        /// Which of the proposing region's.
        pub kid: KeyThumbprint,
    }
}

replicable! {
    /// A key has signed for the last time and is forgotten when what it signed has expired.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct RetireKey {
        /// Which of the proposing region's.
        pub kid: KeyThumbprint,
        /// Until when it verifies.
        pub verifies_until: UnixTime,
    }
}

replicable! {
    /// A key verifies nothing any more, at once.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    pub struct RevokeKey {
        /// Whose.
        pub region: RegionNumber,
        /// Which.
        pub kid: KeyThumbprint,
    }
}

replicable! {
    /// An append-only log: one of a node.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    pub struct LogName {
        /// The region that keeps it.
        pub region: RegionNumber,
        /// Its number there.
        pub log: u64,
    }
}

replicable! {
    /// The size and root of a tree (RFC 6962).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    pub struct TreeHead {
        /// Leaves.
        pub size: u64,
        /// Root hash.
        pub root: Digest,
    }
}

replicable! {
    /// Makes a checkpoint of an audit log of the proposing region known to all.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct AnchorCheckpoint {
        /// Number of the log in the proposing region.
        pub log: u64,
        /// The tree.
        pub head: TreeHead,
        /// The audit key that signed the checkpoint.
        pub kid: KeyThumbprint,
        /// Its signature over the note body (C2SP tlog-checkpoint).
        pub signature: Signature,
        /// Consistency with the last anchored checkpoint of this log; empty for the first.
        pub proof: List<Digest, PROOF_HASHES_MAX>,
    }
}

replicable! {
    /// A witness has seen checkpoints and found them consistent.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Cosign {
        /// The audit key of the proposing region that signs.
        pub kid: KeyThumbprint,
        /// What it has seen.
        pub cosignatures: List<Cosignature, COSIGNATURES_MAX>,
    }
}

replicable! {
    /// A cosignature (C2SP tlog-cosignature, `cosignature/v1`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Cosignature {
        /// The log.
        pub log: LogName,
        /// The tree.
        pub head: TreeHead,
        /// When it was seen.
        pub at: UnixTime,
        /// The signature.
        pub signature: Signature,
    }
}

replicable! {
    /// A region has staged a configuration and could go by it.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct AnnounceConfig {
        /// Digest and version.
        pub law: LawVersion,
        /// Which file it is.
        pub scope: ConfigScope,
        /// Feature levels that the region's nodes know.
        pub levels: LevelRange,
    }
}

replicable! {
    /// Which file an announcement is of.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum ConfigScope {
        /// The region's own; it is in force at once, and everybody sees which.
        Region,
        /// `federation.toml`, with the regions that it names.
        Federation(List<RegionEntry, REGIONS_MAX>),
    }
}

replicable! {
    /// The federation's law changes at this entry, once all active regions have staged it and two
    /// have asked for it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    pub struct ActivateConfig {
        /// The announced version.
        pub law: LawVersion,
    }
}

replicable! {
    /// Changes the state of a region.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    pub struct SetRegionState {
        /// Which.
        pub region: RegionNumber,
        /// To what.
        pub state: RegionState,
        /// Who serves its people meanwhile: one of its declared stand-ins.
        pub stand_in: Option<RegionNumber>,
    }
}

replicable! {
    /// How a region is.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    pub enum RegionState {
        /// It serves.
        Active,
        /// It issues nothing new and is about to go.
        Draining,
        /// It is gone; a stand-in may serve its people.
        Evacuated,
    }
}

replicable! {
    /// Everything that a region issued before this entry is dead.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    pub struct RevokeRegion {
        /// Which.
        pub region: RegionNumber,
    }
}

replicable! {
    /// A node becomes a member.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Join {
        /// Signed by its region's identity key.
        pub ticket: NodeTicket,
    }
}

replicable! {
    /// A node is a member no more, and never again under this id.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    pub struct Leave {
        /// Which.
        pub node: NodeId,
    }
}

replicable! {
    /// The ledger goes by the rules of a higher feature level from this entry on.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct RaiseLevel {
        /// The level.
        pub level: u16,
    }
}

replicable! {
    /// One command.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum Command {
        /// See [`Genesis`].
        Genesis(Genesis),
        /// See [`Revoke`].
        Revoke(Revoke),
        /// See [`Tick`].
        Tick(Tick),
        /// See [`PublishKey`].
        PublishKey(PublishKey),
        /// See [`AcknowledgeKey`].
        AcknowledgeKey(AcknowledgeKey),
        /// See [`ActivateKey`].
        ActivateKey(ActivateKey),
        /// See [`RetireKey`].
        RetireKey(RetireKey),
        /// See [`RevokeKey`].
        RevokeKey(RevokeKey),
        /// See [`AnchorCheckpoint`].
        AnchorCheckpoint(AnchorCheckpoint),
        /// See [`Cosign`].
        Cosign(Cosign),
        /// See [`AnnounceConfig`].
        AnnounceConfig(AnnounceConfig),
        /// See [`ActivateConfig`].
        ActivateConfig(ActivateConfig),
        /// See [`SetRegionState`].
        SetRegionState(SetRegionState),
        /// See [`RevokeRegion`].
        RevokeRegion(RevokeRegion),
        /// See [`Join`].
        Join(Join),
        /// See [`Leave`].
        Leave(Leave),
        /// See [`RaiseLevel`].
        RaiseLevel(RaiseLevel),
    }
}

impl Command {
    /// The kind under which it is framed.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Genesis(_) => Kind::Genesis,
            Self::Revoke(_) => Kind::Revoke,
            Self::Tick(_) => Kind::Tick,
            Self::PublishKey(_) => Kind::PublishKey,
            Self::AcknowledgeKey(_) => Kind::AcknowledgeKey,
            Self::ActivateKey(_) => Kind::ActivateKey,
            Self::RetireKey(_) => Kind::RetireKey,
            Self::RevokeKey(_) => Kind::RevokeKey,
            Self::AnchorCheckpoint(_) => Kind::AnchorCheckpoint,
            Self::Cosign(_) => Kind::Cosign,
            Self::AnnounceConfig(_) => Kind::AnnounceConfig,
            Self::ActivateConfig(_) => Kind::ActivateConfig,
            Self::SetRegionState(_) => Kind::SetRegionState,
            Self::RevokeRegion(_) => Kind::RevokeRegion,
            Self::Join(_) => Kind::Join,
            Self::Leave(_) => Kind::Leave,
            Self::RaiseLevel(_) => Kind::RaiseLevel,
        }
    }

    /// Whether the region's identity key signs it. A revocation and the time are believed to the
    /// peer that brings them; everything else needs the signature, whoever leads.
    #[must_use]
    pub const fn is_signed(&self) -> bool {
        !matches!(self, Self::Revoke(_) | Self::Tick(_))
    }
}
