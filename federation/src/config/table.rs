//! Reads values of a checked table by key: the value of the file, else the default of the shape.
//!
//! A key that is missing without default, or of the wrong type, reads as `None`: the check has
//! reported it already.

use jiff::{civil::Date, tz::TimeZone};
use toml::de::{DeTable, DeValue};

use super::{
    canonical,
    check::{integer, joined},
    diagnostic::Place,
    shape::{Need, Shape},
};
use crate::{
    claims::Pointer,
    time::{Ttl, UnixTime},
};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// A table of a file with its shape.
#[derive(Clone, Debug)]
pub(super) struct Table<'d> {
    entries: Option<&'d DeTable<'d>>,
    shape: &'static Shape,
    pub(super) place: Place,
}

impl<T> At<T> {
    pub(super) fn map<U>(self, f: impl FnOnce(T) -> U) -> At<U> {
        At { value: f(self.value), place: self.place }
    }
}

impl<'d> Table<'d> {
    pub(super) const fn root(entries: &'d DeTable<'d>, shape: &'static Shape) -> Self {
        Self { entries: Some(entries), shape, place: Place { span: 0..0, path: String::new() } }
    }

    /// SHA-256 over the canonical form of what the file has, without what is operational.
    pub(super) fn digest(&self) -> [u8; 32] {
        self.entries.map_or([0; 32], |entries| canonical::digest(entries, self.shape))
    }

    /// The value as it stands in the file.
    pub(super) fn raw(&self, key: &str) -> Option<At<&'d DeValue<'d>>> {
        let value = self.entries?.get(key)?;
        let place = Place { span: value.span(), path: joined(&self.place.path, key) };
        Some(At { value: value.get_ref(), place })
    }

    /// Whether the file has the key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.is_some_and(|t| t.contains_key(key))
    }

    /// Where the key's value stands, or the table if the file does not have it.
    pub(super) fn place_of(&self, key: &str) -> Place {
        self.raw(key).map_or_else(|| self.place.clone(), |v| v.place)
    }

    pub(super) fn text(&self, key: &str) -> Option<At<String>> {
        match self.raw(key) {
            Some(raw) => {
                let text = raw.value.as_str().filter(|t| !t.is_empty())?;
                Some(At { value: text.to_owned(), place: raw.place })
            }
            None => {
                let value = self.default(key)?.to_owned();
                Some(At { value, place: self.place.clone() })
            }
        }
    }

    pub(super) fn duration(&self, key: &str) -> Option<At<Ttl>> {
        let text = self.text(key)?;
        let value = Ttl::parse(&text.value).ok()?;
        Some(At { value, place: text.place })
    }

    pub(super) fn pointer(&self, key: &str) -> Option<At<Pointer>> {
        let text = self.text(key)?;
        let value = Pointer::new(&text.value).ok()?;
        Some(At { value, place: text.place })
    }

    /// The one of `all` whose text the file names.
    pub(super) fn choice<T: Copy>(
        &self,
        key: &str,
        all: &[T],
        name: impl Fn(T) -> &'static str,
    ) -> Option<At<T>> {
        let text = self.text(key)?;
        let value = all.iter().copied().find(|v| name(*v) == text.value)?;
        Some(At { value, place: text.place })
    }

    pub(super) fn flag(&self, key: &str) -> bool {
        match self.raw(key) {
            Some(raw) => raw.value.as_bool() == Some(true),
            None => self.default(key) == Some("true"),
        }
    }

    pub(super) fn integer(&self, key: &str) -> Option<u32> {
        match self.raw(key) {
            Some(raw) => integer(raw.value),
            None => self.default(key)?.parse().ok(),
        }
    }

    /// The end of a day in UTC: the first moment after it.
    pub(super) fn end_of_day(&self, key: &str) -> Option<UnixTime> {
        let raw = self.raw(key)?;
        let day = raw.value.as_datetime()?.date?;
        let month = i8::try_from(day.month).ok()?;
        let date = Date::new(i16::try_from(day.year).ok()?, month, i8::try_from(day.day).ok()?);
        let end = date.ok()?.tomorrow().ok()?.to_zoned(TimeZone::UTC).ok()?;
        u64::try_from(end.timestamp().as_second()).ok().map(UnixTime::from_seconds)
    }

    /// An array of texts; a single text reads as an array of one.
    pub(super) fn texts(&self, key: &str) -> Vec<At<String>> {
        let Some(raw) = self.raw(key) else { return Vec::new() };
        texts_of(&raw)
    }

    /// The texts alone.
    pub(super) fn strings(&self, key: &str) -> Vec<String> {
        self.texts(key).into_iter().map(|t| t.value).collect()
    }

    pub(super) fn pointers(&self, key: &str) -> Vec<At<Pointer>> {
        let read = |t: At<String>| {
            let value = Pointer::new(&t.value).ok()?;
            Some(At { value, place: t.place })
        };
        self.texts(key).into_iter().filter_map(read).collect()
    }

    /// The pairs of a table with free keys, in the order of their names.
    pub(super) fn pairs(&self, key: &str) -> Vec<(String, At<&'d DeValue<'d>>)> {
        let Some(raw) = self.raw(key) else { return Vec::new() };
        let Some(entries) = raw.value.as_table() else { return Vec::new() };
        let pair = |name: &str, value: &'d toml::Spanned<DeValue<'d>>| {
            let place = Place { span: value.span(), path: joined(&raw.place.path, name) };
            (name.to_owned(), At { value: value.get_ref(), place })
        };
        entries.iter().map(|(name, value)| pair(name.get_ref(), value)).collect()
    }

    /// The table under a key; one without entries if the file has none, so that defaults hold.
    pub(super) fn table(&self, key: &str) -> Option<Self> {
        let kind = &self.shape.field(key)?.kind;
        match self.raw(key) {
            Some(raw) => {
                let entries = raw.value.as_table()?;
                let shape = kind.table()?;
                Some(Self { entries: Some(entries), shape, place: raw.place })
            }
            None => {
                let place = self.place.clone();
                Some(Self { entries: None, shape: kind.table()?, place })
            }
        }
    }

    /// The tables of an array.
    pub(super) fn tables(&self, key: &str) -> Vec<Self> {
        let item = self.shape.field(key).and_then(|f| f.kind.item());
        let (Some(shape), Some(raw)) = (item.and_then(|k| k.table()), self.raw(key)) else {
            return Vec::new();
        };
        let Some(items) = raw.value.as_array() else { return Vec::new() };
        let table = |(index, item): (usize, &'d toml::Spanned<DeValue<'d>>)| {
            let place = Place { span: item.span(), path: format!("{}[{index}]", raw.place.path) };
            Some(Self { entries: Some(item.get_ref().as_table()?), shape, place })
        };
        items.iter().enumerate().filter_map(table).collect()
    }

    /// Keys of this table that the file has.
    pub(super) fn present<'k>(&self, keys: &[&'k str]) -> Vec<&'k str> {
        keys.iter().copied().filter(|k| self.has(k)).collect()
    }

    fn default(&self, key: &str) -> Option<&'static str> {
        match self.shape.field(key)?.need {
            Need::Default(text) => Some(text),
            Need::Optional | Need::Required => None,
        }
    }
}

/// The texts of a value that is a text or an array of texts.
pub(super) fn texts_of(raw: &At<&DeValue<'_>>) -> Vec<At<String>> {
    match raw.value {
        DeValue::String(text) => vec![At { value: text.to_string(), place: raw.place.clone() }],
        DeValue::Array(items) => {
            let text = |(index, item): (usize, &toml::Spanned<DeValue<'_>>)| {
                let path = format!("{}[{index}]", raw.place.path);
                let place = Place { span: item.span(), path };
                Some(At { value: item.get_ref().as_str()?.to_owned(), place })
            };
            items.iter().enumerate().filter_map(text).collect()
        }
        DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Table(_) => Vec::new(),
    }
}
