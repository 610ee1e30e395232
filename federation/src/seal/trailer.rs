//! What a trailer says, and its 128 bytes before they are sealed.

use std::fmt;

use super::{SessionDigest, SubjectDigest};
use crate::{
    ledger::{Fixed, List, Lix},
    region::RegionNumber,
    revocation::{LIST_SIZE, ListId, StatusReference},
};

/// Most tokens that a token may descend from: a longer chain of exchanges is refused.
pub const ANCESTORS_MAX: usize = 4;
/// Bytes of every trailer: what is in one does not show in its length.
pub const TRAILER_BYTES: usize = 128;

const HAS_SUBJECT: u8 = 1;
const HAS_SESSION: u8 = 2;

/// What must be known to judge whether a token is revoked, and what nobody else may read. It is as
/// pseudonymous as the digests in it: it is never logged, answered or printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Trailer {
    /// How far the node had applied the ledger when the token was issued.
    pub lix: Lix,
    /// The home region of the subject, which made the digests and may revoke them; `None` in a
    /// region without a number.
    pub home: Option<RegionNumber>,
    /// The subject, as the reader knows it.
    pub subject: Option<SubjectDigest>,
    /// The login session at the global issuer, as the reader knows it; `None` if the issuer named
    /// none.
    pub session: Option<SessionDigest>,
    /// The client that got the token.
    pub client: ClientReference,
    /// The transfer rule under which the subject crossed a border.
    pub rule: Option<RuleReference>,
    /// The tokens that this one descends from: it is dead if any of them is.
    pub ancestors: List<Ancestor, ANCESTORS_MAX>,
}

/// A client, by its number in the region where it is registered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientReference {
    /// The region; `None` if it has no number.
    pub region: Option<RegionNumber>,
    /// The number of the client there.
    pub number: u32,
}

/// A transfer rule, by its number in the region that wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleReference {
    /// The region.
    pub region: RegionNumber,
    /// The number of the rule there.
    pub number: u32,
}

/// A token that another descends from, by its place in a status list of its issuer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ancestor {
    /// The region that issued it.
    pub region: RegionNumber,
    /// Its place.
    pub status: StatusReference,
}

impl Trailer {
    /// The bytes, all of them determined by what the trailer says: numbers in network byte order,
    /// 0 for what is not there.
    pub(super) fn to_bytes(&self) -> [u8; TRAILER_BYTES] {
        let mut writer = Writer { bytes: [0; TRAILER_BYTES], at: 0 };
        let flags = self.subject.map_or(0, |_| HAS_SUBJECT);
        writer.put([flags | self.session.map_or(0, |_| HAS_SESSION)]);
        // At most four, as the list's type says.
        writer.put([u8::try_from(self.ancestors.items().len()).unwrap_or(u8::MAX)]);
        writer.put(self.lix.epoch.to_be_bytes());
        writer.put(self.lix.index.to_be_bytes());
        writer.put(number(self.home));
        writer.put(self.subject.map_or([0; 16], |digest| digest.fixed().0));
        writer.put(self.session.map_or([0; 16], |digest| digest.fixed().0));
        writer.put(number(self.client.region));
        writer.put(self.client.number.to_be_bytes());
        writer.put(number(self.rule.map(|rule| rule.region)));
        writer.put(self.rule.map_or(0, |rule| rule.number).to_be_bytes());
        for Ancestor { region, status } in self.ancestors.items() {
            writer.put(region.number().to_be_bytes());
            writer.put(status.list.bits().to_be_bytes());
            writer.put(status.index.to_be_bytes());
        }
        writer.bytes
    }

    /// Reads the bytes in their one form: whatever would not be written so is `None`.
    pub(super) fn from_bytes(bytes: &[u8; TRAILER_BYTES]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let [flags] = reader.take()?;
        let [count] = reader.take()?;
        let lix = Lix {
            epoch: u32::from_be_bytes(reader.take()?),
            index: u64::from_be_bytes(reader.take()?),
        };
        let home = region(&mut reader)?;
        let subject = SubjectDigest::from_fixed(Fixed(reader.take()?));
        let session = SessionDigest::from_fixed(Fixed(reader.take()?));
        let client = ClientReference {
            region: region(&mut reader)?,
            number: u32::from_be_bytes(reader.take()?),
        };
        let of = region(&mut reader)?;
        let number = u32::from_be_bytes(reader.take()?);
        let mut ancestors = Vec::new();
        for _ in 0..count {
            ancestors.push(ancestor(&mut reader)?);
        }
        let read = Self {
            lix,
            home,
            subject: (flags & HAS_SUBJECT != 0).then_some(subject),
            session: (flags & HAS_SESSION != 0).then_some(session),
            client,
            rule: of.map(|region| RuleReference { region, number }),
            ancestors: List::new(ancestors).ok()?,
        };
        // Unknown flags, padding, and what stands where nothing should.
        (read.to_bytes() == *bytes).then_some(read)
    }
}

impl fmt::Debug for Trailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trailer(redacted)")
    }
}

impl fmt::Debug for Ancestor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ancestor(redacted)")
    }
}

/// As a region without a number has it: 0, which is no region's.
pub(super) fn number(region: Option<RegionNumber>) -> [u8; 2] {
    region.map_or(0, RegionNumber::number).to_be_bytes()
}

fn region(reader: &mut Reader<'_>) -> Option<Option<RegionNumber>> {
    reader.take().map(|bytes| RegionNumber::new(u16::from_be_bytes(bytes)))
}

fn ancestor(reader: &mut Reader<'_>) -> Option<Ancestor> {
    let region = region(reader)??;
    let list = ListId::new(u64::from_be_bytes(reader.take()?));
    let index = u32::from_be_bytes(reader.take()?);
    (index < LIST_SIZE).then_some(Ancestor { region, status: StatusReference { list, index } })
}

struct Writer {
    bytes: [u8; TRAILER_BYTES],
    at: usize,
}

impl Writer {
    /// Nothing is lost: all parts together have 116 bytes.
    fn put<const N: usize>(&mut self, part: [u8; N]) {
        for (to, byte) in self.bytes.iter_mut().skip(self.at).zip(part) {
            *to = byte;
        }
        self.at += N;
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (part, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*part)
    }
}
