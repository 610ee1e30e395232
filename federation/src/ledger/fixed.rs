//! The only containers that a replicated value may be built of: bytes of a fixed number, and lists
//! of at most a fixed number of items. Neither can hold a text that somebody chose.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, SeqAccess, Visitor},
    ser::SerializeTuple,
};

/// Exactly `N` bytes; written as they are, without a length.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fixed<const N: usize>(pub [u8; N]);

/// A SHA-256 digest.
pub type Digest = Fixed<32>;

/// At most `MAX` items, in an order that is part of the value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct List<T, const MAX: usize>(Vec<T>);

/// A list has room for fewer items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{got} items are too many: at most {max}")]
pub struct TooMany {
    /// How many there were.
    pub got: usize,
    /// How many there may be.
    pub max: usize,
}

impl<const N: usize> Fixed<N> {
    /// The bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; N] {
        &self.0
    }

    /// Reads lower-case hexadecimal digits, two a byte.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 2 * N {
            return None;
        }
        let mut bytes = [0; N];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let &[high, low] = pair else { return None };
            *byte = digit(high)? << 4 | digit(low)?;
        }
        Some(Self(bytes))
    }
}

const fn digit(text: u8) -> Option<u8> {
    match text {
        b'0'..=b'9' => Some(text - b'0'),
        b'a'..=b'f' => Some(text - b'a' + 10),
        _ => None,
    }
}

impl<const N: usize> fmt::Display for Fixed<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl<const N: usize> fmt::Debug for Fixed<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const N: usize> Serialize for Fixed<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(N)?;
        for byte in &self.0 {
            tuple.serialize_element(byte)?;
        }
        tuple.end()
    }
}

impl<'de, const N: usize> Deserialize<'de> for Fixed<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes<const N: usize>;
        impl<'de, const N: usize> Visitor<'de> for Bytes<N> {
            type Value = Fixed<N>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{N} bytes")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut bytes = [0; N];
                for (index, byte) in bytes.iter_mut().enumerate() {
                    let missing = || Error::invalid_length(index, &self);
                    *byte = seq.next_element()?.ok_or_else(missing)?;
                }
                Ok(Fixed(bytes))
            }
        }
        deserializer.deserialize_tuple(N, Bytes)
    }
}

impl<T, const MAX: usize> List<T, MAX> {
    /// Takes the items.
    ///
    /// # Errors
    /// There are more than `MAX`.
    pub fn new(items: Vec<T>) -> Result<Self, TooMany> {
        if items.len() > MAX {
            return Err(TooMany { got: items.len(), max: MAX });
        }
        Ok(Self(items))
    }

    /// A list without items.
    #[must_use]
    pub const fn empty() -> Self {
        Self(Vec::new())
    }

    /// The items.
    #[must_use]
    pub fn items(&self) -> &[T] {
        &self.0
    }
}

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        Self::empty()
    }
}

impl<T: fmt::Debug, const MAX: usize> fmt::Debug for List<T, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: Serialize, const MAX: usize> Serialize for List<T, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T, const MAX: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Items<T, MAX> {
            type Value = List<T, MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {MAX} items")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                // The announced length is not trusted: room grows with what is really there.
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    if items.len() == MAX {
                        return Err(Error::invalid_length(MAX + 1, &self));
                    }
                    items.push(item);
                }
                Ok(List(items))
            }
        }
        deserializer.deserialize_seq(Items(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_bytes_are_written_without_a_length() {
        let bytes = postcard::to_stdvec(&Fixed([1_u8, 2, 3])).unwrap();
        assert_eq!(bytes, [1, 2, 3]);
        assert_eq!(postcard::from_bytes::<Fixed<3>>(&bytes).unwrap(), Fixed([1, 2, 3]));
        assert!(postcard::from_bytes::<Fixed<4>>(&bytes).is_err());
    }

    #[test]
    fn hexadecimal_text_is_lower_case_and_exact() {
        assert_eq!(Fixed::<2>::from_hex("0aff"), Some(Fixed([0x0a, 0xff])));
        assert_eq!(Fixed([0x0a, 0xff]).to_string(), "0aff");
        for text in ["", "0a", "0AFF", "0aff0", "0aff00", "0agf"] {
            assert_eq!(Fixed::<2>::from_hex(text), None, "{text}");
        }
    }

    #[test]
    fn a_list_refuses_more_than_its_room_even_when_read() {
        let three = postcard::to_stdvec(&vec![1_u8, 2, 3]).unwrap();
        assert_eq!(postcard::from_bytes::<List<u8, 3>>(&three).unwrap().items(), [1, 2, 3]);
        assert!(postcard::from_bytes::<List<u8, 2>>(&three).is_err());
        assert_eq!(List::<u8, 1>::new(vec![1, 2]), Err(TooMany { got: 2, max: 1 }));
        // A length of 2^28 with nothing behind it costs no memory.
        assert!(postcard::from_bytes::<List<u64, 3>>(&[0xff, 0xff, 0xff, 0x7f]).is_err());
    }
}
