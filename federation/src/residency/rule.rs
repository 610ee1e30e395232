//! One claim rule: what it reads, what it does, and under which name the result leaves.
//!
//! Rules are made by `config` from `[[claim]]` tables, which also checks what a rule may do; here
//! are the types that the projection goes by.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::claims::Pointer;

/// One `[[claim]]` rule, compiled.
#[derive(Clone, Debug)]
pub struct ClaimRule {
    /// Line of the rule in the region's file, from 1.
    pub line: usize,
    /// The upstream it is for; `None` where the region has only one.
    pub upstream: Option<String>,
    /// Where the claim stands in the global token: the first place that holds a value counts.
    /// Empty only for a constant that is always released.
    pub from: Vec<Pointer>,
    /// What kind of claim it is.
    pub class: ClaimClass,
    /// What must hold for the rule to apply at all.
    pub when: Option<Condition>,
    /// How the value is taken apart.
    pub selector: Selector,
    /// Which values are acceptable.
    pub bounds: Bounds,
    /// What is done with it.
    pub action: Action,
    /// Its name here. A dropped claim has none; its rule carries the name it had.
    pub to: String,
    /// Whether a token is refused when the rule applies and releases nothing.
    pub required: bool,
}

/// What kind of claim a rule handles. The list is closed, so that a transfer register can count on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClaimClass {
    /// Reaches a person: e-mail, telephone, postal address.
    Contact,
    /// Says what a person may do: roles, groups, licences.
    Entitlement,
    /// Says who a person is: name, birth date, gender, picture, number.
    Identity,
    /// Says where a person is: country, postal code, time zone.
    Location,
    /// Says for whom a person works: department, employer, cost centre.
    Organisation,
    /// Says nothing about a person: versions, feature switches, assurance.
    Technical,
}

/// What must hold for a rule to apply.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Where the value stands.
    pub at: Pointer,
    /// What it must be: a text, a number or a flag.
    pub equals: Value,
}

/// How a value is taken apart before the action sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// The value must be an array; the action sees each element, or the member of it that the
    /// pointer names.
    Each(Option<Pointer>),
    /// The value must be an object; the action sees each of its member names.
    Keys,
    /// The value must be a text; the action sees each of its parts.
    Split(Separator),
    /// The value itself; of an array, each element.
    Whole,
}

/// What separates the parts of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Separator {
    /// A comma; white space around a part does not count.
    Comma,
    /// White space, as in `scope`.
    Space,
}

/// Which values are acceptable; others are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The only type that is let through, where the rule names one.
    pub kind: Option<ValueKind>,
    /// Longest text, in bytes.
    pub bytes_max: usize,
    /// Most elements of an array.
    pub items_max: usize,
}

/// Types of a value, or of each element of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// `true` or `false`.
    Flag,
    /// A number.
    Number,
    /// A text.
    Text,
}

/// What a rule does with a claim.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// The value is made less exact.
    Coarsen(Coarsening),
    /// A value of the file is released in its place.
    Constant(Value),
    /// Nothing is released: says in the file that this is meant.
    Drop,
    /// The value goes through unchanged, under its own name.
    Keep,
    /// Listed values become the values they are mapped to; all others are dropped.
    Map(BTreeMap<String, String>),
    /// The value is replaced by an HMAC under the pairwise key.
    Pseudonymise(Join),
    /// The value goes through unchanged, under another name.
    Rename,
}

/// Whose equal values get equal pseudonyms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// Everybody's in the region.
    Region,
    /// Those of one person.
    Subject,
}

/// How a value is made less exact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Coarsening {
    /// A birth date to whether the person is at least so many years old. The birthday counts from
    /// the first of the month after it, so that a change does not tell the day.
    AgeOver {
        /// The age, in years.
        years: u16,
    },
    /// An address, or a country code, to a country code.
    Country {
        /// Countries that are told apart; all others are `other`. Empty: every country.
        countries: Vec<String>,
    },
    /// A verified e-mail address to its domain.
    EmailDomain {
        /// Domains that are told apart; all others are `other`.
        domains: Vec<String>,
    },
    /// An address, or a postal code, to the longest listed prefix.
    PostalPrefix {
        /// Prefixes that are told apart; all others are `other`.
        prefixes: Vec<String>,
    },
    /// A birth date to its year.
    Year,
}

impl ClaimRule {
    /// Whether the rule is for tokens of this upstream.
    #[must_use]
    pub fn is_for(&self, upstream: &str) -> bool {
        self.upstream.as_deref().is_none_or(|name| name == upstream)
    }
}

impl ClaimClass {
    /// Every class, in the order in which the documentation lists them.
    pub const ALL: [Self; 6] = [
        Self::Identity,
        Self::Contact,
        Self::Location,
        Self::Organisation,
        Self::Entitlement,
        Self::Technical,
    ];

    /// The name in configuration files and registers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Contact => "contact",
            Self::Entitlement => "entitlement",
            Self::Identity => "identity",
            Self::Location => "location",
            Self::Organisation => "organisation",
            Self::Technical => "technical",
        }
    }
}

impl Action {
    /// The action in words, for explanations and records.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Coarsen(Coarsening::AgeOver { .. }) => "coarsen to age-over",
            Self::Coarsen(Coarsening::Country { .. }) => "coarsen to country",
            Self::Coarsen(Coarsening::EmailDomain { .. }) => "coarsen to email-domain",
            Self::Coarsen(Coarsening::PostalPrefix { .. }) => "coarsen to postal-prefix",
            Self::Coarsen(Coarsening::Year) => "coarsen to year",
            Self::Constant(_) => "constant",
            Self::Drop => "drop",
            Self::Keep => "keep",
            Self::Map(_) => "map",
            Self::Pseudonymise(Join::Region) => "pseudonymise in the region",
            Self::Pseudonymise(Join::Subject) => "pseudonymise",
            Self::Rename => "rename",
        }
    }

    /// Whether a value of the global token leaves as it is.
    #[must_use]
    pub const fn carries_value(&self) -> bool {
        matches!(self, Self::Keep | Self::Rename)
    }
}
