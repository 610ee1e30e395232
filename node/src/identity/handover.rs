//! Handing a key to another region: HPKE (RFC 9180) around the key, the identity key of the region
//! under it. What the documents say is [`exequatur_federation::seal`]'s affair.

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use exequatur_federation::{
    config::FederationSettings,
    ledger::{EnvelopeError, Fixed, IdentityKey},
    region::{RegionId, RegionNumber},
    seal::{Handover, KeyOffer, KeyShare, Offering, Point, Route},
};
use rustls::crypto::{
    aws_lc_rs::hpke::DH_KEM_P256_HKDF_SHA256_AES_256,
    hpke::{EncapsulatedSecret, Hpke, HpkePrivateKey, HpkePublicKey},
};
use zeroize::Zeroizing;

use super::{IdentitySignError, federation_digest, sign_as_region};
use crate::hsm::{Secret32, Signer};

/// The one suite: what every region's offer is for.
static SUITE: &dyn Hpke = DH_KEM_P256_HKDF_SHA256_AES_256;

/// Why a document about a key is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandoverError {
    /// The file is no such document.
    #[error("it is no {expected}: {fault}")]
    Malformed {
        /// What it should be.
        expected: &'static str,
        /// What is wrong with it.
        fault: EnvelopeError,
    },
    /// Another federation's.
    #[error("it is of another federation than `{federation}`")]
    OtherFederation {
        /// This federation.
        federation: String,
    },
    /// It comes from this region itself.
    #[error("it was made by this region: the offer of another one is due, or a key from it")]
    Own,
    /// The key is for another region.
    #[error("the key is for region {reader}, and this is region {here}")]
    OtherReader {
        /// For whom it is.
        reader: RegionNumber,
        /// This region.
        here: RegionNumber,
    },
    /// The region that made it is not pinned.
    #[error(
        "it was made by region {region}, which has no `identity` in federation.toml: add what \
         `exequatur init` prints there"
    )]
    RegionNotPinned {
        /// The number of the region.
        region: RegionNumber,
    },
    /// Another key signed it.
    #[error(
        "it is not signed by the identity key that federation.toml has for `{region}`: make it anew \
         there, or correct `identity`"
    )]
    Signature {
        /// The region.
        region: RegionId,
    },
    /// The version of the key is none.
    #[error("the key has no version")]
    NoVersion,
    /// The offered key is none.
    #[error("the offered key is no point of P-256")]
    NoPoint,
    /// It is sealed to another key than this region has.
    #[error(
        "it is sealed to another key than this region has: make an offer with `exequatur keys offer`, \
         and have the key shared with it again"
    )]
    OtherOffer,
    /// It does not open.
    #[error("it does not open: what is sealed in it was altered")]
    Unopened,
}

/// The library did not make a key or seal one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cryptographic library made no key for sealing")]
pub struct HpkeFault;

/// Draws the private half of an offer.
///
/// # Errors
/// The library failed.
pub fn draw_offered() -> Result<Secret32, HpkeFault> {
    let (_, private) = SUITE.generate_key_pair().map_err(|_| HpkeFault)?;
    let bytes = private.secret_bytes().try_into().map_err(|_| HpkeFault)?;
    Ok(Secret32::from_bytes(bytes))
}

/// The public half of an offer.
///
/// # Errors
/// The secret is no private key.
pub fn offered_key(secret: &Secret32) -> Result<Point, HpkeFault> {
    let private = PrivateKey::from_private_key(&ECDH_P256, secret.expose());
    let private = private.map_err(|_| HpkeFault)?;
    let public = private.compute_public_key().map_err(|_| HpkeFault)?;
    public.as_ref().try_into().map(Fixed).map_err(|_| HpkeFault)
}

/// Makes an offer.
///
/// # Errors
/// The key store did not sign.
pub async fn make_offer(
    signer: &dyn Signer,
    offering: Offering,
) -> Result<KeyOffer, IdentitySignError> {
    let signature = sign_as_region(signer, &offering.signing_bytes()).await?;
    Ok(KeyOffer { offering, signature })
}

/// Reads the offer of another region that `federation.toml` has, and says which.
///
/// # Errors
/// See [`HandoverError`].
pub fn check_offer<'s>(
    frame: &[u8],
    settings: &'s FederationSettings,
    here: RegionNumber,
) -> Result<(Offering, &'s RegionId), HandoverError> {
    let offer = KeyOffer::open(frame)
        .map_err(|fault| HandoverError::Malformed { expected: "key offer", fault })?;
    let Offering { federation, region, .. } = offer.offering;
    if federation != federation_digest(&settings.name) {
        return Err(HandoverError::OtherFederation { federation: settings.name.clone() });
    }
    if region == here {
        return Err(HandoverError::Own);
    }
    let (name, identity) = pinned(settings, region)?;
    if !offer.verify(&identity) {
        return Err(HandoverError::Signature { region: name.clone() });
    }
    Ok((offer.offering, name))
}

/// Seals a key to an offer.
///
/// # Errors
/// The offered key is no key, or the library failed.
pub fn seal_to(
    offering: &Offering,
    route: Route,
    secret: &Secret32,
) -> Result<Handover, HandoverError> {
    let reader = HpkePublicKey(offering.key.bytes().to_vec());
    let sealed = SUITE.seal(&route.info(), &[], secret.expose(), &reader);
    let (EncapsulatedSecret(encapsulated), sealed) = sealed.map_err(|_| HandoverError::NoPoint)?;
    let encapsulated = encapsulated.try_into().map_err(|_| HandoverError::NoPoint)?;
    let sealed = sealed.try_into().map_err(|_| HandoverError::NoPoint)?;
    Ok(Handover { route, encapsulated: Fixed(encapsulated), sealed: Fixed(sealed) })
}

/// Signs what is handed over.
///
/// # Errors
/// The key store did not sign.
pub async fn make_share(
    signer: &dyn Signer,
    handover: Handover,
) -> Result<KeyShare, IdentitySignError> {
    let signature = sign_as_region(signer, &handover.signing_bytes()).await?;
    Ok(KeyShare { handover, signature })
}

/// Reads what another region of `federation.toml` hands to this one, and says which.
///
/// # Errors
/// See [`HandoverError`].
pub fn check_share<'s>(
    frame: &[u8],
    settings: &'s FederationSettings,
    here: RegionNumber,
) -> Result<(Handover, &'s RegionId), HandoverError> {
    let share = KeyShare::open(frame).map_err(|fault| HandoverError::Malformed {
        expected: "key that a region shares",
        fault,
    })?;
    let Route { federation, source, reader, .. } = share.handover.route;
    if federation != federation_digest(&settings.name) {
        return Err(HandoverError::OtherFederation { federation: settings.name.clone() });
    }
    if source == here {
        return Err(HandoverError::Own);
    }
    if reader != here {
        return Err(HandoverError::OtherReader { reader, here });
    }
    let (name, identity) = pinned(settings, source)?;
    if !share.verify(&identity) {
        return Err(HandoverError::Signature { region: name.clone() });
    }
    share.handover.route.key_version().ok_or(HandoverError::NoVersion)?;
    Ok((share.handover, name))
}

/// Opens what was handed over with the private half of an offer.
///
/// # Errors
/// It is sealed to another key, or was altered.
pub fn open_share(handover: &Handover, offered: &Secret32) -> Result<Secret32, HandoverError> {
    let Handover { route, encapsulated, sealed } = handover;
    let key = offered_key(offered).map_err(|_| HandoverError::OtherOffer)?;
    let own = Offering { federation: route.federation, region: route.reader, key };
    if own.digest() != route.offered {
        return Err(HandoverError::OtherOffer);
    }
    let encapsulated = EncapsulatedSecret(encapsulated.bytes().to_vec());
    let private = HpkePrivateKey::from(offered.expose().to_vec());
    let opened = SUITE.open(&encapsulated, &route.info(), &[], sealed.bytes(), &private);
    let opened = Zeroizing::new(opened.map_err(|_| HandoverError::Unopened)?);
    let bytes = opened.as_slice().try_into().map_err(|_| HandoverError::Unopened)?;
    Ok(Secret32::from_bytes(bytes))
}

fn pinned(
    settings: &FederationSettings,
    region: RegionNumber,
) -> Result<(&RegionId, IdentityKey), HandoverError> {
    let known = settings.region(region).and_then(|(name, known)| Some((name, known.identity?)));
    known.ok_or(HandoverError::RegionNotPinned { region })
}

#[cfg(test)]
#[path = "handover_test.rs"]
mod tests;
