//! The leaf of one audit record: a salted commitment that reveals nothing and survives the
//! erasure of personal data.
//!
//! A leaf is the RFC 6962 leaf hash over `salt || personal_digest || record`. Salt and digest
//! have a fixed length, so the three parts cannot be read in another way. The personal part has a
//! salt of its own, which is erased with it: what remains is a digest of unknown bytes under a
//! lost salt, from which no guess about the person can be tested, and the leaf still verifies.
//! What a record says is not known here.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use tlog_tiles::record_hash;

/// Length of a salt: as much as the hash, so that a guess at a record cannot be tested.
const SALT_BYTES: usize = 32;

/// The two salts of one record; 64 unpredictable bytes, never used for another record.
#[derive(Clone, PartialEq, Eq)]
pub struct Salts {
    /// Salt of the leaf.
    pub record: [u8; SALT_BYTES],
    /// Salt of the personal part.
    pub personal: [u8; SALT_BYTES],
}

/// A record with the hash that stands for it in the tree.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedRecord {
    /// The public part, as JSON bytes: may be shown to an auditor.
    pub record: Vec<u8>,
    /// The personal part, until it is erased; `None` also when there never was one.
    pub personal: Option<Personal>,
    /// Salt of the leaf.
    pub salt: [u8; SALT_BYTES],
    /// SHA-256 over the personal part's salt and bytes; zeros when there never was one.
    pub personal_digest: [u8; 32],
    /// RFC 6962 leaf hash.
    pub leaf: [u8; 32],
}

/// The part of a record that speaks of a person. Its `Debug` says nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Personal {
    /// Erased together with the bytes.
    pub salt: [u8; SALT_BYTES],
    /// What is said, as JSON bytes.
    pub bytes: Vec<u8>,
}

/// Why a stored record is not the one that was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// The public part, its salt, the digest or the leaf changed.
    #[error("the record does not match its leaf")]
    Record,
    /// The personal part or its salt changed.
    #[error("the personal part does not match its digest")]
    Personal,
}

/// Seals a record: from here on its bytes cannot change unnoticed.
#[must_use]
pub fn seal(record: Vec<u8>, personal: Option<Vec<u8>>, salts: &Salts) -> SealedRecord {
    let personal = personal.map(|bytes| Personal { salt: salts.personal, bytes });
    let personal_digest = personal.as_ref().map_or([0; 32], Personal::digest);
    let leaf = leaf(&salts.record, &personal_digest, &record);
    SealedRecord { record, personal, salt: salts.record, personal_digest, leaf }
}

impl SealedRecord {
    /// Checks that nothing changed since [`seal`], with or without the personal part.
    ///
    /// # Errors
    /// Says which part changed.
    pub fn verify(&self) -> Result<(), LeafError> {
        if leaf(&self.salt, &self.personal_digest, &self.record) != self.leaf {
            return Err(LeafError::Record);
        }
        match &self.personal {
            Some(personal) if personal.digest() != self.personal_digest => Err(LeafError::Personal),
            Some(_) | None => Ok(()),
        }
    }

    /// Forgets the personal part and its salt; the leaf stays what it is.
    pub fn erase_personal(&mut self) {
        self.personal = None;
    }
}

impl Personal {
    fn digest(&self) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        context.update(&self.salt);
        context.update(&self.bytes);
        let mut digest = [0; 32];
        // SHA-256 gives exactly 32 bytes, so both sides of the copy have the same length.
        digest.copy_from_slice(context.finish().as_ref());
        digest
    }
}

impl fmt::Debug for Salts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salts(..)")
    }
}

impl fmt::Debug for SealedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedRecord")
            .field("record_bytes", &self.record.len())
            .field("personal", &self.personal)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Personal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Personal(..)")
    }
}

fn leaf(salt: &[u8; SALT_BYTES], personal_digest: &[u8; 32], record: &[u8]) -> [u8; 32] {
    let mut salted = Vec::with_capacity(SALT_BYTES + personal_digest.len() + record.len());
    salted.extend_from_slice(salt);
    salted.extend_from_slice(personal_digest);
    salted.extend_from_slice(record);
    record_hash(&salted).0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn salts(byte: u8) -> Salts {
        Salts { record: [byte; 32], personal: [byte ^ 0xff; 32] }
    }

    fn sealed() -> SealedRecord {
        seal(br#"{"kind":"issued"}"#.to_vec(), Some(b"alice".to_vec()), &salts(7))
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn verifies_with_and_without_the_personal_part() {
        let mut record = sealed();
        assert_eq!(record.verify(), Ok(()));
        record.erase_personal();
        assert_eq!(record.verify(), Ok(()));
        assert_eq!(record.leaf, sealed().leaf);
        assert_eq!(seal(b"{}".to_vec(), None, &salts(1)).verify(), Ok(()));
    }

    #[test]
    fn notices_a_change_of_any_part() {
        let change = |edit: fn(&mut SealedRecord)| {
            let mut record = sealed();
            edit(&mut record);
            record.verify()
        };
        assert_eq!(change(|r| r.record[3] ^= 1), Err(LeafError::Record));
        assert_eq!(change(|r| r.salt[0] ^= 1), Err(LeafError::Record));
        assert_eq!(change(|r| r.personal_digest[31] ^= 1), Err(LeafError::Record));
        assert_eq!(change(|r| r.leaf[9] ^= 1), Err(LeafError::Record));
        assert_eq!(
            change(|r| r.personal.as_mut().unwrap().bytes[0] ^= 1),
            Err(LeafError::Personal)
        );
        assert_eq!(change(|r| r.personal.as_mut().unwrap().salt[0] ^= 1), Err(LeafError::Personal));
    }

    #[test]
    fn equal_records_under_other_salts_have_unrelated_leaves() {
        let leaf = |byte| seal(b"{}".to_vec(), Some(b"alice".to_vec()), &salts(byte)).leaf;
        assert_ne!(leaf(1), leaf(2));
    }

    #[test]
    fn an_empty_personal_part_differs_from_none() {
        let none = seal(b"{}".to_vec(), None, &salts(1));
        let empty = seal(b"{}".to_vec(), Some(Vec::new()), &salts(1));
        assert_ne!(none.leaf, empty.leaf);
    }

    #[test]
    fn the_leaf_is_the_documented_hash() {
        // Computed independently: printf '\0' | cat - <32 x 01> <32 x 00> <(printf '{}') | sha256sum
        let plain = seal(b"{}".to_vec(), None, &salts(1));
        assert_eq!(hex(&plain.leaf), EXPECTED_PLAIN);
        // ... with the digest of <32 x fe> || "alice" in place of the zeros.
        let personal = seal(b"{}".to_vec(), Some(b"alice".to_vec()), &salts(1));
        assert_eq!(hex(&personal.leaf), EXPECTED_PERSONAL);
    }

    const EXPECTED_PLAIN: &str = "f095225298df930ef387bc411e483e91b84e5e015016cb577d3005bd4a331681";
    const EXPECTED_PERSONAL: &str =
        "ce48dc1cb4ff9cb83250aa3dafe07bd017cdf9dc7b7f6bde9d3977b753cc0dcf";

    #[test]
    fn debug_output_holds_neither_person_nor_salt() {
        let text = format!("{:?} {:?}", sealed(), &salts(7));
        assert!(!text.contains("alice") && !text.contains("issued") && !text.contains("7, 7"));
    }
}
