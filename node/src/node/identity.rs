//! Builds who the node is from the settings: its directory, its anchors, the region's identity key.

use std::sync::Arc;

use exequatur_federation::{
    config::{Cluster, FederationSettings},
    jose::Algorithm,
    ledger::IdentityKey,
    membership::{LEVELS, NodeDescription, NodeTicket},
    region::{RegionId, RegionNumber},
};

use super::{Configured, IDENTITY_ALGORITHM, Seams, StartError, open_key_store, resolve};
use crate::{
    entropy::EntropyError,
    hsm::{KeyStore, Purpose, Signer},
    identity::{
        AnchorError, AnchorStore, Anchors, Change, ClusterDirectory, Contents, DirectoryError,
        DirectoryFacts, FileAnchor, IdentitySignError, NodeIdentity, Pin, Rejoin, SlotAnchor,
        StartRefused, build, draw_node_id, federation_digest, make_ticket,
    },
};

/// The part of a configuration that makes a region a member of a federation.
pub struct Membership<'c> {
    configured: &'c Configured,
    cluster: &'c Cluster,
    /// The region's number in the ledger.
    pub number: RegionNumber,
}

/// Who the node is, with what it needs to change that.
pub struct OpenIdentity {
    /// Its directory.
    pub directory: ClusterDirectory,
    /// Its key and ticket.
    pub node: NodeIdentity,
    /// Where it is remembered.
    pub anchors: Anchors,
    /// The region's identity key.
    pub region: Arc<dyn Signer>,
    /// The federation that it has pinned.
    pub pin: Option<Pin>,
}

/// What `init` made or found.
#[derive(Clone, Debug)]
pub struct MadeIdentity {
    /// The node's ticket.
    pub ticket: NodeTicket,
    /// The region's identity.
    pub region: IdentityKey,
    /// Whether the node was made just now.
    pub made: bool,
    /// Whether it has pinned a federation.
    pub pinned: bool,
}

/// Why a node has no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// An anchor cannot be read or written.
    #[error(transparent)]
    Anchor(#[from] AnchorError),
    /// The directory cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// federation.toml has another identity for the region.
    #[error(
        "federation.toml has the identity {pinned} for `{region}`, but the key store has {ours}: \
         restore the key store, or change the law in every region"
    )]
    OtherRegionKey {
        /// The region.
        region: RegionId,
        /// The one of federation.toml.
        pinned: IdentityKey,
        /// The one of the key store.
        ours: IdentityKey,
    },
    /// The region takes part in no federation.
    #[error(
        "the region file has no `[cluster]`: a region alone has no ledger; `exequatur config explain \
         cluster` says what to write"
    )]
    NoCluster,
    /// The key store does not open, or lacks the key.
    #[error(transparent)]
    KeyStore(Box<StartError>),
    /// The directory and its anchor do not fit.
    #[error(transparent)]
    Refused(#[from] StartRefused),
    /// The region's key did not sign.
    #[error("the region's identity key did not sign the node's ticket")]
    Sign(#[from] IdentitySignError),
    /// The ticket is that of another region or federation.
    #[error(
        "the node in `cluster.directory` was made for another region or federation: put the \
         node's own directory back, or name another one"
    )]
    OtherMembership,
}

impl<'c> Membership<'c> {
    /// The part of this configuration.
    ///
    /// # Errors
    /// It has none.
    pub fn of(configured: &'c Configured) -> Result<Self, IdentityError> {
        let compiled = &configured.compiled;
        let cluster = compiled.settings.cluster.as_ref();
        let known = compiled.federation.regions.get(&compiled.law.region);
        let number = known.and_then(|region| region.number);
        let (Some(cluster), Some(number)) = (cluster, number) else {
            return Err(IdentityError::NoCluster);
        };
        Ok(Self { configured, cluster, number })
    }

    /// What all regions share.
    #[must_use]
    pub const fn federation(&self) -> &'c FederationSettings {
        &self.configured.compiled.federation
    }

    fn directory(&self) -> ClusterDirectory {
        ClusterDirectory::new(resolve(&self.configured.directory, &self.cluster.directory))
    }

    fn file_anchor(&self, directory: &ClusterDirectory) -> Result<FileAnchor, AnchorError> {
        FileAnchor::new(resolve(&self.configured.directory, &self.cluster.anchor), directory.path())
    }

    /// Every place that keeps the node's anchor.
    fn anchors(
        &self,
        directory: &ClusterDirectory,
        node: &NodeIdentity,
        keys: &dyn KeyStore,
    ) -> Result<Anchors, AnchorError> {
        let mut stores: Vec<Box<dyn AnchorStore>> = vec![Box::new(self.file_anchor(directory)?)];
        if let Some(records) = keys.records() {
            let id = node.ticket.description.node;
            stores.push(Box::new(SlotAnchor::new(records, id)));
        }
        Ok(Anchors::new(stores))
    }

    /// The region's identity key, which must be the one that `federation.toml` pins, if it pins one.
    fn region_key(
        &self,
        keys: &dyn KeyStore,
    ) -> Result<(Arc<dyn Signer>, IdentityKey), IdentityError> {
        let algorithm: Algorithm = IDENTITY_ALGORITHM;
        let (purpose, missing) = (Purpose::Identity, algorithm.as_str());
        let found = keys.find(purpose, algorithm).map_err(StartError::from);
        let missing = StartError::KeyMissing { purpose, algorithm: missing };
        let signer = found.and_then(|signer| signer.ok_or(missing));
        let signer = signer.map_err(|error| IdentityError::KeyStore(Box::new(error)))?;
        let ours = IdentityKey::from_public(signer.public_key()).ok_or(IdentitySignError::Kind)?;
        let region = self.configured.compiled.law.region.clone();
        let known = self.federation().regions.get(&region);
        match known.and_then(|known| known.identity).filter(|pinned| *pinned != ours) {
            Some(pinned) => Err(IdentityError::OtherRegionKey { region, pinned, ours }),
            None => Ok((signer, ours)),
        }
    }

    fn keys(&self, seams: &Seams) -> Result<Arc<dyn KeyStore>, IdentityError> {
        let compiled = &self.configured.compiled;
        let (region, settings) = (&compiled.law.region, &compiled.settings);
        open_key_store(region, settings, &self.configured.directory, seams)
            .map_err(|error| IdentityError::KeyStore(Box::new(error)))
    }

    fn is_own(&self, description: &NodeDescription) -> bool {
        let federation = federation_digest(&self.federation().name);
        (description.federation, description.region) == (federation, self.number)
    }
}

/// Makes the node, if there is none: its directory with key and ticket, then its anchor. The region's
/// identity key must be in the key store.
///
/// # Errors
/// Something cannot be made, or was lost.
pub async fn initialise_identity(
    membership: &Membership<'_>,
    seams: &Seams,
) -> Result<MadeIdentity, IdentityError> {
    let keys = membership.keys(seams)?;
    let (signer, region) = membership.region_key(keys.as_ref())?;
    let directory = membership.directory();
    let made = match directory.contents()? {
        Contents::Node => false,
        Contents::Missing | Contents::Empty => {
            refuse_wiped(membership, &directory)?;
            let key = directory.make_key()?;
            // The directory is there now, so that links into it show: nothing was drawn yet.
            membership.file_anchor(&directory)?;
            let description = NodeDescription {
                federation: federation_digest(&membership.federation().name),
                region: membership.number,
                node: draw_node_id(seams.entropy.as_ref())?,
                key: key.public(),
                levels: LEVELS,
                build: build(),
            };
            directory.write_ticket(&make_ticket(signer.as_ref(), description).await?)?;
            true
        }
    };
    let node = directory.open()?;
    if !membership.is_own(&node.ticket.description) {
        return Err(IdentityError::OtherMembership);
    }
    let anchors = membership.anchors(&directory, &node, keys.as_ref())?;
    let (missing, pinned) = (anchors.missing()?, directory.pin()?.is_some());
    if !missing.is_empty() {
        // Nothing that was pinned is trusted without the anchor; before that, there is nothing that
        // a rollback could make the node forget.
        let id = node.ticket.description.node;
        if pinned {
            let place = missing.iter().map(|store| store.place()).collect::<Vec<_>>().join(", ");
            let rejoin = Rejoin::AnchorMissing { node: id };
            return Err(StartRefused::Rejoin { place, rejoin }.into());
        }
        anchors.remember(&new_facts(&node, None), Change::Promise)?;
    }
    Ok(MadeIdentity { ticket: node.ticket, region, made, pinned })
}

/// Who the node is.
///
/// # Errors
/// `init` has not made it, or something was lost.
pub fn open_identity(
    membership: &Membership<'_>,
    seams: &Seams,
) -> Result<OpenIdentity, IdentityError> {
    open_identity_with(membership, membership.keys(seams)?.as_ref())
}

/// As [`open_identity`], with a key store that is open.
pub(super) fn open_identity_with(
    membership: &Membership<'_>,
    keys: &dyn KeyStore,
) -> Result<OpenIdentity, IdentityError> {
    let (region, _) = membership.region_key(keys)?;
    let directory = membership.directory();
    if directory.contents()? != Contents::Node {
        // What was there before says more than that it is not there.
        refuse_wiped(membership, &directory)?;
    }
    let node = directory.open()?;
    if !membership.is_own(&node.ticket.description) {
        return Err(IdentityError::OtherMembership);
    }
    let anchors = membership.anchors(&directory, &node, keys)?;
    let pin = directory.pin()?;
    Ok(OpenIdentity { directory, node, anchors, region, pin })
}

impl OpenIdentity {
    /// Describes the node as it is now, with this build and its levels.
    #[must_use]
    pub fn description(&self) -> NodeDescription {
        NodeDescription { levels: LEVELS, build: build(), ..self.node.ticket.description }
    }

    /// The facts of a directory in which the node never started, for the anchor.
    #[must_use]
    pub fn unstarted(&self, pin: Option<Pin>) -> DirectoryFacts {
        new_facts(&self.node, pin)
    }
}

/// Refuses to make a node in the place of one that the anchor still remembers.
fn refuse_wiped(
    membership: &Membership<'_>,
    directory: &ClusterDirectory,
) -> Result<(), IdentityError> {
    let anchor = membership.file_anchor(directory)?;
    match anchor.read()? {
        None => Ok(()),
        Some(remembered) => {
            let (place, node) = (anchor.place(), remembered.node);
            Err(StartRefused::Rejoin { place, rejoin: Rejoin::DirectoryMissing { node } }.into())
        }
    }
}

fn new_facts(node: &NodeIdentity, pin: Option<Pin>) -> DirectoryFacts {
    DirectoryFacts {
        node: node.ticket.description.node,
        starts: 0,
        genesis: pin.map(|pin| pin.genesis),
        vote: None,
        last: None,
    }
}
