//! The array of statuses, its bytes and its compressed text (draft sections 4.1 and 4.2).

use std::io::{Read as _, Write as _};

use flate2::{Compression, bufread::ZlibDecoder, write::ZlibEncoder};

use super::Marks;
use crate::{
    jose::{base64url, from_base64url},
    revocation::LIST_SIZE,
};

/// The largest array that a verifier should unpack: ten million statuses of one bit, the size that
/// the draft reckons with. Few compressed bytes can stand for far more.
pub const ARRAY_BYTES_MAX: usize = 1_250_000;

/// How many bits one status takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusSize {
    /// Valid or invalid.
    One = 1,
    /// Also suspended, and one meaning of the application.
    Two = 2,
    /// 16 meanings.
    Four = 4,
    /// 256 meanings.
    Eight = 8,
}

/// The statuses of a list, packed: the first stands in the least significant bits of the first
/// byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusArray {
    size: StatusSize,
    bytes: Vec<u8>,
}

/// Why a text is not the array of a status list, or cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatusListError {
    /// The array could not be compressed.
    #[error("the status list could not be compressed")]
    Compress,
    /// Not canonical base64url.
    #[error("`lst` is not base64url without padding")]
    Encoding,
    /// `bits` is none of 1, 2, 4 and 8.
    #[error("`bits` is {got}, and none of 1, 2, 4 and 8")]
    Size {
        /// What it is.
        got: u64,
    },
    /// Longer than the reader wants, compressed or not.
    #[error("the status list is longer than {max} bytes")]
    TooLarge {
        /// What the reader accepts.
        max: usize,
    },
    /// Not one whole zlib stream (RFC 1950).
    #[error("`lst` is not one whole zlib stream")]
    Zlib,
}

impl StatusSize {
    /// The size of which a list's `bits` member speaks.
    ///
    /// # Errors
    /// [`StatusListError::Size`].
    pub const fn from_bits(bits: u64) -> Result<Self, StatusListError> {
        match bits {
            1 => Ok(Self::One),
            2 => Ok(Self::Two),
            4 => Ok(Self::Four),
            8 => Ok(Self::Eight),
            got => Err(StatusListError::Size { got }),
        }
    }

    /// The number of bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self as u8
    }
}

impl StatusArray {
    /// Takes packed bytes.
    #[must_use]
    pub const fn new(size: StatusSize, bytes: Vec<u8>) -> Self {
        Self { size, bytes }
    }

    /// The list of a region: [`LIST_SIZE`] statuses of one bit, 1 (`INVALID`) where a mark stands.
    #[must_use]
    pub fn of_marks(marks: &Marks) -> Self {
        let mut bytes = vec![0_u8; (LIST_SIZE / u8::BITS) as usize];
        for index in marks.iter() {
            if let Some(byte) = bytes.get_mut((index / u8::BITS) as usize) {
                *byte |= 1 << (index % u8::BITS);
            }
        }
        Self { size: StatusSize::One, bytes }
    }

    /// How many bits a status takes.
    #[must_use]
    pub const fn size(&self) -> StatusSize {
        self.size
    }

    /// The packed bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The status at an index; `None` beyond the array, which a verifier must refuse.
    #[must_use]
    pub fn status(&self, index: u64) -> Option<u8> {
        let bits = u64::from(self.size.bits());
        let at = index.checked_mul(bits)?;
        let byte = *self.bytes.get(usize::try_from(at / 8).ok()?)?;
        // Never more than eight bits.
        let mask = u8::try_from((1_u16 << bits) - 1).unwrap_or(u8::MAX);
        Some((byte >> (at % 8)) & mask)
    }

    /// The text of the `lst` member: zlib at its best level, base64url without padding.
    ///
    /// # Errors
    /// [`StatusListError::Compress`].
    pub fn encode(&self) -> Result<String, StatusListError> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&self.bytes).map_err(|_| StatusListError::Compress)?;
        let packed = encoder.finish().map_err(|_| StatusListError::Compress)?;
        Ok(base64url(&packed))
    }

    /// Reads the members `bits` and `lst`. No more than `bytes_max` bytes are ever unpacked;
    /// [`ARRAY_BYTES_MAX`] suits verifiers that do not know better.
    ///
    /// # Errors
    /// See [`StatusListError`].
    pub fn decode(bits: u64, lst: &str, bytes_max: usize) -> Result<Self, StatusListError> {
        let size = StatusSize::from_bits(bits)?;
        let too_large = StatusListError::TooLarge { max: bytes_max };
        if lst.len() > text_bytes_max(bytes_max) {
            return Err(too_large);
        }
        let packed = from_base64url(lst).ok_or(StatusListError::Encoding)?;
        let mut decoder = ZlibDecoder::new(packed.as_slice());
        let mut bytes = Vec::new();
        let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
        let read = decoder.by_ref().take(limit).read_to_end(&mut bytes);
        read.map_err(|_| StatusListError::Zlib)?;
        if bytes.len() > bytes_max {
            return Err(too_large);
        }
        if !decoder.into_inner().is_empty() {
            return Err(StatusListError::Zlib);
        }
        Ok(Self { size, bytes })
    }
}

/// The longest text that an array of so many bytes may have: zlib makes what it cannot compress
/// longer by five bytes in each 16 KiB and by 16 more at most, and base64 makes four of three.
const fn text_bytes_max(bytes_max: usize) -> usize {
    let packed = bytes_max.saturating_add(bytes_max / 1_024).saturating_add(64);
    packed.saturating_add(packed / 3).saturating_add(4)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn size() -> impl Strategy<Value = StatusSize> {
        let all = [StatusSize::One, StatusSize::Two, StatusSize::Four, StatusSize::Eight];
        proptest::sample::select(all.to_vec())
    }

    proptest! {
        #[test]
        fn an_array_survives_its_text(
            size in size(),
            bytes in proptest::collection::vec(any::<u8>(), 0..4_000),
        ) {
            let array = StatusArray::new(size, bytes);
            let text = array.encode().unwrap();
            let read = StatusArray::decode(size.bits().into(), &text, array.bytes().len());
            prop_assert_eq!(read, Ok(array));
        }

        #[test]
        fn statuses_follow_one_another_from_the_least_significant_bit_on(
            size in size(),
            bytes in proptest::collection::vec(any::<u8>(), 1..50),
        ) {
            let array = StatusArray::new(size, bytes.clone());
            let bits = u64::from(size.bits());
            let bit = |at: u64| bytes[usize::try_from(at / 8).unwrap()] >> (at % 8) & 1;
            let statuses = u64::try_from(bytes.len()).unwrap() * 8 / bits;
            for index in 0..statuses {
                let expected: u8 = (0..bits).map(|n| bit(index * bits + n) << n).sum();
                prop_assert_eq!(array.status(index), Some(expected));
            }
            prop_assert_eq!(array.status(statuses), None);
            prop_assert_eq!(array.status(u64::MAX), None);
        }

        #[test]
        fn no_text_makes_the_reader_fail_otherwise_than_by_refusing(
            bits in 0_u64..10,
            text in "[A-Za-z0-9_-]{0,200}",
        ) {
            // Not a panic, and never more than was asked for.
            if let Ok(array) = StatusArray::decode(bits, &text, 100) {
                prop_assert!(array.bytes().len() <= 100);
            }
        }
    }

    #[test]
    fn exactly_the_marked_indexes_are_invalid() {
        let mut marks = Marks::default();
        let marked = [0, 7, 8, 1_993, LIST_SIZE - 1];
        for index in marked {
            assert!(marks.add(index));
        }
        let array = StatusArray::of_marks(&marks);
        assert_eq!(array.bytes().len(), 131_072);
        for index in 0..LIST_SIZE {
            let expected = u8::from(marked.contains(&index));
            assert_eq!(array.status(index.into()), Some(expected), "{index}");
        }
        assert_eq!(array.status(LIST_SIZE.into()), None);
    }

    #[test]
    fn a_zlib_bomb_is_not_unpacked() {
        let bomb = StatusArray::new(StatusSize::One, vec![0; 4_000_000]).encode().unwrap();
        assert!(bomb.len() < 10_000);
        let max = ARRAY_BYTES_MAX;
        assert_eq!(StatusArray::decode(1, &bomb, max), Err(StatusListError::TooLarge { max }));
        let long = "A".repeat(text_bytes_max(max) + 1);
        assert_eq!(StatusArray::decode(1, &long, max), Err(StatusListError::TooLarge { max }));
    }

    #[test]
    fn what_is_not_one_whole_stream_of_known_size_is_refused() {
        let text = StatusArray::new(StatusSize::One, vec![1, 2, 3]).encode().unwrap();
        let packed = from_base64url(&text).unwrap();
        for bits in [0, 3, 16, u64::MAX] {
            let refused = StatusArray::decode(bits, &text, 100);
            assert_eq!(refused, Err(StatusListError::Size { got: bits }));
        }
        for (bytes, why) in [
            ([packed.as_slice(), &[0]].concat(), "bytes after the stream"),
            (packed[..packed.len() - 1].to_vec(), "cut"),
            (Vec::new(), "empty"),
            (vec![0x1f, 0x8b, 8, 0], "gzip"),
        ] {
            let refused = StatusArray::decode(1, &base64url(&bytes), 100);
            assert_eq!(refused, Err(StatusListError::Zlib), "{why}");
        }
        for text in [format!("{text}="), format!("{text} "), "+/".to_owned()] {
            let refused = StatusArray::decode(1, &text, 100);
            assert_eq!(refused, Err(StatusListError::Encoding), "{text}");
        }
    }
}
