//! The right edge of an append-only Merkle tree (RFC 6962 section 2.1): enough to add a leaf and
//! to name the root, in at most 64 hashes, without reading an older leaf.
//!
//! It computes with the hashes of `tlog_tiles`, so that proofs made by that library fit. It does
//! not keep leaves and makes no proofs.

use std::ops::Range;

use tlog_tiles::{EMPTY_HASH, Hash, node_hash};

/// Largest tree that is read back: beyond it a sequence number would not fit SQL's integers.
const SIZE_MAX: u64 = 1 << 62;

/// A tree of `size` leaves, as the roots of its complete subtrees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// Roots of complete subtrees from left to right, one for each bit that is set in `size`.
    peaks: Vec<[u8; 32]>,
}

/// Why bytes are no frontier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{bytes} bytes are no frontier of a Merkle tree: the stored tree is damaged")]
pub struct FrontierError {
    bytes: usize,
}

impl Frontier {
    /// The tree without a leaf.
    #[must_use]
    pub const fn empty() -> Self {
        Self { size: 0, peaks: Vec::new() }
    }

    /// Number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf hash to the right of all others.
    pub fn push(&mut self, leaf: [u8; 32]) {
        let mut node = leaf;
        // Each complete subtree at the right edge merges with an equally large one, as a carry
        // runs through the ones at the end of a binary number.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                node = parent(left, node);
            }
        }
        self.peaks.push(node);
        self.size += 1;
    }

    /// The Merkle tree hash of all leaves; of none, the hash of the empty string.
    #[must_use]
    pub fn root(&self) -> [u8; 32] {
        let mut from_right = self.peaks.iter().rev().copied();
        let Some(last) = from_right.next() else { return EMPTY_HASH.0 };
        from_right.fold(last, |right, left| parent(left, right))
    }

    /// The leaves among which the first difference between two trees of one size lies; `None`
    /// when the trees are equal.
    #[must_use]
    pub fn first_difference(&self, other: &Self) -> Option<Range<u64>> {
        if self.size != other.size {
            return Some(0..self.size.max(other.size));
        }
        let mut start = 0;
        for (ours, theirs) in self.peaks.iter().zip(&other.peaks) {
            let remaining = self.size - start;
            let width = 1 << remaining.checked_ilog2()?;
            if ours != theirs {
                return Some(start..start + width);
            }
            start += width;
        }
        None
    }

    /// The form in which a frontier is kept: the size in eight bytes, most significant first,
    /// then the hashes from left to right.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + 32 * self.peaks.len());
        bytes.extend_from_slice(&self.size.to_be_bytes());
        for peak in &self.peaks {
            bytes.extend_from_slice(peak);
        }
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) made.
    ///
    /// # Errors
    /// The length does not fit the size, or the size is beyond any real log.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FrontierError> {
        let error = || FrontierError { bytes: bytes.len() };
        let (size, hashes) = bytes.split_first_chunk::<8>().ok_or_else(error)?;
        let size = u64::from_be_bytes(*size);
        let (peaks, rest) = hashes.as_chunks::<32>();
        if size > SIZE_MAX
            || !rest.is_empty()
            || u32::try_from(peaks.len()) != Ok(size.count_ones())
        {
            return Err(error());
        }
        Ok(Self { size, peaks: peaks.to_vec() })
    }
}

fn parent(left: [u8; 32], right: [u8; 32]) -> [u8; 32] {
    node_hash(Hash(left), Hash(right)).0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tlog_tiles::{Error, HashReader, record_hash, stored_hashes, tree_hash};

    use super::*;

    /// The library's own store of every node.
    #[derive(Default)]
    struct Nodes(Vec<Hash>);

    impl HashReader for Nodes {
        fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
            Ok(indexes.iter().map(|i| self.0[usize::try_from(*i).unwrap()]).collect())
        }
    }

    fn assert_agrees_with_the_library(records: &[Vec<u8>]) {
        let (mut frontier, mut nodes) = (Frontier::empty(), Nodes::default());
        for (n, record) in (0_u64..).zip(records) {
            assert_eq!(frontier.root(), tree_hash(n, &nodes).unwrap().0, "size {n}");
            let added = stored_hashes(n, record, &nodes).unwrap();
            nodes.0.extend(added);
            frontier.push(record_hash(record).0);
        }
        let size = u64::try_from(records.len()).unwrap();
        assert_eq!(frontier.size(), size);
        assert_eq!(frontier.root(), tree_hash(size, &nodes).unwrap().0);
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn agrees_with_the_library_at_every_size_up_to_600() {
        let records: Vec<Vec<u8>> = (0_u32..600).map(|n| n.to_be_bytes().to_vec()).collect();
        assert_agrees_with_the_library(&records);
    }

    proptest! {
        #[test]
        fn agrees_with_the_library_for_any_records(
            records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..200)
        ) {
            assert_agrees_with_the_library(&records);
        }

        #[test]
        fn a_frontier_read_back_goes_on_as_before(size in 0_u32..2_000, more in 0_u32..40) {
            let mut frontier = Frontier::empty();
            (0..size).for_each(|n| frontier.push(record_hash(&n.to_be_bytes()).0));
            let mut again = Frontier::from_bytes(&frontier.to_bytes()).unwrap();
            prop_assert_eq!(&again, &frontier);
            for n in 0..more {
                again.push(record_hash(&n.to_be_bytes()).0);
                frontier.push(record_hash(&n.to_be_bytes()).0);
            }
            prop_assert_eq!(again.root(), frontier.root());
        }

        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..300)
        ) {
            if let Ok(frontier) = Frontier::from_bytes(&bytes) {
                prop_assert_eq!(frontier.to_bytes(), bytes);
            }
        }

        #[test]
        fn the_first_difference_holds_the_changed_leaf(size in 1_u64..200, at in 0_u64..200) {
            let at = at % size;
            let (mut ours, mut theirs) = (Frontier::empty(), Frontier::empty());
            for n in 0..size {
                ours.push([u8::try_from(n).unwrap(); 32]);
                theirs.push([if n == at { 255 } else { u8::try_from(n).unwrap() }; 32]);
            }
            prop_assert!(ours.first_difference(&theirs).unwrap().contains(&at));
            prop_assert_eq!(ours.first_difference(&ours.clone()), None);
        }
    }

    /// The test data of the reference implementation of RFC 6962 (certificate-transparency).
    #[test]
    fn gives_the_roots_of_the_reference_implementation() {
        let leaves: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut frontier = Frontier::empty();
        assert_eq!(
            hex(&frontier.root()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        for (leaf, root) in leaves.iter().zip(roots) {
            frontier.push(record_hash(leaf).0);
            assert_eq!(hex(&frontier.root()), root, "size {}", frontier.size());
        }
    }

    #[test]
    fn refuses_bytes_whose_length_does_not_fit_their_size() {
        let mut frontier = Frontier::empty();
        (0..3).for_each(|n| frontier.push([n; 32]));
        let bytes = frontier.to_bytes();
        assert!(Frontier::from_bytes(&bytes[..bytes.len() - 1]).is_err());
        assert!(Frontier::from_bytes(&bytes[..40]).is_err());
        assert!(Frontier::from_bytes(&[]).is_err());
        assert!(Frontier::from_bytes(&(1_u64 << 63).to_be_bytes()).is_err());
    }
}
