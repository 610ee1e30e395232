//! Configuration files. A text with a line `%%` is a region's file and a federation's. Any other is
//! one of the two, by what it contains, beside an example of the other, so that one is whole.

#![no_main]

use exequatur_federation::config::{Compiled, Diagnostic, Severity, SourceFile, compile};
use libfuzzer_sys::fuzz_target;

/// What stands between a region's file and a federation's.
const BETWEEN: &str = "\n%%\n";
const FEDERATION: &str = include_str!("../../../region-configs/federation.toml");
const REGION: &str = include_str!("../../../region-configs/ap-southeast.toml");
const JWKS: &[u8] = include_bytes!("../../../region-configs/clients/orders-api.jwks");

const REGION_NAME: &str = "region.toml";
const FEDERATION_NAME: &str = "federation.toml";

fuzz_target!(|text: &str| {
    if let Some((region, federation)) = text.split_once(BETWEEN) {
        check(region, federation);
    } else if text.contains("[federation]") {
        check(REGION, text);
    } else {
        check(text, FEDERATION);
    }
});

fn check(region: &str, federation: &str) {
    let source =
        |name: &str, text: &str| SourceFile { name: name.to_owned(), text: text.to_owned() };
    let region = source(REGION_NAME, region);
    let federation = source(FEDERATION_NAME, federation);
    let outcome = compile(&region, &federation, &read);
    match &outcome {
        Ok(compiled) => {
            check_law(compiled);
            assert!(compiled.warnings.iter().all(|found| found.severity == Severity::Warning));
            check_findings(&compiled.warnings, &region, &federation);
        }
        Err(findings) => {
            assert!(!findings.is_empty(), "refused without a word");
            check_findings(findings, &region, &federation);
        }
    }
    let again = compile(&region, &federation, &read);
    assert_eq!(format!("{outcome:?}"), format!("{again:?}"), "two runs differ");
}

fn read(path: &str) -> Result<Vec<u8>, String> {
    if path == "absent" { Err("no such file".to_owned()) } else { Ok(JWKS.to_vec()) }
}

/// What holds for every law, whatever the files say.
fn check_law(compiled: &Compiled) {
    let law = &compiled.law;
    assert_eq!(law.region_issuers.get(&law.region), Some(&law.issuer), "another issuer");
    for (id, resource) in &law.resources {
        assert_eq!(law.resource(id).map(|found| &found.id), Some(id));
        for client in &resource.introspect_as {
            assert!(law.clients.contains_key(client), "`{id}` is introspected by nobody known");
        }
    }
}

/// Findings point into their file, and can be shown.
fn check_findings(findings: &[Diagnostic], region: &SourceFile, federation: &SourceFile) {
    for found in findings {
        let text = match found.file.as_str() {
            REGION_NAME => &region.text,
            FEDERATION_NAME => &federation.text,
            other => panic!("no file is called `{other}`"),
        };
        let line = found.line.checked_sub(1).and_then(|index| text.split('\n').nth(index));
        let line = line.unwrap_or_else(|| panic!("line {} is not in the file", found.line));
        let characters = line.chars().count();
        // The end of a line is a place as well: something is missing there.
        assert!((1..=characters + 1).contains(&found.column), "column {}", found.column);
        let room = (characters + 1 - found.column).max(1);
        assert!((1..=room).contains(&found.width), "width {} of {room}", found.width);
        assert!(!found.message.is_empty(), "nothing is said");
        check_excerpt(found, line);
        assert!(found.to_string().contains(&found.message), "the message is not shown");
    }
}

/// The excerpt is the line itself, less what is covered and the end of a line of Windows.
fn check_excerpt(found: &Diagnostic, line: &str) {
    let is = line.strip_suffix('\r').unwrap_or(line);
    let shown = found.excerpt.strip_suffix('\r').unwrap_or(&found.excerpt);
    // A carriage return inside a covered value is covered too.
    let is = if shown.chars().count() == line.chars().count() { line } else { is };
    assert_eq!(shown.chars().count(), is.chars().count(), "the excerpt of another line");
    let same = |(shown, is): (char, char)| shown == is || shown == '*';
    assert!(shown.chars().zip(is.chars()).all(same), "another excerpt");
}
