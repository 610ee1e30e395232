//! The canonical form of the law in `federation.toml`, and its digest: what nodes compare.
//!
//! It is JSON without white space. Tables become objects with their keys sorted by bytes; arrays of
//! tables are sorted by the text of their elements, because their order means nothing; other arrays
//! keep their order. Only keys that the file has are written, never defaults, so that a later
//! release that knows more keys finds the same digest. Keys that the shape marks as operational are
//! left out: an address or a certificate may change without a change of law.

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::{
    check::integer,
    shape::{Kind, Shape},
};
use crate::jose::sha256;

/// SHA-256 over the canonical form.
pub(super) fn digest(table: &DeTable<'_>, shape: &Shape) -> [u8; 32] {
    sha256(of_table(table, Some(shape)).as_bytes())
}

fn of_table(table: &DeTable<'_>, shape: Option<&Shape>) -> String {
    let mut members = Vec::new();
    for (key, value) in table.iter() {
        let field = shape.and_then(|shape| shape.field(key.get_ref()));
        if !field.is_some_and(|field| field.operational) {
            members.push((key.get_ref(), of_value(value.get_ref(), field.map(|f| &f.kind))));
        }
    }
    members.sort();
    let members: Vec<String> =
        members.into_iter().map(|(key, value)| format!("{}:{value}", text(key))).collect();
    format!("{{{}}}", members.join(","))
}

fn of_value(value: &DeValue<'_>, kind: Option<&Kind>) -> String {
    match value {
        DeValue::String(content) => text(content),
        DeValue::Boolean(flag) => flag.to_string(),
        // The check has refused numbers that do not fit, and neither of the other two kinds
        // stands in this file.
        DeValue::Integer(_) => integer(value).unwrap_or_default().to_string(),
        DeValue::Float(number) => text(number.as_str()),
        DeValue::Datetime(time) => text(&time.to_string()),
        DeValue::Table(table) => of_table(table, kind.and_then(Kind::table)),
        DeValue::Array(items) => {
            let item = kind.and_then(Kind::item);
            let mut texts: Vec<String> =
                items.iter().map(|i| of_value(i.get_ref(), item)).collect();
            if item.is_some_and(|item| item.table().is_some()) {
                texts.sort();
            }
            format!("[{}]", texts.join(","))
        }
    }
}

/// A text as JSON writes it.
fn text(content: &str) -> String {
    Value::from(content).to_string()
}
