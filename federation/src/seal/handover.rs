//! How one region hands a key to another: the documents that operators carry between them.
//!
//! The region that is to read offers a public key; the region that seals draws the key, seals it to
//! the offer by HPKE (RFC 9180, base mode: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM), and
//! signs what it hands over. Each document is signed by its region's identity key, which
//! `federation.toml` pins, so it may travel by any way. Sealing and opening are done elsewhere.

use serde::{Deserialize, Serialize};

use super::KeyVersion;
use crate::{
    jose::sha256,
    ledger::{Digest, EnvelopeError, Fixed, IdentityKey, Kind, Signature, envelope},
    region::RegionNumber,
    replicable,
};

const OFFER_DOMAIN: &[u8] = b"exequatur key offer\0";
const SHARE_DOMAIN: &[u8] = b"exequatur key share\0";
const INFO_DOMAIN: &[u8] = b"exequatur border key\0";

/// A point of P-256, uncompressed (SEC 1 section 2.3.3): what HPKE has for keys.
pub type Point = Fixed<65>;

replicable! {
    /// What an offer says.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Offering {
        /// SHA-256 of the federation's name.
        pub federation: Digest,
        /// The region that offers.
        pub region: RegionNumber,
        /// Its public key.
        pub key: Point,
    }
}

replicable! {
    /// A region offers a public key to seal keys to.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct KeyOffer {
        /// What it says.
        pub offering: Offering,
        /// By the region's identity key.
        pub signature: Signature,
    }
}

replicable! {
    /// Which key goes from where to where.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Route {
        /// SHA-256 of the federation's name.
        pub federation: Digest,
        /// The region that seals with the key.
        pub source: RegionNumber,
        /// The region that opens with it.
        pub reader: RegionNumber,
        /// The key's version among those of this source and reader; not 0.
        pub version: u16,
        /// SHA-256 of the reader's public key to which it is sealed.
        pub offered: Digest,
    }
}

replicable! {
    /// What is handed over.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Handover {
        /// Which key.
        pub route: Route,
        /// The encapsulated key of HPKE.
        pub encapsulated: Point,
        /// The 32 bytes of the key, sealed, with the tag.
        pub sealed: Fixed<48>,
    }
}

replicable! {
    /// A region hands over a key.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct KeyShare {
        /// What is handed over.
        pub handover: Handover,
        /// By the identity key of the source.
        pub signature: Signature,
    }
}

macro_rules! document {
    ($name:ident, $kind:expr) => {
        impl $name {
            /// The frame.
            #[must_use]
            pub fn seal(&self) -> Vec<u8> {
                envelope::seal_value($kind, self)
            }

            /// Reads the frame.
            ///
            /// # Errors
            /// It is no frame of this kind, or not in its one form.
            pub fn open(frame: &[u8]) -> Result<Self, EnvelopeError> {
                envelope::open_value($kind, frame)
            }
        }
    };
}

document!(KeyOffer, Kind::KeyOffer);
document!(KeyShare, Kind::KeyShare);

impl Offering {
    /// What the region's identity key signs.
    #[must_use]
    pub fn signing_bytes(&self) -> Vec<u8> {
        envelope::signing_bytes(OFFER_DOMAIN, self)
    }

    /// What names the offered key in a handover.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Fixed(sha256(self.key.bytes()))
    }
}

impl KeyOffer {
    /// Whether the region's identity key signed it.
    #[must_use]
    pub fn verify(&self, identity: &IdentityKey) -> bool {
        identity.verify(&self.offering.signing_bytes(), &self.signature)
    }
}

impl Route {
    /// `info` of HPKE: a key that is sealed for one route opens on no other.
    #[must_use]
    pub fn info(&self) -> Vec<u8> {
        envelope::signing_bytes(INFO_DOMAIN, self)
    }

    /// The key's version; `None` for 0, which is none.
    #[must_use]
    pub const fn key_version(&self) -> Option<KeyVersion> {
        KeyVersion::new(self.version)
    }
}

impl Handover {
    /// What the identity key of the source signs.
    #[must_use]
    pub fn signing_bytes(&self) -> Vec<u8> {
        envelope::signing_bytes(SHARE_DOMAIN, self)
    }
}

impl KeyShare {
    /// Whether the identity key of the source signed it.
    #[must_use]
    pub fn verify(&self, identity: &IdentityKey) -> bool {
        identity.verify(&self.handover.signing_bytes(), &self.signature)
    }
}
