//! The journey, told to a person at a terminal: what went in, what each rule did, what came out,
//! and what became of it. Every value is from the journey; nothing here asks anybody.

use std::{io, time::Duration};

use exequatur_federation::residency::{Cause, Outcome, Step, is_protocol_claim};
use serde_json::{Map, Value};

use super::{
    commands::Commands,
    configuration::{API, GATEWAY, OTHER_REGION},
    directory::Directory,
    journey::Journey,
    page::{COLUMNS, Cell, Page, Tone, cut},
    rules::described,
    stage::Told,
};

/// Width of the names of claims and facts: `signing_input_sha256` fits.
const NAME: usize = 20;
/// Width of what stands beside a name.
const VALUE: usize = COLUMNS - 3 - NAME - 2;
/// Hexadecimal digits in a line of an entry.
const DUMP: usize = 80;
/// Widths of the rules' table: line, claim, action, result.
const RULES: [usize; 4] = [4, 19, 23, 35];

/// What the demo is, before anything else.
pub(crate) fn opening(page: &mut Page<'_>) -> io::Result<()> {
    page.heading(
        "exequatur demo: a global token goes in, a regional token comes out, three regions agree",
    )?;
    page.gap()
}

/// One thing that is up: its name, what there is to say, and how long it took.
pub(crate) fn up(
    page: &mut Page<'_>,
    name: &str,
    said: &str,
    took: Option<Duration>,
) -> io::Result<()> {
    // Paths and addresses are never cut: they are there to be copied.
    let width = VALUE.saturating_sub(9).max(said.chars().count());
    let name = Cell::new(name, Tone::Good, NAME);
    let said = Cell::new(said, Tone::Plain, width);
    match took {
        Some(took) => {
            let took = format!("{:>4} ms", took.as_millis());
            page.row(&[name, said, Cell::new(&took, Tone::Dim, 7)])?;
        }
        None => page.row(&[name, said])?,
    }
    page.flush()
}

/// The whole journey.
pub(crate) fn tell(page: &mut Page<'_>, journey: &Journey, mint_url: &str) -> io::Result<()> {
    global_token(page, journey, mint_url)?;
    rules(page, journey)?;
    regional_token(page, journey)?;
    verification(page, journey)?;
    revocation(page, journey)?;
    refusal(page, journey)?;
    audit(page, journey)
}

/// What the regions do together.
pub(crate) fn together(page: &mut Page<'_>, told: &Told) -> io::Result<()> {
    let Told { agreed, entry, failover, .. } = told;
    page.heading("8  What the other regions hold of it: an entry of the log")?;
    page.note("exequatur cluster entry, asked of the last region")?;
    page.gap()?;
    fact(page, "entry", &entry.index.to_string(), Tone::Plain)?;
    for command in &entry.commands {
        page.paragraph(command, Tone::Plain)?;
    }
    let bytes = format!("{} bytes, no name, no claim:", entry.frame.len() / 2);
    page.note(&bytes)?;
    let mut rest = entry.frame.as_str();
    while let Some((line, more)) = rest.split_at_checked(DUMP.min(rest.len())) {
        if line.is_empty() {
            break;
        }
        page.row(&[Cell::new(line, Tone::Dim, DUMP)])?;
        rest = more;
    }
    page.heading(&format!("9  The leader is killed: {}", failover.killed))?;
    page.note("kill -9; the other regions elect the next one, and the killed region comes back")?;
    page.gap()?;
    fact(page, "term", &agreed.term.to_string(), Tone::Dim)?;
    let next = format!("{} after {} ms", failover.new_leader, failover.took.as_millis());
    fact(page, "next leader", &next, Tone::Good)
}

/// The last line, after everything ended.
pub(crate) fn ended(page: &mut Page<'_>, directory: &Directory) -> io::Result<()> {
    let files = if directory.is_kept() { "stays" } else { "is removed" };
    page.heading(&format!("Stopped; {} {files}.", directory.path().display()))?;
    page.flush()
}

/// What to copy, and how it ends.
pub(crate) fn closing(page: &mut Page<'_>, commands: Commands<'_>) -> io::Result<()> {
    page.heading("Your turn: the same by hand")?;
    page.gap()?;
    page.verbatim(&commands.script())?;
    page.heading("The audit log, and what an error means")?;
    page.gap()?;
    page.verbatim(&commands.records())?;
    page.heading("Other global tokens, for other answers")?;
    page.gap()?;
    page.verbatim(&commands.variants())?;
    let trust = commands.trust();
    if !trust.is_empty() {
        page.heading("Trust of the demo's authority, for Node.js, Python and others")?;
        page.gap()?;
        page.verbatim(&trust)?;
    }
    page.heading("Everything runs until Ctrl-C.")?;
    page.flush()
}

fn global_token(page: &mut Page<'_>, journey: &Journey, mint_url: &str) -> io::Result<()> {
    page.heading("1  A person's global token")?;
    page.note(&format!("POST {mint_url}"))?;
    page.gap()?;
    claims(page, &journey.global_claims)
}

fn rules(page: &mut Page<'_>, journey: &Journey) -> io::Result<()> {
    page.heading("2  What the rules of region.toml do to it")?;
    page.gap()?;
    let [line, claim, action, result] = RULES;
    page.row(&[
        Cell::new("line", Tone::Dim, line),
        Cell::new("claim", Tone::Dim, claim),
        Cell::new("action", Tone::Dim, action),
        Cell::new("result", Tone::Dim, result),
    ])?;
    let (protocol, rest): (Vec<&Step>, Vec<&Step>) =
        journey.steps.iter().partition(|step| step.cause == Some(Cause::Protocol));
    for step in rest {
        rule(page, step, journey)?;
    }
    let names: Vec<&str> = protocol.iter().map(|s| s.claim.trim_start_matches('/')).collect();
    page.gap()?;
    let words = format!(
        "The protocol's own ({}) are checked, then written anew or left out.",
        names.join(" ")
    );
    page.paragraph(&words, Tone::Dim)
}

fn rule(page: &mut Page<'_>, step: &Step, journey: &Journey) -> io::Result<()> {
    let number = step.line.map_or_else(|| "-".to_owned(), |line| line.to_string());
    let (result, tone) = match (step.outcome, &step.to, step.cause) {
        (Outcome::Released, Some(to), _) => match journey.regional.claims.get(to) {
            Some(value) => (format!("{to} = {}", text(value)), Tone::Good),
            None => (format!("{to}, but not to this resource"), Tone::Dim),
        },
        (_, _, Some(cause)) => (format!("dropped: {cause}"), Tone::Bad),
        (_, _, None) => ("dropped".to_owned(), Tone::Bad),
    };
    let [line, claim, action, width] = RULES;
    page.row(&[
        Cell::new(&format!("{number:>line$}"), Tone::Dim, line),
        Cell::new(&step.claim, Tone::Plain, claim),
        Cell::new(described(step), Tone::Plain, action),
        Cell::new(&cut(&result, width), tone, width),
    ])
}

fn regional_token(page: &mut Page<'_>, journey: &Journey) -> io::Result<()> {
    let exchange = &journey.exchange;
    let milliseconds = exchange.took.as_secs_f64() * 1000.0;
    page.heading(&format!("3  Exchanged for a regional token in {milliseconds:.1} ms"))?;
    page.note(&format!("POST {}   RFC 8693, as client {GATEWAY}", journey.endpoints.token))?;
    page.gap()?;
    fact(page, "issued_token_type", &exchange.issued_token_type, Tone::Plain)?;
    fact(page, "token_type", &exchange.token_type, Tone::Plain)?;
    fact(page, "expires_in", &exchange.expires_in.to_string(), Tone::Plain)?;
    fact(page, "scope", &exchange.scope, Tone::Plain)?;
    page.gap()?;
    page.note("its claims:")?;
    claims(page, &journey.regional.claims)
}

fn verification(page: &mut Page<'_>, journey: &Journey) -> io::Result<()> {
    let regional = &journey.regional;
    page.heading("4  Verified with the region's published keys alone")?;
    page.note(&format!("GET {}", journey.endpoints.jwks))?;
    page.gap()?;
    fact(page, "key", &format!("{}, {}", regional.kid, regional.algorithm), Tone::Plain)?;
    fact(page, "signature", "verifies", Tone::Good)?;
    fact(page, "typ, iss, aud, exp", "at+jwt, this region, the resource, not expired", Tone::Good)
}

fn revocation(page: &mut Page<'_>, journey: &Journey) -> io::Result<()> {
    page.heading("5  Introspected, revoked, introspected again")?;
    page.gap()?;
    let steps = [
        (&journey.endpoints.introspection, API, state(&journey.before)),
        (&journey.endpoints.revocation, GATEWAY, ("done".to_owned(), Tone::Plain)),
        (&journey.endpoints.introspection, API, state(&journey.after)),
    ];
    let width = steps.iter().map(|(url, ..)| url.chars().count()).max().unwrap_or_default();
    for (url, client, (said, tone)) in &steps {
        page.row(&[
            Cell::new("POST", Tone::Dim, 4),
            Cell::new(url, Tone::Dim, width),
            Cell::new(client, Tone::Plain, 14),
            Cell::new(said, *tone, 13),
        ])?;
    }
    Ok(())
}

fn state(answer: &Map<String, Value>) -> (String, Tone) {
    let active = answer.get("active").cloned().unwrap_or_default();
    let tone = if active == true { Tone::Good } else { Tone::Bad };
    (format!("active: {active}"), tone)
}

fn refusal(page: &mut Page<'_>, journey: &Journey) -> io::Result<()> {
    let refused = &journey.refused;
    page.heading(&format!("6  Refused: the token of a person at home in {OTHER_REGION}"))?;
    page.note(&format!("POST {}", journey.endpoints.token))?;
    page.gap()?;
    let answer = format!("{} {}", refused.status.as_u16(), refused.error);
    fact(page, "answer", &answer, Tone::Bad)?;
    fact(page, "error_description", &refused.description, Tone::Plain)?;
    fact(page, "error_id", &refused.error_id, Tone::Plain)?;
    fact(page, "", &format!("exequatur explain {}", refused.error_id), Tone::Dim)?;
    if let Some(home) = &refused.home_issuer {
        fact(page, "home_issuer", home, Tone::Plain)?;
    }
    fact(page, "request_id", &refused.request_id, Tone::Plain)
}

fn audit(page: &mut Page<'_>, journey: &Journey) -> io::Result<()> {
    page.heading("7  On record: what was saved before the regional token was signed")?;
    page.note("exequatur audit show")?;
    page.gap()?;
    for (name, value) in &journey.audit.record {
        fact(page, name, &text(value), Tone::Plain)?;
    }
    page.gap()?;
    page.note("exequatur audit verify")?;
    page.gap()?;
    fact(page, "records", &journey.audit.records.to_string(), Tone::Plain)?;
    fact(page, "root", &journey.audit.root, Tone::Plain)
}

/// Claims by name; the protocol's own step back.
fn claims(page: &mut Page<'_>, claims: &Map<String, Value>) -> io::Result<()> {
    for (name, value) in claims {
        let tone = if is_protocol_claim(name) { Tone::Dim } else { Tone::Plain };
        fact(page, name, &text(value), tone)?;
    }
    Ok(())
}

fn fact(page: &mut Page<'_>, name: &str, value: &str, tone: Tone) -> io::Result<()> {
    page.row(&[Cell::new(name, Tone::Dim, NAME), Cell::new(&cut(value, VALUE), tone, VALUE)])
}

/// A value as a person writes it: text without quotes, the rest as JSON.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::testing;

    const MINT_URL: &str = "http://127.0.0.1:40000/realms/global/mint";

    fn told(journey: &Journey, colour: bool) -> String {
        let mut out = Vec::new();
        tell(&mut Page::new(&mut out, colour), journey, MINT_URL).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_rule_is_told_with_its_line_and_the_value_in_the_regional_token() {
        let text = told(&testing::journey(), false);
        for line in [
            "     38  /realm_access/roles  map                      roles = [\"reader\"]",
            "     50  /email               coarsen to email-domain  email_domain = example.com",
            "     62  /name                drop                     dropped: the rule drops it",
            "      -  /phone_number        drop                     dropped: no rule names it",
        ] {
            assert!(text.lines().any(|told| told == line), "{line}\n{text}");
        }
        assert!(text.contains("The protocol's own (iss sid)"), "{text}");
    }

    #[test]
    fn the_story_fits_a_terminal_and_has_no_colour_unless_asked() {
        let text = told(&testing::journey(), false);
        for line in text.lines() {
            assert!(line.chars().count() <= COLUMNS, "{line}");
        }
        assert!(!text.contains('\u{1b}'), "{text:?}");
        assert!(told(&testing::journey(), true).contains('\u{1b}'));
    }

    #[test]
    fn the_access_token_itself_is_not_shown() {
        let journey = testing::journey();
        assert!(!told(&journey, false).contains(&journey.exchange.access_token));
    }

    #[test]
    fn the_refusal_names_what_an_operator_asks_for() {
        let text = told(&testing::journey(), false);
        for part in [
            "400 invalid_request",
            "exequatur explain home_region_elsewhere",
            "kD0a8cJvS1C3nS4m0o3k5w",
            "https://us-east.id.example",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn a_claim_that_the_resource_does_not_get_is_not_said_to_be_in_the_token() {
        let mut journey = testing::journey();
        journey.regional.claims.remove("roles");
        let text = told(&journey, false);
        assert!(text.contains("roles, but not to this resource"), "{text}");
    }
}
