//! What was revoked, by the region that owns it.

use std::{collections::BTreeMap, fmt, sync::Arc};

use roaring::RoaringBitmap;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, SeqAccess, Visitor},
    ser::SerializeSeq,
};

use super::{super::Fixed, Sharded};
use crate::{
    ledger::{Replicable, StatusTarget, Target},
    replicable,
    revocation::{LIST_SIZE, ListId},
    time::UnixTime,
};

replicable! {
    /// A place in the history of a federation: what a token says of the moment it was issued at, and
    /// a cut-off of the moment it was made at. A later epoch is later than every index before it.
    #[derive(
        Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
    )]
    pub struct Lix {
        /// The federation's epoch.
        pub epoch: u32,
        /// Index of an entry: for a token, of the last one that its node had applied.
        pub index: u64,
    }
}

replicable! {
    /// A cut-off: what was issued before an entry is dead.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct CutRow {
        /// The entry: it covers every token with a smaller `lix`.
        pub cutoff: Lix,
        /// Until when nothing is issued either.
        pub blocked_until: Option<UnixTime>,
        /// When the last token that it covers has expired.
        pub expires_at: UnixTime,
    }
}

replicable! {
    /// What was revoked of one status list.
    #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    pub struct ListRow {
        /// Single tokens.
        pub indexes: Indexes,
        /// Every token of the list with a smaller `lix`.
        pub cutoff: Option<Lix>,
        /// When the last token that the row covers has expired.
        pub expires_at: UnixTime,
    }
}

/// Indexes below [`LIST_SIZE`]. In a snapshot: their number, the first, and from each to the next
/// the distance, as variable-length integers; so one set has one text.
#[derive(Clone, Debug, Default)]
pub struct Indexes(RoaringBitmap);

replicable! {
    /// Everything that was revoked of one region.
    #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Owner {
        /// Lists with a revoked token.
        pub lists: Sharded<ListId, Arc<ListRow>>,
        /// Every token of every list with a smaller `lix`: what is left when there are too many
        /// lists to tell apart.
        pub all_lists: Option<CutRow>,
        /// Login sessions, by digest.
        pub sessions: Sharded<Fixed<16>, CutRow>,
        /// Persons, by digest.
        pub subjects: Sharded<Fixed<16>, CutRow>,
        /// Clients, by number.
        pub clients: Arc<BTreeMap<u32, CutRow>>,
        /// Transfer rules, by number.
        pub rules: Arc<BTreeMap<u32, CutRow>>,
        /// How many single tokens all lists hold: counted along, and anew from a snapshot.
        #[serde(skip)]
        pub indexes: u64,
    }
}

impl CutRow {
    /// Whether it covers a token.
    #[must_use]
    pub fn covers(&self, lix: Lix) -> bool {
        lix < self.cutoff
    }
}

impl ListRow {
    /// Whether it covers a token.
    #[must_use]
    pub fn covers(&self, index: u32, lix: Lix) -> bool {
        self.indexes.contains(index) || self.cutoff.is_some_and(|cutoff| lix < cutoff)
    }
}

impl Owner {
    /// Whether the token at this place is revoked by what names it or its list.
    #[must_use]
    pub fn covers(&self, status: StatusTarget, lix: Lix) -> bool {
        self.lists.get(&status.list).is_some_and(|list| list.covers(status.index, lix))
            || self.all_lists.is_some_and(|cut| cut.covers(lix))
    }

    /// The cut-off of a session, person, client, or transfer rule.
    #[must_use]
    pub fn cut(&self, target: &Target) -> Option<&CutRow> {
        match target {
            Target::Session(digest) => self.sessions.get(digest),
            Target::Subject(digest) => self.subjects.get(digest),
            Target::Client(number) => self.clients.get(number),
            Target::TransferRule(number) => self.rules.get(number),
            Target::Status(_) | Target::List(_) => None,
        }
    }

    /// How many single tokens the lists hold.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.lists.iter().map(|(_, list)| list.indexes.len()).sum()
    }

    /// Whether nothing is revoked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }
}

impl Indexes {
    /// Whether the index is one of these.
    #[must_use]
    pub fn contains(&self, index: u32) -> bool {
        self.0.contains(index)
    }

    /// Adds an index; `false` if it was one of these before.
    pub fn insert(&mut self, index: u32) -> bool {
        self.0.insert(index)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The set itself.
    pub(crate) const fn bitmap(&self) -> &RoaringBitmap {
        &self.0
    }
}

impl PartialEq for Indexes {
    /// Of what is in it, not of how it is laid out.
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.is_subset(&other.0)
    }
}

impl Eq for Indexes {}

impl Replicable for Indexes {}

impl Serialize for Indexes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A list has at most 2^20 indexes, so that their number is one of any machine's.
        let mut seq = serializer.serialize_seq(usize::try_from(self.0.len()).ok())?;
        let mut last = 0;
        for index in &self.0 {
            seq.serialize_element(&(index - last))?;
            last = index;
        }
        seq.end()
    }
}

impl<'de> Deserialize<'de> for Indexes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Deltas;
        impl<'de> Visitor<'de> for Deltas {
            type Value = Indexes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("ascending indexes")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Indexes, A::Error> {
                let mut indexes = RoaringBitmap::new();
                let mut last: u32 = 0;
                while let Some(delta) = seq.next_element::<u32>()? {
                    let index = last.checked_add(delta).filter(|index| *index < LIST_SIZE);
                    let index =
                        index.ok_or_else(|| A::Error::custom("an index beyond the list"))?;
                    // Not `try_push`, which looks for the largest index of a bitmap each time.
                    if !indexes.insert(index) {
                        return Err(A::Error::custom("an index stands twice"));
                    }
                    last = index;
                }
                Ok(Indexes(indexes))
            }
        }
        deserializer.deserialize_seq(Deltas)
    }
}
