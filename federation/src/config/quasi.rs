//! Warns where quasi-identifiers leave together: facts that name nobody alone, but few people or
//! one when joined. Birth date, sex and postal code are enough for most of a population (Sweeney,
//! "Simple Demographics Often Identify People Uniquely", 2000).

use std::collections::BTreeMap;

use super::{diagnostic::Report, region::Tables};
use crate::residency::{Action, ClaimRule, Coarsening};

/// So many that leave together are warned of.
const TOGETHER: usize = 3;

/// Member names of a global token and the fact that each tells.
const FACTS: [(&str, &str); 22] = [
    ("birth_year", "birth date"),
    ("birthdate", "birth date"),
    ("birthday", "birth date"),
    ("city", "place"),
    ("country", "country"),
    ("ctry", "country"),
    ("department", "department"),
    ("gender", "gender"),
    ("jobtitle", "job"),
    ("job_title", "job"),
    ("locale", "language"),
    ("locality", "place"),
    ("nationality", "nationality"),
    ("postal_code", "postal code"),
    ("postalcode", "postal code"),
    ("region", "place"),
    ("sex", "gender"),
    ("street_address", "place"),
    ("title", "job"),
    ("xms_pl", "language"),
    ("zip", "postal code"),
    ("zoneinfo", "time zone"),
];

/// Warns for each resource and transfer that gets several facts about one provider's people.
pub(super) fn check(tables: &Tables<'_>, report: &mut Report<'_>) {
    let resources = tables.resources.iter().map(|(t, r)| (t, &r.claims));
    let transfers = tables.transfers.iter().map(|(t, r)| (t, &r.claims));
    for (table, claims) in resources.chain(transfers) {
        let mut by_upstream: BTreeMap<Option<&str>, BTreeMap<&str, &str>> = BTreeMap::new();
        for (_, rule) in tables.rules.iter().filter(|(_, r)| claims.contains(&r.to)) {
            if let Some(fact) = fact(rule) {
                let facts = by_upstream.entry(rule.upstream.as_deref()).or_default();
                facts.insert(fact, &rule.to);
            }
        }
        let Some(facts) = by_upstream.into_values().find(|f| f.len() >= TOGETHER) else { continue };
        let listed: Vec<String> =
            facts.iter().map(|(fact, claim)| format!("{fact} (`{claim}`)")).collect();
        let message = format!("together these may tell who a person is: {}", listed.join(", "));
        let hint = "leave one out, or coarsen it further".to_owned();
        report.warning(&table.place_of("claims"), message, Some(hint));
    }
}

/// The fact that a rule lets through, if it lets one through.
fn fact(rule: &ClaimRule) -> Option<&'static str> {
    match &rule.action {
        // Whether somebody is of age tells one bit; a pseudonym tells nothing of the value.
        Action::Coarsen(Coarsening::AgeOver { .. } | Coarsening::EmailDomain { .. })
        | Action::Constant(_)
        | Action::Drop
        | Action::Pseudonymise(_) => None,
        Action::Coarsen(Coarsening::Country { .. }) => Some("country"),
        Action::Coarsen(Coarsening::PostalPrefix { .. }) => Some("postal code"),
        Action::Coarsen(Coarsening::Year) => Some("birth date"),
        Action::Keep | Action::Map(_) | Action::Rename => {
            let names = rule.from.iter().map(|p| p.last_member().to_ascii_lowercase());
            let found = names.filter_map(|n| FACTS.iter().find(|(name, _)| *name == n));
            found.map(|(_, fact)| *fact).next()
        }
    }
}
