//! `demo --output json`: the journey as one JSON object. Its members are an interface.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    federation::{Agreed, Failover},
    files::Layout,
    rules::described,
    stage::Told,
};

/// The object.
#[derive(Serialize)]
pub(crate) struct Report<'j> {
    regions: Vec<Region<'j>>,
    exchange: Exchange<'j>,
    introspection: Introspection<'j>,
    audit: Audit<'j>,
    federation: Federation<'j>,
    failover: Lost<'j>,
}

#[derive(Serialize)]
struct Federation<'j> {
    /// Name of the leader's region.
    leader: &'j str,
    voters: u64,
    applied_index: u64,
}

#[derive(Serialize)]
struct Lost<'j> {
    killed: &'j str,
    new_leader: &'j str,
    milliseconds: f64,
}

#[derive(Serialize)]
struct Region<'j> {
    name: &'static str,
    issuer: &'j str,
    token_endpoint: String,
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
    /// The report of what was told of these regions.
    pub(crate) fn new(told: &'j Told, layouts: &[&'j Layout]) -> Self {
        let Told { journey, agreed, failover, .. } = told;
        let exchange = &journey.exchange;
        let rules = journey.steps.iter().map(|step| Rule {
            claim: &step.claim,
            action: described(step),
            rule: step.line.map(|line| format!("region.toml:{line}")),
        });
        Self {
            regions: layouts.iter().map(|layout| region(layout)).collect(),
            exchange: Exchange {
                global_claims: &journey.global_claims,
                regional_claims: &journey.regional.claims,
                rules: rules.collect(),
                access_token: &exchange.access_token,
                issued_token_type: &exchange.issued_token_type,
                token_type: &exchange.token_type,
                expires_in: exchange.expires_in,
                milliseconds: milliseconds(exchange.took),
            },
            introspection: Introspection {
                before: &journey.before,
                after_revocation: &journey.after,
            },
            audit: Audit { records: journey.audit.records, root: &journey.audit.root },
            federation: federation(agreed),
            failover: lost(failover),
        }
    }
}

fn region(layout: &Layout) -> Region<'_> {
    Region {
        name: layout.site.name,
        issuer: &layout.issuer,
        token_endpoint: format!("{}/token", layout.issuer),
        ca_file: layout.authority.as_ref().map(|path| path.display().to_string()),
    }
}

fn federation(agreed: &Agreed) -> Federation<'_> {
    let Agreed { leader, voters, applied_index, .. } = agreed;
    Federation { leader, voters: *voters, applied_index: *applied_index }
}

fn lost(failover: &Failover) -> Lost<'_> {
    let Failover { killed, new_leader, took } = failover;
    Lost { killed, new_leader, milliseconds: milliseconds(*took) }
}

fn milliseconds(took: Duration) -> f64 {
    let microseconds = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
    f64::from(microseconds) / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::testing;

    #[test]
    fn the_object_has_the_members_that_programs_rely_on() {
        let (told, layout) = (testing::told(), testing::layout());
        let value = serde_json::to_value(Report::new(&told, &[&layout])).unwrap();
        let names =
            |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
        assert_eq!(
            names(&value),
            ["audit", "exchange", "failover", "federation", "introspection", "regions"]
        );
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
        assert_eq!(names(&value["federation"]), ["applied_index", "leader", "voters"]);
        assert_eq!(names(&value["failover"]), ["killed", "milliseconds", "new_leader"]);
        assert_eq!(value["exchange"]["milliseconds"], 2.417);
    }

    #[test]
    fn a_claim_that_no_rule_names_has_no_rule_and_says_that_it_was_dropped() {
        let (told, layout) = (testing::told(), testing::layout());
        let value = serde_json::to_value(Report::new(&told, &[&layout])).unwrap();
        let rules = value["exchange"]["rules"].as_array().unwrap();
        let of = |claim: &str| rules.iter().find(|r| r["claim"] == claim).unwrap();
        assert_eq!(of("/phone_number")["action"], "drop");
        assert_eq!(of("/phone_number")["rule"], Value::Null);
        assert_eq!(of("/sid")["action"], "protocol");
        assert!(of("/email")["rule"].as_str().unwrap().starts_with("region.toml:"));
    }
}
