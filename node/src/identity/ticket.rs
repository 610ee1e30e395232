//! Tickets: a region vouches for a node. Making one needs the region's identity key; checking one
//! needs only `federation.toml`.

use std::path::{Path, PathBuf};

use exequatur_federation::{
    config::FederationSettings,
    jose::sha256,
    ledger::{Digest, EnvelopeError, Fixed, IdentityKey, Signature, with_low_s},
    membership::{Build, NodeDescription, NodeId, NodeTicket},
    region::{RegionId, RegionNumber},
};

use crate::hsm::{SignError, Signer};

/// Largest document that is read: a genesis with every founder stays under this.
const DOCUMENT_BYTES_MAX: u64 = 32 * 1024;

/// Why the region's identity key did not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentitySignError {
    /// The key store did not.
    #[error(transparent)]
    KeyStore(#[from] SignError),
    /// It is no key of the kind.
    #[error("the region's identity key is of a kind that the ledger does not know")]
    Kind,
}

/// Why a ticket does not vouch for a node of this federation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// The file is no ticket.
    #[error("it is no node ticket: {fault}")]
    Malformed {
        /// What is wrong with it.
        fault: EnvelopeError,
    },
    /// Another federation's.
    #[error("node {node} is one of another federation than `{federation}`")]
    OtherFederation {
        /// The node.
        node: NodeId,
        /// This federation.
        federation: String,
    },
    /// Its region is not pinned.
    #[error(
        "node {node} is one of region {region}, which has no `identity` in federation.toml: add what \
         `exequatur init` prints there"
    )]
    RegionNotPinned {
        /// The node.
        node: NodeId,
        /// The number of its region.
        region: RegionNumber,
    },
    /// Another key signed it.
    #[error(
        "the ticket of node {node} is not signed by the identity key that federation.toml has for \
         `{region}`: make it anew there with `exequatur cluster ticket`, or correct `identity`"
    )]
    Signature {
        /// The node.
        node: NodeId,
        /// Its region.
        region: RegionId,
    },
    /// federation.toml does not have it.
    #[error("node {node} does not stand in federation.toml under region `{region}`")]
    NotListed {
        /// The node.
        node: NodeId,
        /// Its region.
        region: RegionId,
    },
}

/// A document that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("`{}` cannot be read: {reason}", path.display())]
pub struct ReadError {
    path: PathBuf,
    reason: String,
}

/// Reads a ticket, an invite or a genesis that somebody handed over.
///
/// # Errors
/// It cannot be read, or is too large to be one.
pub fn read_document(path: &Path) -> Result<Vec<u8>, ReadError> {
    let failed = |reason: String| ReadError { path: path.to_owned(), reason };
    let size = std::fs::metadata(path).map_err(|e| failed(e.to_string()))?.len();
    if size > DOCUMENT_BYTES_MAX {
        return Err(failed(format!("it is larger than {DOCUMENT_BYTES_MAX} bytes")));
    }
    std::fs::read(path).map_err(|e| failed(e.to_string()))
}

/// What tickets call a federation: SHA-256 of its name.
#[must_use]
pub fn federation_digest(name: &str) -> Digest {
    Fixed(sha256(name.as_bytes()))
}

/// This program's build.
#[must_use]
pub fn build() -> Build {
    let part = |text: &str| text.parse().unwrap_or(u16::MAX);
    Build {
        major: part(env!("CARGO_PKG_VERSION_MAJOR")),
        minor: part(env!("CARGO_PKG_VERSION_MINOR")),
        patch: part(env!("CARGO_PKG_VERSION_PATCH")),
    }
}

/// A signature of the region's identity key, with the key, in the forms that the ledger takes.
///
/// # Errors
/// The key store did not sign.
pub async fn sign_as_region(
    signer: &dyn Signer,
    message: &[u8],
) -> Result<Signature, IdentitySignError> {
    let key = IdentityKey::from_public(signer.public_key()).ok_or(IdentitySignError::Kind)?;
    let signature = signer.sign(message).await?;
    let signature: [u8; 64] =
        signature.as_slice().try_into().map_err(|_| IdentitySignError::Kind)?;
    Ok(match key {
        IdentityKey::P256(_) => with_low_s(&Fixed(signature)),
        IdentityKey::Ed25519(_) => Fixed(signature),
    })
}

/// Makes a ticket.
///
/// # Errors
/// The key store did not sign.
pub async fn make_ticket(
    signer: &dyn Signer,
    description: NodeDescription,
) -> Result<NodeTicket, IdentitySignError> {
    let signature = sign_as_region(signer, &description.signing_bytes()).await?;
    Ok(NodeTicket { description, signature })
}

/// Whether a ticket vouches for a node that `federation.toml` has.
///
/// # Errors
/// See [`TicketError`].
pub fn check_ticket(ticket: &NodeTicket, settings: &FederationSettings) -> Result<(), TicketError> {
    let NodeDescription { federation, region, node, .. } = ticket.description;
    if federation != federation_digest(&settings.name) {
        return Err(TicketError::OtherFederation { node, federation: settings.name.clone() });
    }
    let pinned = settings.region(region).and_then(|(name, known)| Some((name, known.identity?)));
    let (name, identity) = pinned.ok_or(TicketError::RegionNotPinned { node, region })?;
    if !ticket.verify(&identity) {
        return Err(TicketError::Signature { node, region: name.clone() });
    }
    if settings.node(node).is_none_or(|(listed, _, _)| listed != name) {
        return Err(TicketError::NotListed { node, region: name.clone() });
    }
    Ok(())
}
