//! What nodes must know of a token and nobody else may read: digests of people and sessions, made
//! for one reader each.
//!
//! Everything here is a function of keys and values that come from outside. Nothing here draws a
//! random number, keeps a key, or knows what a digest is compared with.

mod digest;

pub use digest::{DigestKey, SessionDigest, SubjectDigest};
