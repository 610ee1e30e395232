//! Invites: a region of a running federation tells a new node which federation it joins.

use exequatur_federation::{
    config::FederationSettings,
    ledger::EnvelopeError,
    membership::{Invitation, Invite, NodeId},
    region::RegionNumber,
    time::UnixTime,
};

use super::ticket::{IdentitySignError, sign_as_region};
use crate::hsm::Signer;

/// Why an invite is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InviteError {
    /// The file is no invite.
    #[error("it is no invite: {fault}")]
    Malformed {
        /// What is wrong with it.
        fault: EnvelopeError,
    },
    /// Another node's.
    #[error("it is for node {invited}, and this is node {here}")]
    OtherNode {
        /// The invited node.
        invited: NodeId,
        /// This node.
        here: NodeId,
    },
    /// It has expired.
    #[error("it expired {seconds} s ago: ask for another with `exequatur cluster invite`")]
    Expired {
        /// How long ago.
        seconds: u64,
    },
    /// The inviting region is not pinned.
    #[error("region {region} invites, but has no `identity` in federation.toml: is it the newest?")]
    RegionNotPinned {
        /// The number of the region.
        region: RegionNumber,
    },
    /// Another key signed it: it may be one of another federation.
    #[error(
        "it is not signed by the identity key that federation.toml has for region {region}: it is \
         forged, or one of another federation"
    )]
    Signature {
        /// The number of the region.
        region: RegionNumber,
    },
}

/// Makes an invite.
///
/// # Errors
/// The key store did not sign.
pub async fn make_invite(
    signer: &dyn Signer,
    invitation: Invitation,
) -> Result<Invite, IdentitySignError> {
    let signature = sign_as_region(signer, &invitation.signing_bytes()).await?;
    Ok(Invite { invitation, signature })
}

/// Reads an invite for this node.
///
/// # Errors
/// See [`InviteError`].
pub fn check_invite(
    frame: &[u8],
    settings: &FederationSettings,
    here: NodeId,
    now: UnixTime,
) -> Result<Invite, InviteError> {
    let invite = Invite::open(frame).map_err(|fault| InviteError::Malformed { fault })?;
    let Invitation { node, region, expires_at, .. } = invite.invitation;
    let pinned = settings.region(region).and_then(|(_, known)| known.identity);
    let identity = pinned.ok_or(InviteError::RegionNotPinned { region })?;
    if !invite.verify(&identity) {
        return Err(InviteError::Signature { region });
    }
    if node != here {
        return Err(InviteError::OtherNode { invited: node, here });
    }
    if expires_at <= now {
        return Err(InviteError::Expired { seconds: now.since(expires_at) });
    }
    Ok(invite)
}
