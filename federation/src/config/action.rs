//! The `action` of a claim rule.

use super::{claim::scalar, diagnostic::Report, table::Table};
use crate::residency::{Action, ClaimClass, Coarsening, Join};

/// Parameters, each with the coarsening that reads it.
const PARAMETERS: [(&str, &str); 4] = [
    ("countries", "country"),
    ("domains", "email-domain"),
    ("prefixes", "postal-prefix"),
    ("years", "age-over"),
];

/// Reads the `action` of a `[[claim]]` table.
pub(super) fn compile(
    claim: &Table<'_>,
    class: Option<ClaimClass>,
    report: &mut Report<'_>,
) -> Option<Action> {
    let raw = claim.raw("action")?;
    if let Some(name) = raw.value.as_str() {
        return match name {
            "drop" => Some(Action::Drop),
            "keep" => Some(Action::Keep),
            "pseudonymise" => Some(Action::Pseudonymise(Join::Subject)),
            "rename" => Some(Action::Rename),
            _ => None,
        };
    }
    let table = claim.table("action")?;
    let [kind] =
        table.present(&["coarsen", "constant", "map", "pseudonymise"]).try_into().unwrap_or([""]);
    let coarsening = table.text("coarsen").map(|t| t.value);
    for (key, owner) in PARAMETERS {
        if table.has(key) && coarsening.as_deref() != Some(owner) {
            let message = format!("`{key}` belongs to coarsen = \"{owner}\"");
            report.error(&table.place_of(key), message, None);
        }
    }
    match kind {
        "coarsen" => coarsen(&table, &coarsening?, report).map(Action::Coarsen),
        "constant" => table.raw("constant").and_then(|r| scalar(r.value)).map(Action::Constant),
        "map" => map(&table, report),
        "pseudonymise" => pseudonymise(&table, class, report),
        _ => {
            let hint = "write one of constant, map, pseudonymise, coarsen";
            report.error(&table.place, "an action does exactly one thing", Some(hint.to_owned()));
            None
        }
    }
}

fn map(table: &Table<'_>, report: &mut Report<'_>) -> Option<Action> {
    let pairs = table.pairs("map");
    if pairs.is_empty() {
        let hint = "write action = \"drop\" if that is meant".to_owned();
        report.error(&table.place_of("map"), "an empty map drops every value", Some(hint));
        return None;
    }
    let pair = |(from, to): (String, super::table::At<&toml::de::DeValue<'_>>)| {
        Some((from, to.value.as_str()?.to_owned()))
    };
    Some(Action::Map(pairs.into_iter().filter_map(pair).collect()))
}

fn pseudonymise(
    table: &Table<'_>,
    class: Option<ClaimClass>,
    report: &mut Report<'_>,
) -> Option<Action> {
    if table.text("pseudonymise")?.value == "subject" {
        return Some(Action::Pseudonymise(Join::Subject));
    }
    if matches!(class, Some(ClaimClass::Contact | ClaimClass::Identity)) {
        let message = "a join in the whole region is refused for contact and identity claims: \
                       such a pseudonym names a person as well as the value does";
        let hint = "write action = \"pseudonymise\"".to_owned();
        report.error(&table.place_of("pseudonymise"), message, Some(hint));
        return None;
    }
    Some(Action::Pseudonymise(Join::Region))
}

fn coarsen(table: &Table<'_>, kind: &str, report: &mut Report<'_>) -> Option<Coarsening> {
    match kind {
        "age-over" => {
            let Some(years) = table.integer("years") else {
                if !table.has("years") {
                    let hint = "write { coarsen = \"age-over\", years = 18 }".to_owned();
                    report.error(&table.place, "`age-over` needs `years`", Some(hint));
                }
                return None;
            };
            Some(Coarsening::AgeOver { years: u16::try_from(years).ok()? })
        }
        "country" => countries(table, report).map(|countries| Coarsening::Country { countries }),
        "email-domain" => {
            let domains = listed(table, "domains", report)?;
            let domains = domains.into_iter().map(|d| d.to_ascii_lowercase()).collect();
            Some(Coarsening::EmailDomain { domains })
        }
        "postal-prefix" => {
            let prefixes = listed(table, "prefixes", report)?;
            Some(Coarsening::PostalPrefix { prefixes })
        }
        "year" => Some(Coarsening::Year),
        _ => None,
    }
}

fn countries(table: &Table<'_>, report: &mut Report<'_>) -> Option<Vec<String>> {
    let codes = table.texts("countries");
    let is_code = |c: &str| c.len() == 2 && c.bytes().all(|b| b.is_ascii_uppercase());
    for code in codes.iter().filter(|c| !is_code(&c.value)) {
        let message = format!("`{}` is no country code of two capital letters", code.value);
        report.error(&code.place, message, Some("as in ISO 3166-1: \"DE\"".to_owned()));
    }
    codes.into_iter().map(|c| is_code(&c.value).then_some(c.value)).collect()
}

fn listed(table: &Table<'_>, key: &str, report: &mut Report<'_>) -> Option<Vec<String>> {
    let values = table.strings(key);
    if values.is_empty() {
        let message = format!("`{key}` is missing or empty: every value would be `other`");
        report.error(&table.place_of(key), message, None);
        return None;
    }
    Some(values)
}
