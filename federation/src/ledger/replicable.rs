//! What may be replicated, as a type: values of fixed width and bounded lists of them. No text and
//! no bytes that a caller chose can stand in one, so no person's data can.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{Fixed, List};
use crate::{
    region::RegionNumber,
    revocation::ListId,
    time::{Ttl, UnixTime},
};

/// A value that may leave its region (invariant I-D2).
///
/// A structure is made replicable by [`replicable!`](crate::replicable), which asks it of every
/// field:
///
/// ```
/// exequatur_federation::replicable! {
///     /// A count.
///     #[derive(Clone, Debug)]
///     pub struct Count {
///         /// How many.
///         pub number: u64,
///     }
/// }
/// ```
///
/// A text is not replicable, and nothing that holds one:
///
/// ```compile_fail,E0277
/// exequatur_federation::replicable! {
///     /// A name.
///     #[derive(Clone, Debug)]
///     pub struct Count {
///         /// Whose.
///         pub number: String,
///     }
/// }
/// ```
///
/// Nor are bytes without a fixed number:
///
/// ```compile_fail,E0277
/// exequatur_federation::replicable! {
///     /// Bytes.
///     #[derive(Clone, Debug)]
///     pub struct Count {
///         /// Any.
///         pub number: Vec<u8>,
///     }
/// }
/// ```
///
/// Nor is a number with room for a text inside a list:
///
/// ```compile_fail,E0277
/// exequatur_federation::replicable! {
///     /// Names.
///     #[derive(Clone, Debug)]
///     pub struct Count {
///         /// Whose.
///         pub number: exequatur_federation::ledger::List<String, 4>,
///     }
/// }
/// ```
pub trait Replicable {}

/// Defines a structure with [`Replicable`] asked of every field.
#[macro_export]
macro_rules! replicable {
    (
        $(#[$outer:meta])*
        pub struct $name:ident {
            $( $(#[$inner:meta])* pub $field:ident : $type:ty ),* $(,)?
        }
    ) => {
        $(#[$outer])*
        pub struct $name {
            $( $(#[$inner])* pub $field : $type ),*
        }

        impl $crate::ledger::Replicable for $name
        where
            $( $type: $crate::ledger::Replicable ),*
        {
        }
    };
    (
        $(#[$outer:meta])*
        pub enum $name:ident {
            $( $(#[$inner:meta])* $variant:ident $( ($type:ty) )? $( = $number:literal )? ),* $(,)?
        }
    ) => {
        $(#[$outer])*
        pub enum $name {
            $( $(#[$inner])* $variant $( ($type) )? $( = $number )? ),*
        }

        impl $crate::ledger::Replicable for $name
        where
            $( $( $type: $crate::ledger::Replicable, )? )*
        {
        }
    };
}

impl Replicable for bool {}
impl Replicable for u8 {}
impl Replicable for u16 {}
impl Replicable for u32 {}
impl Replicable for u64 {}
impl Replicable for ListId {}
impl Replicable for RegionNumber {}
impl Replicable for Ttl {}
impl Replicable for UnixTime {}
impl<const N: usize> Replicable for Fixed<N> {}
impl<T: Replicable> Replicable for Option<T> {}
impl<T: Replicable> Replicable for Box<T> {}
impl<T: Replicable, const MAX: usize> Replicable for List<T, MAX> {}
impl<A: Replicable, B: Replicable> Replicable for (A, B) {}
impl<T: Replicable> Replicable for Arc<T> {}
impl<K: Replicable, V: Replicable> Replicable for BTreeMap<K, V> {}
impl<T: Replicable> Replicable for BTreeSet<T> {}
