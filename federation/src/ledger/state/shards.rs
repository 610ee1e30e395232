//! A map in 256 parts, so that a change copies one part and not the whole: a ledger is shared with
//! its readers after every entry, and what was changed next would otherwise be copied whole.

use std::{collections::BTreeMap, fmt, marker::PhantomData, sync::Arc};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, Visitor},
};

use super::super::{Fixed, Replicable};
use crate::revocation::ListId;

/// Parts of a map: one for each first byte of a key.
pub const SHARDS: u16 = 256;
/// Most rows of one part. Keys are random (list ids) or outputs of an HMAC (digests), so that
/// parts fill alike and a map holds some 240,000 rows, at most 16 MiB, before one is full; and
/// copying a part takes microseconds, whatever keys a region makes up.
pub const ROWS_PER_SHARD_MAX: usize = 1024;

/// A key whose first byte, the most significant, is evenly spread.
pub trait Spread: Copy + Ord {
    /// The part that it belongs to. Larger keys never belong to an earlier part.
    fn shard(&self) -> u8;
}

impl Spread for ListId {
    fn shard(&self) -> u8 {
        let [first, ..] = self.bits().to_be_bytes();
        first
    }
}

impl Spread for Fixed<16> {
    fn shard(&self) -> u8 {
        let [first, ..] = *self.bytes();
        first
    }
}

/// A map of evenly spread keys, in their order.
#[derive(Clone, PartialEq, Eq)]
pub struct Sharded<K, V> {
    /// Never holds an empty part, so that equal maps are equal values.
    shards: Arc<BTreeMap<u8, Arc<BTreeMap<K, V>>>>,
}

impl<K, V> Default for Sharded<K, V> {
    fn default() -> Self {
        Self { shards: Arc::default() }
    }
}

impl<K: Spread, V: Clone> Sharded<K, V> {
    /// The row of a key.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        self.shards.get(&key.shard())?.get(key)
    }

    /// Whether a row with this key could be put.
    #[must_use]
    pub fn has_room(&self, key: &K) -> bool {
        self.has_room_below(key, ROWS_PER_SHARD_MAX)
    }

    /// Whether a row with this key could be put into a part of fewer than `max` rows.
    #[must_use]
    pub fn has_room_below(&self, key: &K, max: usize) -> bool {
        let shard = self.shards.get(&key.shard());
        shard.is_none_or(|shard| shard.len() < max || shard.contains_key(key))
    }

    /// Whether a row of one part is as `is` says.
    #[must_use]
    pub fn any(&self, shard: u8, is: impl Fn(&V) -> bool) -> bool {
        self.shards.get(&shard).is_some_and(|rows| rows.values().any(is))
    }

    /// Changes the row of a key in its place; it begins as the default one.
    pub fn update(&mut self, key: K, change: impl FnOnce(&mut V))
    where
        V: Default,
    {
        let shard = Arc::make_mut(&mut self.shards).entry(key.shard()).or_default();
        change(Arc::make_mut(shard).entry(key).or_default());
    }

    /// Puts a row, in place of the one that the key has.
    pub fn put(&mut self, key: K, row: V) {
        let shard = Arc::make_mut(&mut self.shards).entry(key.shard()).or_default();
        Arc::make_mut(shard).insert(key, row);
    }

    /// Keeps the rows of one part that `keep` says, and gives the others.
    pub fn retain(&mut self, shard: u8, keep: impl Fn(&V) -> bool) -> Vec<V> {
        let Some(rows) = self.shards.get(&shard) else { return Vec::new() };
        let dropped: Vec<(K, V)> = rows
            .iter()
            .filter(|(_, row)| !keep(row))
            .map(|(key, row)| (*key, row.clone()))
            .collect();
        // Looked at before it is copied: mostly nothing has expired.
        if dropped.is_empty() {
            return Vec::new();
        }
        let shards = Arc::make_mut(&mut self.shards);
        if let Some(rows) = shards.get_mut(&shard) {
            let rows = Arc::make_mut(rows);
            for (key, _) in &dropped {
                rows.remove(key);
            }
            if rows.is_empty() {
                shards.remove(&shard);
            }
        }
        dropped.into_iter().map(|(_, row)| row).collect()
    }

    /// All rows in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.shards.values().flat_map(|shard| shard.iter())
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.values().map(|shard| shard.len()).sum()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shards.is_empty()
    }
}

impl<K: Replicable, V: Replicable> Replicable for Sharded<K, V> {}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Sharded<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shards.fmt(f)
    }
}

impl<K: Spread + Serialize, V: Clone + Serialize> Serialize for Sharded<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(ExactlySized { rows: self.iter(), left: self.len() })
    }
}

/// Tells the serialiser how many rows come, which the parts by themselves do not.
struct ExactlySized<I> {
    rows: I,
    left: usize,
}

impl<I: Iterator> Iterator for ExactlySized<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.left = self.left.saturating_sub(1);
        self.rows.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<'de, K, V> Deserialize<'de> for Sharded<K, V>
where
    K: Spread + Deserialize<'de>,
    V: Clone + Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Rows<K, V>(PhantomData<(K, V)>);
        impl<'de, K, V> Visitor<'de> for Rows<K, V>
        where
            K: Spread + Deserialize<'de>,
            V: Clone + Deserialize<'de>,
        {
            type Value = Sharded<K, V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("rows in the order of their keys")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut rows = Sharded::default();
                let mut last = None;
                while let Some((key, row)) = map.next_entry()? {
                    if last.is_some_and(|last| last >= key) || !rows.has_room(&key) {
                        return Err(A::Error::custom("rows out of order, or too many"));
                    }
                    last = Some(key);
                    rows.put(key, row);
                }
                Ok(rows)
            }
        }
        deserializer.deserialize_map(Rows(PhantomData))
    }
}
