//! Where names may appear: each library has a home, and some modules must not know others. Paths are
//! followed through `crate::`, `super::` and grouped imports, not through re-exports.

use super::lexer::{self, Name};
use super::tree::{SourceFile, Violation, assert_bites, assert_none, files};

/// A library and the only places that may name it.
const HOMES: [(&str, &[&str]); 8] = [
    ("cryptoki", &["node/src/hsm/pkcs11"]),
    ("exequatur_sim", &["sim"]),
    ("openraft", &["node/src/consensus"]),
    ("prost", RPC),
    ("redb", &["node/src/consensus"]),
    ("sqlx", &["node/src/store", "node/tests/store"]),
    ("tonic", RPC),
    ("tonic_prost", RPC),
];

/// Protobuf types stay in conversions and services.
const RPC: &[&str] = &[
    "node/src/admin",
    "node/src/consensus/convert",
    "node/src/consensus/network",
    "node/src/consensus/service",
];

/// What the code of a place, tests aside, may know of the other modules of its crate.
enum Knows {
    AllBut(&'static [&'static str]),
    Only(&'static [&'static str]),
}

const LAYERS: [(&str, Knows); 2] = [
    // The façade sees traits: the issuer, the audit log, consensus and the revocation view.
    ("node/src/facade", Knows::AllBut(&["consensus", "hsm", "store"])),
    // Keys and signatures lie below everything but the seams.
    ("node/src/hsm", Knows::Only(&["clock", "crypto", "disk", "entropy", "hsm"])),
];

impl Knows {
    fn permits(&self, module: &str) -> bool {
        match self {
            Self::AllBut(hidden) => !hidden.contains(&module),
            // A type or macro at the root of the crate is not a module.
            Self::Only(known) => known.contains(&module) || module.contains(char::is_uppercase),
        }
    }
}

fn away_from_home(file: &SourceFile) -> Vec<Violation> {
    let mut found = Vec::new();
    for name in lexer::names(&file.code) {
        let names_a_crate = name.tail.is_some() || matches!(name.after, Some("use" | "crate"));
        let home = HOMES.iter().find(|(library, _)| *library == name.text);
        if let Some((library, homes)) = home
            && names_a_crate
            && !homes.iter().any(|place| file.lies_in(place))
        {
            let message = format!("`{library}` may be named only in {}", homes.join(", "));
            found.push(file.violation(name.line, message));
        }
    }
    found
}

fn across_layers(file: &SourceFile) -> Vec<Violation> {
    let Some((place, knows)) = LAYERS.iter().find(|(place, _)| file.lies_in(place)) else {
        return Vec::new();
    };
    let tests = lexer::test_lines(&file.code);
    let mut found = Vec::new();
    for name in lexer::names(&file.code) {
        if file.is_test() || tests.iter().any(|lines| lines.contains(&name.line)) {
            continue;
        }
        for module in crate_modules(file, &name) {
            if !knows.permits(module) {
                let message = format!("{place} must not know `crate::{module}`");
                found.push(file.violation(name.line, message));
            }
        }
    }
    found
}

/// The modules at the root of the crate that a path names.
fn crate_modules<'a>(file: &SourceFile, name: &Name<'a>) -> Vec<&'a str> {
    let Some(mut tail) = name.tail else { return Vec::new() };
    match name.text {
        "crate" => lexer::heads(tail),
        "super" => {
            let mut climbed = 1;
            while let Some(rest) = tail.strip_prefix("super") {
                let Some(rest) = rest.trim_start().strip_prefix("::") else { break };
                (tail, climbed) = (rest.trim_start(), climbed + 1);
            }
            if climbed == depth(&file.path) { lexer::heads(tail) } else { Vec::new() }
        }
        _ => Vec::new(),
    }
}

/// How many modules deep a file lies: `node/src/hsm/mod.rs` 1, `node/src/hsm/pkcs11/signer.rs` 3.
fn depth(path: &str) -> usize {
    let inside = path.split_once("/src/").map_or(path, |(_, inside)| inside);
    let parts = inside.split('/').count();
    if inside.ends_with("/mod.rs") { parts - 1 } else { parts }
}

#[test]
fn libraries_are_named_only_at_home() {
    assert_none(&files(&["rs"]).iter().flat_map(away_from_home).collect::<Vec<_>>());
}

#[test]
fn modules_know_only_what_lies_below_them() {
    assert_none(&files(&["rs"]).iter().flat_map(across_layers).collect::<Vec<_>>());
}

#[test]
fn bites_on_a_library_away_from_home() {
    let cases = [
        ("node/src/facade/token.rs", "use sqlx::Row;"),
        ("node/src/hsm/software.rs", "fn a(_: cryptoki::session::Session) {}"),
        ("node/src/hsm/pkcs11x.rs", "use cryptoki;"),
        ("node/src/audit/writer.rs", "type A = ::sqlx :: Pool<B>;"),
        ("node/src/revocation/probe.rs", "use openraft::{Raft, Config};"),
        ("node/src/consensus/log_store.rs", "use tonic::Status;"),
        ("node/src/node.rs", "extern crate exequatur_sim;"),
        ("federation/src/claims.rs", "#[derive(sqlx::FromRow)] struct A;"),
    ];
    for (path, line) in cases {
        let text = format!("//! A file.\n{line}\n");
        assert_bites(&away_from_home(&SourceFile::new(path, &text)), 2, "only in");
    }
}

#[test]
fn leaves_a_library_alone_at_home_and_in_talk() {
    let cases = [
        ("node/src/hsm/pkcs11/signer.rs", "use cryptoki::object::Attribute;"),
        ("node/src/hsm/pkcs11.rs", "use cryptoki::context::Pkcs11;"),
        ("node/src/store/sqlite/mod.rs", "use sqlx::SqlitePool;"),
        ("node/src/consensus/service.rs", "use tonic::Request;"),
        ("node/src/node.rs", "// sqlx::Pool is opened by the store\nuse crate::store::sqlx::A;"),
        ("node/src/node.rs", "let sqlx = \"sqlx::Pool\";"),
    ];
    for (path, text) in cases {
        let found = away_from_home(&SourceFile::new(path, text));
        assert!(found.is_empty(), "{path}: {text}: {found:?}");
    }
}

#[test]
fn bites_on_a_module_that_knows_what_lies_above_it() {
    let cases = [
        ("node/src/facade/token.rs", "use crate::store::Store;", "store"),
        ("node/src/facade/mod.rs", "use crate::{audit::AuditLog, hsm::Signer};", "hsm"),
        ("node/src/facade/revoke.rs", "use super::super::store;", "store"),
        ("node/src/facade/mod.rs", "use super::{clock, consensus::Raft};", "consensus"),
        ("node/src/hsm/software.rs", "fn a() { crate::audit::write() }", "audit"),
        ("node/src/hsm/pkcs11/signer.rs", "use super::super::super::facade::A;", "facade"),
        (
            "node/src/hsm/mod.rs",
            "use crate::{\n    clock::Clock,\n    upstream::A,\n};",
            "upstream",
        ),
    ];
    for (path, line, module) in cases {
        let text = format!("//! A file.\n{line}\n");
        let words = format!("`crate::{module}`");
        assert_bites(&across_layers(&SourceFile::new(path, &text)), 2, &words);
    }
}

#[test]
fn leaves_permitted_knowledge_alone() {
    let cases = [
        ("node/src/facade/token.rs", "use crate::issuer::Issuer;\nuse super::refusal;"),
        ("node/src/hsm/software.rs", "use crate::{clock::Clock, entropy::Entropy};"),
        ("node/src/hsm/pkcs11/signer.rs", "use super::super::Signer;"),
        ("node/src/hsm/mod.rs", "#[cfg(test)]\nmod tests {\n    use crate::audit::A;\n}"),
        ("node/src/node.rs", "use crate::{facade, hsm, store};"),
    ];
    for (path, text) in cases {
        let found = across_layers(&SourceFile::new(path, text));
        assert!(found.is_empty(), "{path}: {text}: {found:?}");
    }
}
