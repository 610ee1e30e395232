//! What a node owes the ledger without being asked: its region's keys published before they sign,
//! others' keys acknowledged once it judges with them, its configuration announced.
//!
//! It looks at the ledger as it is and says what is missing, so that asking again after any failure
//! is right, and what was proposed by another node of the region is not proposed again.

use super::{
    AcknowledgeKey, ActivateKey, AnnounceConfig, Bearer, Command, ConfigScope, Digest, KeyPurpose,
    KeyThumbprint, LawVersion, Ledger, LedgerKey, PublishKey,
    rules::may_sign,
    state::{KeyRow, KeyState},
};
use crate::{
    jose::{PublicKey, from_base64url},
    ledger::Fixed,
    membership::LevelRange,
    region::RegionNumber,
    time::UnixTime,
};

/// A key that a region signs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnKey {
    /// What it is for.
    pub purpose: KeyPurpose,
    /// The key.
    pub key: LedgerKey,
    /// Its thumbprint.
    pub kid: KeyThumbprint,
}

/// What a node says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Own<'a> {
    /// The node.
    pub bearer: Bearer,
    /// The keys that its region signs with.
    pub keys: &'a [OwnKey],
    /// Digest of its region's configuration; `None` once it was announced since the node started, so
    /// that two nodes of a region with different files do not announce against each other for ever.
    pub configuration: Option<Digest>,
    /// Feature levels that it knows.
    pub levels: LevelRange,
    /// What its clock says: the version of a configuration that it announces.
    pub now: UnixTime,
}

impl OwnKey {
    /// The key of a key store; `None` for one that the ledger cannot hold.
    #[must_use]
    pub fn new(purpose: KeyPurpose, key: &PublicKey) -> Option<Self> {
        let kid = from_base64url(key.thumbprint().as_str())?.try_into().ok()?;
        Some(Self { purpose, key: LedgerKey::from_public(key)?, kid: Fixed(kid) })
    }
}

impl Ledger {
    /// What the node owes now; nothing before the genesis. Each command may be proposed by itself.
    #[must_use]
    pub fn due(&self, own: &Own<'_>) -> Vec<Command> {
        if self.id().is_none() {
            return Vec::new();
        }
        let region = own.bearer.region;
        let unpublished = own.keys.iter().filter(|own| self.key(region, own.kid).is_none());
        let publish = unpublished.map(|OwnKey { purpose, key, kid }| {
            Command::PublishKey(PublishKey { purpose: *purpose, key: key.clone(), kid: *kid })
        });
        let published =
            || self.state.keys.iter().filter(|(_, row)| row.state == KeyState::Published);
        let unknown = published().filter(|(_, row)| !has(row, own.bearer));
        let acknowledge = unknown.map(|((region, kid), _)| {
            let node = own.bearer.node;
            Command::AcknowledgeKey(AcknowledgeKey { region: *region, kid: *kid, node })
        });
        let ready =
            |region: RegionNumber, row: &KeyRow| may_sign(&self.state, (region, row), self.time());
        let activate = published()
            .filter(|((of, kid), row)| {
                *of == region && own.keys.iter().any(|own| own.kid == *kid) && ready(region, row)
            })
            .map(|((_, kid), _)| Command::ActivateKey(ActivateKey { kid: *kid }));
        publish.chain(acknowledge).chain(activate).chain(self.announcement(own)).collect()
    }

    fn announcement(&self, own: &Own<'_>) -> Option<Command> {
        let digest = own.configuration?;
        let before = self.config(own.bearer.region).and_then(|row| row.own);
        if before.is_some_and(|before| before.digest == digest) {
            return None;
        }
        let least = before.map_or(1, |before| before.version.saturating_add(1));
        let law = LawVersion { digest, version: own.now.seconds().max(least) };
        let (scope, levels) = (ConfigScope::Region, own.levels);
        Some(Command::AnnounceConfig(AnnounceConfig { law, scope, levels }))
    }
}

fn has(row: &KeyRow, bearer: Bearer) -> bool {
    row.acknowledged.items().contains(&bearer.node)
}
