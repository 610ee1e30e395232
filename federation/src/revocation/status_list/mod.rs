//! The Token Status List of a region (draft-ietf-oauth-status-list-21), as pure functions: the
//! array of statuses and its compressed text, the claims of the signed list, and the decoys that
//! hide how many tokens were revoked.
//!
//! Which tokens are revoked, when a list is published and who signs it is not known here.

mod array;
mod claims;
mod decoys;
mod marks;
#[cfg(test)]
mod vectors_test;

pub use array::{ARRAY_BYTES_MAX, StatusArray, StatusListError, StatusSize};
pub use claims::{MEDIA_TYPE, Publication, uri};
pub use decoys::{DECOYS_MAX, DecoySeed, STEP_SECONDS};
pub use marks::Marks;
