//! What nodes must know of a token and nobody else may read: digests of people and sessions, made
//! for one reader each, and the trailer that carries them through others' hands, sealed.
//!
//! Everything here is a function of keys and values that come from outside. Nothing here draws a
//! random number, stores a key, or knows what is revoked. The README of this crate has the form.

mod block;
mod digest;
mod handover;
mod keys;
mod open_error;
mod trailer;
#[cfg(test)]
mod trailer_test;

pub use block::{BLOCK_BYTES, KeyVersion, ReaderKey, TokenName};
pub use digest::{DigestKey, SessionDigest, SubjectDigest};
pub use handover::{Handover, KeyOffer, KeyShare, Offering, Point, Route};
pub(crate) use keys::empty_claim;
pub use keys::{FOREIGN_READERS_MAX, PRIVATE_PREFIX, SEALED_CLAIM, SealError, SealKeys, Versions};
pub use open_error::OpenError;
pub use trailer::{
    ANCESTORS_MAX, Ancestor, ClientReference, RuleReference, TRAILER_BYTES, Trailer,
};
