//! Compares a parsed file with its [`Shape`] and reports every difference: unknown keys, missing
//! keys, values of the wrong type. Whoever compiles the file afterwards need not ask again.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    diagnostic::{Place, Report, meant, nearest},
    shape::{Kind, NAME_BYTES_MAX, Need, Shape, TEXT_BYTES_MAX},
};
use crate::{claims::Pointer, time::Ttl};

/// Checks one table, and everything in it.
pub(super) fn check_table(
    table: &DeTable<'_>,
    shape: &'static Shape,
    at: &Place,
    report: &mut Report<'_>,
) {
    for (key, value) in table.iter() {
        let name = key.get_ref().as_ref();
        let place = Place { span: key.span(), path: joined(&at.path, name) };
        match shape.field(name) {
            Some(field) => {
                let at_value = Place { span: value.span(), path: place.path };
                check_value(value, &field.kind, &at_value, report);
            }
            None => {
                let hint = meant(name, &shape.keys());
                report.error(&place, format!("unknown key `{name}`"), hint);
                // It may be a password that somebody wrote into the file. The span of a table
                // is its header.
                if value.span().start > key.span().end {
                    report.cover(value.span());
                }
            }
        }
    }
    for field in shape.fields.iter().filter(|f| f.need == Need::Required) {
        if !table.contains_key(field.key) {
            let message = format!("`{}` is missing", field.key);
            report.error(at, message, Some(format!("{}: {}", field.key, field.meaning)));
        }
    }
}

/// Joins a key to the path of its table.
pub(super) fn joined(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn check_value(
    value: &Spanned<DeValue<'_>>,
    kind: &'static Kind,
    at: &Place,
    report: &mut Report<'_>,
) {
    let Some(kind) = kind.chosen(value.get_ref()) else {
        let message = format!("expected {}, found {}", kind.describe(), named(value.get_ref()));
        report.error(at, message, None);
        return;
    };
    match (kind, value.get_ref()) {
        (Kind::Table(shape), DeValue::Table(table)) => check_table(table, shape, at, report),
        (Kind::MapOf(inner), DeValue::Table(table)) => {
            for (key, value) in table.iter() {
                let path = joined(&at.path, key.get_ref());
                check_value(value, inner, &Place { span: value.span(), path }, report);
            }
        }
        (Kind::List(inner), DeValue::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                let path = format!("{}[{index}]", at.path);
                check_value(item, inner, &Place { span: item.span(), path }, report);
            }
        }
        (kind, value) => {
            if let Some((message, hint)) = scalar_fault(kind, value) {
                report.error(at, message, hint);
            }
        }
    }
}

/// What is wrong with a scalar of the right TOML type.
fn scalar_fault(kind: &Kind, value: &DeValue<'_>) -> Option<(String, Option<String>)> {
    let text = value.as_str().unwrap_or_default();
    match kind {
        Kind::Text | Kind::Name if text.is_empty() => Some(("the text is empty".to_owned(), None)),
        Kind::Text if text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control) => {
            let message = format!(
                "the text has a control character or is longer than {TEXT_BYTES_MAX} bytes"
            );
            Some((message, None))
        }
        Kind::Name if !is_name(text) => {
            let message = format!(
                "`{}` is no name: use 1 to {NAME_BYTES_MAX} letters, digits, - _ .",
                text.escape_debug()
            );
            Some((message, None))
        }
        Kind::Choice(all) if !all.contains(&text) => {
            let hint = nearest(text, all.iter().copied());
            let hint = hint.map(|near| format!("did you mean `{near}`?"));
            Some((format!("`{text}` is not {}", kind.describe()), hint))
        }
        Kind::Duration => Ttl::parse(text).err().map(|e| (e.to_string(), None)),
        Kind::Pointer => Pointer::new(text).err().map(|e| (e.to_string(), None)),
        Kind::Integer(min, max) => {
            let number = integer(value);
            let fits = number.is_some_and(|n| (*min..=*max).contains(&n));
            (!fits).then(|| (format!("expected {}", kind.describe()), None))
        }
        Kind::Date => {
            let day = value.as_datetime().is_some_and(|d| d.date.is_some() && d.time.is_none());
            (!day).then(|| (format!("expected {}", kind.describe()), None))
        }
        Kind::Text
        | Kind::Name
        | Kind::Choice(_)
        | Kind::Either(_)
        | Kind::Flag
        | Kind::List(_)
        | Kind::MapOf(_)
        | Kind::Table(_) => None,
    }
}

fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    text.len() <= NAME_BYTES_MAX && text.bytes().all(plain)
}

/// A TOML integer as a number that is not negative and fits.
pub(super) fn integer(value: &DeValue<'_>) -> Option<u32> {
    let integer = value.as_integer()?;
    u32::from_str_radix(integer.as_str(), integer.radix()).ok()
}

const fn named(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
