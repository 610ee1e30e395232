//! What holds for each file by itself: its size, its name, its first words, and what must not be
//! left in it.

use super::lexer;
use super::tree::{SourceFile, Violation, assert_bites, assert_none, file, files};

/// Above this a file holds more than one idea. Lines of tests do not count.
const LINES_MAX: usize = 500;
/// Above this a file is listed in the output of its test, as a hint.
const LINES_WISHED: usize = 250;

/// Names that say nothing, so that anything could go in.
const DUMPING_GROUNDS: [&str; 11] = [
    "common", "helper", "helpers", "manager", "managers", "misc", "service2", "type", "types",
    "util", "utils",
];
/// These also say nothing as a part of a name; `common` and `types` may there (`common_name`).
const DUMPING_WORDS: [&str; 7] =
    ["helper", "helpers", "manager", "managers", "misc", "util", "utils"];

/// What a region declares is data.
const REGION_CONFIG_EXTENSIONS: [&str; 4] = ["json", "jwks", "md", "toml"];
/// Members of a JWK that are secret (RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1).
const PRIVATE_JWK_MEMBERS: [&str; 8] = ["d", "dp", "dq", "k", "oth", "p", "q", "qi"];

fn oversized(file: &SourceFile, limit: usize) -> Option<Violation> {
    let tested: usize =
        lexer::test_lines(&file.code).iter().map(|lines| lines.end() - lines.start() + 1).sum();
    let lines = if file.is_test() { 0 } else { file.text.lines().count() - tested };
    (lines > limit).then(|| file.violation(limit, format!("{lines} lines, more than {limit}")))
}

fn dumping_ground(file: &SourceFile) -> Option<Violation> {
    let says_nothing = |name: &str| {
        let words = || name.split(['_', '-']);
        DUMPING_GROUNDS.contains(&name) || words().any(|word| DUMPING_WORDS.contains(&word))
    };
    let stems = file.path.split('/').map(|part| part.split('.').next().unwrap_or_default());
    let name = stems.into_iter().find(|stem| says_nothing(stem))?;
    Some(file.violation(1, format!("`{name}` says nothing: name the noun of the domain")))
}

fn undocumented(file: &SourceFile) -> Option<Violation> {
    let says = |line: &str| line.strip_prefix("//!").is_some_and(|words| !words.trim().is_empty());
    let documented = file.text.lines().next().is_some_and(says);
    (!documented).then(|| file.violation(1, "starts without `//!`: say what the file owns"))
}

fn unfinished(file: &SourceFile) -> Vec<Violation> {
    let marks = ["#[ignore", "todo!", "unimplemented!"];
    let mut found = Vec::new();
    for (at, line) in file.code.lines().enumerate() {
        for mark in marks.iter().filter(|mark| line.contains(**mark)) {
            found.push(file.violation(at + 1, format!("`{mark}` is left in the code")));
        }
    }
    found
}

fn not_data(path: &str) -> Option<Violation> {
    let file = SourceFile::new(path, "");
    let extension = path.rsplit('.').next().unwrap_or_default();
    let data = REGION_CONFIG_EXTENSIONS.contains(&extension);
    (file.lies_in("region-configs") && !data)
        .then(|| file.violation(1, "region-configs holds TOML, JSON and Markdown only"))
}

fn private_key(file: &SourceFile) -> Option<Violation> {
    let set: serde_json::Value = serde_json::from_str(&file.text).unwrap();
    let keys = set["keys"].as_array().map_or(std::slice::from_ref(&set), Vec::as_slice);
    let member =
        PRIVATE_JWK_MEMBERS.iter().find(|member| keys.iter().any(|k| !k[member].is_null()))?;
    Some(file.violation(1, format!("`{member}` belongs to a private key")))
}

#[test]
#[expect(clippy::print_stdout, reason = "a hint for who looks, not a failure")]
fn no_file_outgrows_its_limit() {
    let files = files(&["rs"]);
    for hint in files.iter().filter_map(|file| oversized(file, LINES_WISHED)) {
        println!("{hint}");
    }
    assert_none(&files.iter().filter_map(|file| oversized(file, LINES_MAX)).collect::<Vec<_>>());
}

#[test]
fn no_file_has_a_name_that_says_nothing() {
    assert_none(&files(&["rs"]).iter().filter_map(dumping_ground).collect::<Vec<_>>());
}

#[test]
fn every_file_says_first_what_it_owns() {
    assert_none(&files(&["rs"]).iter().filter_map(undocumented).collect::<Vec<_>>());
}

#[test]
fn nothing_is_left_unfinished_or_switched_off() {
    assert_none(&files(&["rs"]).iter().flat_map(unfinished).collect::<Vec<_>>());
}

#[test]
fn region_configs_are_data() {
    let everything = files(&["json", "jwk", "md", "pem", "py", "rs", "sh", "toml", "yaml", "yml"]);
    let found: Vec<Violation> = everything.iter().filter_map(|f| not_data(&f.path)).collect();
    assert_none(&found);
}

#[test]
fn region_configs_hold_no_private_key() {
    let everything = files(&["json", "jwk", "jwks"]);
    let configs = everything.iter().filter(|file| file.lies_in("region-configs"));
    assert_none(&configs.filter_map(private_key).collect::<Vec<_>>());
}

#[test]
fn this_file_passes_its_own_rules() {
    let this = file("federation/tests/tidy/files.rs");
    assert!(unfinished(&this).is_empty() && undocumented(&this).is_none());
}

#[test]
fn bites_on_a_file_that_is_too_long() {
    let long = "fn a() {}\n".repeat(LINES_MAX + 1);
    let source = SourceFile::new("node/src/a.rs", &long);
    assert_bites(&Vec::from_iter(oversized(&source, LINES_MAX)), LINES_MAX, "501 lines");
}

#[test]
fn does_not_count_the_lines_of_tests() {
    let mut text = "fn a() {}\n".repeat(LINES_MAX);
    text.push_str("#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n");
    assert_eq!(oversized(&SourceFile::new("node/src/a.rs", &text), LINES_MAX), None);
    assert_eq!(oversized(&SourceFile::new("node/tests/a.rs", &text.repeat(2)), LINES_MAX), None);
}

#[test]
fn bites_on_a_name_that_says_nothing() {
    for path in ["node/src/utils.rs", "node/src/common/mod.rs", "node/src/session_manager.rs"] {
        assert!(dumping_ground(&SourceFile::new(path, "")).is_some(), "{path}");
    }
    for path in ["node/src/common_name.rs", "node/src/audit/record.rs", "node/src/managed.rs"] {
        assert_eq!(dumping_ground(&SourceFile::new(path, "")), None, "{path}");
    }
}

#[test]
fn bites_on_a_file_without_its_first_words() {
    for text in ["use std::fmt;\n", "//!\nuse std::fmt;\n", "", "// Not documentation.\n"] {
        let found = Vec::from_iter(undocumented(&SourceFile::new("node/src/a.rs", text)));
        assert_bites(&found, 1, "starts without");
    }
}

#[test]
fn bites_on_unfinished_code_but_not_on_talk_about_it() {
    for line in ["#[ignore = \"slow\"]", "    todo!()", "    unimplemented!(\"later\")"] {
        let text = format!("//! A file.\n{line}\n");
        assert_bites(&unfinished(&SourceFile::new("node/src/a.rs", &text)), 2, "is left");
    }
    let talk = SourceFile::new("node/src/a.rs", "// todo!\nconst A: &str = \"#[ignore]\";\n");
    assert!(unfinished(&talk).is_empty());
}

#[test]
fn bites_on_code_among_the_region_configs() {
    assert_bites(&Vec::from_iter(not_data("region-configs/eu-central.py")), 1, "TOML");
    assert_eq!(not_data("region-configs/eu-central.toml"), None);
    assert_eq!(not_data("node/src/a.rs"), None);
}

#[test]
fn bites_on_a_private_key() {
    let file = |text: &str| SourceFile::new("region-configs/clients/a.jwks", text);
    let private = file(r#"{"keys": [{"kty": "EC", "x": ""}, {"kty": "EC", "x": "", "d": ""}]}"#);
    assert_bites(&Vec::from_iter(private_key(&private)), 1, "`d`");
    assert_bites(&Vec::from_iter(private_key(&file(r#"{"kty": "oct", "k": "AA"}"#))), 1, "`k`");
    assert_eq!(private_key(&file(r#"{"keys": [{"kty": "EC", "x": "", "y": ""}]}"#)), None);
}
