//! The one frame that everything replicated travels and rests in:
//! `[format u8][kind u16][length u32][body][crc32c u32]`, numbers in network byte order, the
//! checksum over all that stands before it. Kinds are numbered by hand and never used again.

use serde::{Serialize, de::DeserializeOwned};

use super::proposal::{read, write};

/// The only format so far.
pub const FORMAT: u8 = 1;
/// Bytes of a frame around its body.
pub const FRAME_BYTES: usize = HEAD_BYTES + CHECKSUM_BYTES;
/// Largest body that anything but a table of a snapshot has: one log entry with its frame around.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

const HEAD_BYTES: usize = 7;
const CHECKSUM_BYTES: usize = 4;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum Kind {
    /// A proposal of [`super::Genesis`].
    Genesis = 1,
    /// A proposal of [`super::Revoke`].
    Revoke = 2,
    /// A proposal of [`super::Tick`].
    Tick = 3,
    /// A proposal of [`super::PublishKey`].
    PublishKey = 16,
    /// A proposal of [`super::AcknowledgeKey`].
    AcknowledgeKey = 17,
    /// A proposal of [`super::ActivateKey`].
    ActivateKey = 18,
    /// A proposal of [`super::RetireKey`].
    RetireKey = 19,
    /// A proposal of [`super::RevokeKey`].
    RevokeKey = 20,
    /// A proposal of [`super::AnchorCheckpoint`].
    AnchorCheckpoint = 32,
    /// A proposal of [`super::Cosign`].
    Cosign = 33,
    /// A proposal of [`super::AnnounceConfig`].
    AnnounceConfig = 48,
    /// A proposal of [`super::ActivateConfig`].
    ActivateConfig = 49,
    /// A proposal of [`super::SetRegionState`].
    SetRegionState = 64,
    /// A proposal of [`super::RevokeRegion`].
    RevokeRegion = 65,
    /// A proposal of [`super::Join`].
    Join = 80,
    /// A proposal of [`super::Leave`].
    Leave = 81,
    /// A proposal of [`super::RaiseLevel`].
    RaiseLevel = 96,
    /// A [`super::LogEntry`].
    LogEntry = 256,
    /// A [`super::Vote`].
    Vote = 257,
    /// A [`super::LogState`].
    LogState = 258,
    /// The head of a snapshot.
    SnapshotHead = 272,
    /// One table of a snapshot.
    SnapshotTable = 273,
    /// The end of a snapshot, with its digest.
    SnapshotEnd = 274,
    /// A [`crate::membership::NodeTicket`].
    NodeTicket = 288,
    /// A [`crate::membership::Invite`].
    Invite = 289,
    /// A [`crate::membership::Anchor`].
    Anchor = 290,
    /// A [`crate::membership::Hello`].
    Hello = 291,
    /// A [`crate::membership::HelloRefused`].
    HelloRefused = 292,
    /// A [`crate::seal::KeyOffer`].
    KeyOffer = 304,
    /// A [`crate::seal::KeyShare`].
    KeyShare = 305,
}

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// The checksum is another: a byte has changed.
    #[error("the checksum does not fit")]
    Checksum,
    /// A format of a later release.
    #[error("format {got} is not known here, only {FORMAT}")]
    Format {
        /// The format.
        got: u8,
    },
    /// A kind of a later release, or another one than is due.
    #[error("{} is not due here", named(*got))]
    Kind {
        /// The kind.
        got: u16,
    },
    /// The body is larger than any that may stand here.
    #[error("a body of {got} bytes is too large: at most {max}")]
    Size {
        /// Its length as the frame tells it.
        got: usize,
        /// The limit.
        max: usize,
    },
    /// Bytes are missing at the end.
    #[error("bytes are missing at the end")]
    Truncated,
    /// More bytes follow than the one frame.
    #[error("bytes follow after the end")]
    Trailing,
    /// The body is not what its kind has, or is written in another than its one form.
    #[error("the body is not one of its kind")]
    Body,
}

/// A kind in words, as far as people hand such frames around.
fn named(kind: u16) -> String {
    let name = match Kind::from_number(kind) {
        Some(Kind::Genesis) => "a genesis",
        Some(Kind::NodeTicket) => "a node ticket",
        Some(Kind::Invite) => "an invite",
        Some(Kind::Anchor) => "an anchor",
        Some(Kind::KeyOffer) => "a key offer",
        Some(Kind::KeyShare) => "a key that a region shares",
        _ => return format!("kind {kind}"),
    };
    name.to_owned()
}

/// A frame that was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// What it holds.
    pub kind: Kind,
    /// The body.
    pub body: &'a [u8],
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 30] = [
        Self::Genesis,
        Self::Revoke,
        Self::Tick,
        Self::PublishKey,
        Self::AcknowledgeKey,
        Self::ActivateKey,
        Self::RetireKey,
        Self::RevokeKey,
        Self::AnchorCheckpoint,
        Self::Cosign,
        Self::AnnounceConfig,
        Self::ActivateConfig,
        Self::SetRegionState,
        Self::RevokeRegion,
        Self::Join,
        Self::Leave,
        Self::RaiseLevel,
        Self::LogEntry,
        Self::Vote,
        Self::LogState,
        Self::SnapshotHead,
        Self::SnapshotTable,
        Self::SnapshotEnd,
        Self::NodeTicket,
        Self::Invite,
        Self::Anchor,
        Self::Hello,
        Self::HelloRefused,
        Self::KeyOffer,
        Self::KeyShare,
    ];

    /// The number that stands in the frame.
    #[must_use]
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// The kind of a number.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }
}

/// Frames a body.
#[must_use]
pub fn seal(kind: Kind, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(FRAME_BYTES + body.len());
    seal_into(&mut frame, kind, body);
    frame
}

/// Appends the frame of a body.
pub fn seal_into(out: &mut Vec<u8>, kind: Kind, body: &[u8]) {
    let start = out.len();
    // No body of this crate is near 2^32 bytes; a longer one would fail its own checksum.
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    out.push(FORMAT);
    out.extend_from_slice(&kind.number().to_be_bytes());
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(body);
    let checksum = crc32c::crc32c(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&checksum.to_be_bytes());
}

/// Takes the first frame from `bytes` and gives what follows it.
///
/// # Errors
/// There is no whole frame, or not one with a body of at most `body_bytes_max`.
pub fn open(bytes: &[u8], body_bytes_max: usize) -> Result<(Envelope<'_>, &[u8]), EnvelopeError> {
    let (head, rest) = bytes.split_first_chunk::<HEAD_BYTES>().ok_or(EnvelopeError::Truncated)?;
    let [format, k0, k1, l0, l1, l2, l3] = *head;
    if format != FORMAT {
        return Err(EnvelopeError::Format { got: format });
    }
    let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
    if length > body_bytes_max {
        return Err(EnvelopeError::Size { got: length, max: body_bytes_max });
    }
    let (body, rest) = rest.split_at_checked(length).ok_or(EnvelopeError::Truncated)?;
    let (checksum, rest) =
        rest.split_first_chunk::<CHECKSUM_BYTES>().ok_or(EnvelopeError::Truncated)?;
    let covered = bytes.get(..HEAD_BYTES + length).unwrap_or_default();
    if crc32c::crc32c(covered) != u32::from_be_bytes(*checksum) {
        return Err(EnvelopeError::Checksum);
    }
    // Only now: a number that a flipped bit made is no kind of a later release.
    let number = u16::from_be_bytes([k0, k1]);
    let kind = Kind::from_number(number).ok_or(EnvelopeError::Kind { got: number })?;
    Ok((Envelope { kind, body }, rest))
}

/// Takes the one frame of a kind that `bytes` are.
///
/// # Errors
/// As [`open`]; another kind; bytes after it.
pub fn open_only(bytes: &[u8], kind: Kind, body_bytes_max: usize) -> Result<&[u8], EnvelopeError> {
    let (envelope, rest) = open(bytes, body_bytes_max)?;
    if envelope.kind != kind {
        return Err(EnvelopeError::Kind { got: envelope.kind.number() });
    }
    if !rest.is_empty() {
        return Err(EnvelopeError::Trailing);
    }
    Ok(envelope.body)
}

/// Frames the one form of a value.
#[must_use]
pub fn seal_value<T: Serialize>(kind: Kind, value: &T) -> Vec<u8> {
    let mut body = Vec::with_capacity(256);
    write(&mut body, value);
    seal(kind, &body)
}

/// Reads the value that a frame of a kind holds, in its one form.
///
/// # Errors
/// As [`open_only`]; the body is not one of the kind.
pub fn open_value<T: Serialize + DeserializeOwned>(
    kind: Kind,
    frame: &[u8],
) -> Result<T, EnvelopeError> {
    let body = open_only(frame, kind, BODY_BYTES_MAX)?;
    let (value, rest) = read::<T>(body)?;
    if !rest.is_empty() || seal_value(kind, &value) != frame {
        return Err(EnvelopeError::Body);
    }
    Ok(value)
}

/// What is signed of a document: its domain, the format, the value.
#[must_use]
pub fn signing_bytes<T: Serialize>(domain: &[u8], value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    bytes.extend_from_slice(domain);
    bytes.push(FORMAT);
    write(&mut bytes, value);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_what_the_format_says() {
        let frame = seal(Kind::Tick, b"body");
        assert_eq!(frame.get(..11), Some(&b"\x01\x00\x03\x00\x00\x00\x04body"[..]));
        assert_eq!(frame.len(), FRAME_BYTES + 4);
        assert_eq!(open_only(&frame, Kind::Tick, 4), Ok(&b"body"[..]));
    }

    #[test]
    fn every_flipped_bit_and_every_missing_byte_is_noticed() {
        let frame = seal(Kind::Revoke, b"a body of some length");
        for index in 0..frame.len() {
            for bit in 0..8 {
                let mut flipped = frame.clone();
                flipped[index] ^= 1 << bit;
                assert!(open(&flipped, BODY_BYTES_MAX).is_err(), "byte {index}, bit {bit}");
            }
            assert_eq!(open(&frame[..index], BODY_BYTES_MAX), Err(EnvelopeError::Truncated));
        }
    }

    #[test]
    fn a_frame_of_a_later_release_names_its_kind() {
        let mut frame = seal(Kind::Tick, b"");
        frame[2] = 99;
        let covered = frame.len() - CHECKSUM_BYTES;
        let checksum = crc32c::crc32c(&frame[..covered]).to_be_bytes();
        frame[covered..].copy_from_slice(&checksum);
        assert_eq!(open(&frame, 0), Err(EnvelopeError::Kind { got: 99 }));
    }

    #[test]
    fn numbers_of_kinds_are_unique_and_found_again() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_number(kind.number()), Some(kind));
        }
        assert_eq!(Kind::from_number(0), None);
    }

    #[test]
    fn another_kind_a_large_body_and_trailing_bytes_are_refused() {
        let mut frame = seal(Kind::Tick, b"body");
        assert_eq!(open_only(&frame, Kind::Vote, 4), Err(EnvelopeError::Kind { got: 3 }));
        assert_eq!(open(&frame, 3), Err(EnvelopeError::Size { got: 4, max: 3 }));
        frame.push(0);
        assert_eq!(open_only(&frame, Kind::Tick, 4), Err(EnvelopeError::Trailing));
    }
}
