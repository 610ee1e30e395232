//! `demo --output json`: the journey as one JSON object. Its members are an interface.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{configuration::REGION, files::Layout, journey::Journey, rules::described};

/// The object.
#[derive(Serialize)]
pub(crate) struct Report<'j> {
    regions: [Region<'j>; 1],
    exchange: Exchange<'j>,
    introspection: Introspection<'j>,
    audit: Audit<'j>,
}

#[derive(Serialize)]
struct Region<'j> {
    name: &'static str,
    issuer: &'j str,
    token_endpoint: &'j str,
    /// `null` over plain HTTP.
    ca_file: Option<String>,
}

#[derive(Serialize)]
struct Exchange<'j> {
    global_claims: &'j Map<String, Value>,
    regional_claims: &'j Map<String, Value>,
    rules: Vec<Rule<'j>>,
    access_token: &'j str,
    issued_token_type: &'j str,
    token_type: &'j str,
    expires_in: u64,
    milliseconds: f64,
}

#[derive(Serialize)]
struct Rule<'j> {
    /// JSON Pointer of the claim in the global token.
    claim: &'j str,
    action: &'static str,
    /// File and line, or `null` for a claim that no rule names.
    rule: Option<String>,
}

#[derive(Serialize)]
struct Introspection<'j> {
    before: &'j Map<String, Value>,
    after_revocation: &'j Map<String, Value>,
}

#[derive(Serialize)]
struct Audit<'j> {
    records: u64,
    root: &'j str,
}

impl<'j> Report<'j> {
    /// The report of a journey.
    pub(crate) fn new(journey: &'j Journey, layout: &'j Layout) -> Self {
        let exchange = &journey.exchange;
        let microseconds = u32::try_from(exchange.took.as_micros()).unwrap_or(u32::MAX);
        let rules = journey.steps.iter().map(|step| Rule {
            claim: &step.claim,
            action: described(step),
            rule: step.line.map(|line| format!("region.toml:{line}")),
        });
        Self {
            regions: [Region {
                name: REGION,
                issuer: &layout.issuer,
                token_endpoint: &journey.endpoints.token,
                ca_file: layout.authority.as_ref().map(|path| path.display().to_string()),
            }],
            exchange: Exchange {
                global_claims: &journey.global_claims,
                regional_claims: &journey.regional.claims,
                rules: rules.collect(),
                access_token: &exchange.access_token,
                issued_token_type: &exchange.issued_token_type,
                token_type: &exchange.token_type,
                expires_in: exchange.expires_in,
                milliseconds: f64::from(microseconds) / 1000.0,
            },
            introspection: Introspection {
                before: &journey.before,
                after_revocation: &journey.after,
            },
            audit: Audit { records: journey.audit.records, root: &journey.audit.root },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::testing;

    #[test]
    fn the_object_has_the_members_that_programs_rely_on() {
        let (journey, layout) = (testing::journey(), testing::layout());
        let value = serde_json::to_value(Report::new(&journey, &layout)).unwrap();
        let names =
            |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
        assert_eq!(names(&value), ["audit", "exchange", "introspection", "regions"]);
        assert_eq!(names(&value["regions"][0]), ["ca_file", "issuer", "name", "token_endpoint"]);
        assert_eq!(
            names(&value["exchange"]),
            [
                "access_token",
                "expires_in",
                "global_claims",
                "issued_token_type",
                "milliseconds",
                "regional_claims",
                "rules",
                "token_type"
            ]
        );
        assert_eq!(names(&value["exchange"]["rules"][0]), ["action", "claim", "rule"]);
        assert_eq!(names(&value["introspection"]), ["after_revocation", "before"]);
        assert_eq!(names(&value["audit"]), ["records", "root"]);
        assert_eq!(value["exchange"]["milliseconds"], 2.417);
    }

    #[test]
    fn a_claim_that_no_rule_names_has_no_rule_and_says_that_it_was_dropped() {
        let (journey, layout) = (testing::journey(), testing::layout());
        let value = serde_json::to_value(Report::new(&journey, &layout)).unwrap();
        let rules = value["exchange"]["rules"].as_array().unwrap();
        let of = |claim: &str| rules.iter().find(|r| r["claim"] == claim).unwrap();
        assert_eq!(of("/phone_number")["action"], "drop");
        assert_eq!(of("/phone_number")["rule"], Value::Null);
        assert_eq!(of("/sid")["action"], "protocol");
        assert!(of("/email")["rule"].as_str().unwrap().starts_with("region.toml:"));
    }
}
