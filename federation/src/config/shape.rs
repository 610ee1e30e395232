//! The shape of a configuration file: which keys there are, of which type, with which default and
//! meaning. It is the one source for the check of a file, its JSON Schema and `config explain`.
//!
//! It says nothing about how keys depend on one another; that is checked by whoever compiles them.

use toml::de::DeValue;

/// Longest text: no path, URL or note needs more.
pub(super) const TEXT_BYTES_MAX: usize = 2048;
/// Longest name: it stands in every record.
pub(super) const NAME_BYTES_MAX: usize = 64;

/// A table of keys.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) fields: &'static [Field],
}

/// One key of a table.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) key: &'static str,
    pub(super) kind: Kind,
    pub(super) need: Need,
    /// What it means: one or more sentences.
    pub(super) meaning: &'static str,
    /// Whether nodes may differ about it: it is no part of the law whose digest they compare.
    pub(super) operational: bool,
}

impl Field {
    /// The same key, but no part of the law.
    pub(super) const fn operational(mut self) -> Self {
        self.operational = true;
        self
    }
}

/// Whether a key must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Absent means this value, written as in the file but without quotes.
    Default(&'static str),
    /// Absent means something that the meaning explains.
    Optional,
    /// The key must be there.
    Required,
}

/// The type of a value.
#[derive(Debug)]
pub(super) enum Kind {
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// A calendar day.
    Date,
    /// A length of time, as in `90s` or `30d`.
    Duration,
    /// One of these kinds; each has another TOML type.
    Either(&'static [Self]),
    /// `true` or `false`.
    Flag,
    /// A whole number within bounds, both inclusive.
    Integer(u32, u32),
    /// An array.
    List(&'static Self),
    /// A table whose keys are free.
    MapOf(&'static Self),
    /// A name that stands in records and metrics: letters, digits, `-`, `_`, `.`.
    Name,
    /// A JSON Pointer to a member.
    Pointer,
    /// A table.
    Table(&'static Shape),
    /// A text, not empty, without control characters.
    Text,
}

/// A key that must be there.
pub(super) const fn required(key: &'static str, kind: Kind, meaning: &'static str) -> Field {
    Field { key, kind, need: Need::Required, meaning, operational: false }
}

/// A key that may be absent; the meaning says what that means.
pub(super) const fn optional(key: &'static str, kind: Kind, meaning: &'static str) -> Field {
    Field { key, kind, need: Need::Optional, meaning, operational: false }
}

/// A key that may be absent and then has this value.
pub(super) const fn defaulted(
    key: &'static str,
    kind: Kind,
    default: &'static str,
    meaning: &'static str,
) -> Field {
    Field { key, kind, need: Need::Default(default), meaning, operational: false }
}

impl Shape {
    pub(super) fn field(&self, key: &str) -> Option<&'static Field> {
        self.fields.iter().find(|f| f.key == key)
    }

    pub(super) fn keys(&self) -> Vec<&'static str> {
        self.fields.iter().map(|f| f.key).collect()
    }
}

impl Kind {
    /// The keys below a value of this kind, if it may be a table.
    pub(super) fn table(&self) -> Option<&'static Shape> {
        if let Self::Table(shape) = self {
            Some(shape)
        } else if let Self::Either(kinds) = self {
            kinds.iter().find_map(Self::table)
        } else {
            None
        }
    }

    /// The kind of the elements, if this is an array.
    pub(super) const fn item(&self) -> Option<&'static Self> {
        if let Self::List(item) = self { Some(item) } else { None }
    }

    /// The kind of an [`Kind::Either`] that has the value's TOML type; any other kind is itself.
    pub(super) fn chosen(&self, value: &DeValue<'_>) -> Option<&Self> {
        if let Self::Either(kinds) = self {
            return kinds.iter().find(|k| k.has_type_of(value));
        }
        self.has_type_of(value).then_some(self)
    }

    /// Whether a value has the TOML type of this kind.
    const fn has_type_of(&self, value: &DeValue<'_>) -> bool {
        match self {
            Self::Choice(_) | Self::Duration | Self::Name | Self::Pointer | Self::Text => {
                matches!(value, DeValue::String(_))
            }
            Self::Flag => matches!(value, DeValue::Boolean(_)),
            Self::Integer(..) => matches!(value, DeValue::Integer(_)),
            Self::Date => matches!(value, DeValue::Datetime(_)),
            Self::List(_) => matches!(value, DeValue::Array(_)),
            Self::Table(_) | Self::MapOf(_) => matches!(value, DeValue::Table(_)),
            Self::Either(_) => false,
        }
    }

    /// The kind in words, for messages and documentation.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Choice(values) => {
                let quoted: Vec<String> = values.iter().map(|v| format!("\"{v}\"")).collect();
                format!("one of {}", quoted.join(", "))
            }
            Self::Date => "a day as 2027-06-30".to_owned(),
            Self::Duration => "a length of time as \"90s\", \"15m\", \"2h\" or \"30d\"".to_owned(),
            Self::Either(kinds) => {
                let all: Vec<String> = kinds.iter().map(Self::describe).collect();
                all.join(", or ")
            }
            Self::Flag => "true or false".to_owned(),
            Self::Integer(min, max) => format!("a whole number from {min} to {max}"),
            Self::List(item) => format!("an array, each element {}", item.describe()),
            Self::MapOf(value) => format!("a table of names, each value {}", value.describe()),
            Self::Name => "a name of letters, digits, - _ .".to_owned(),
            Self::Pointer => "a JSON Pointer as \"/name\" or \"/outer/inner\"".to_owned(),
            Self::Table(shape) => format!("a table of {}", shape.keys().join(", ")),
            Self::Text => "a text".to_owned(),
        }
    }
}
