//! What the crates may depend on, and how the workspace's list of dependencies is kept.

use toml::{Table, Value};

use super::tree::{SourceFile, Violation, assert_bites, assert_none, file};

/// Everything that `federation` may be built with. None of these opens a file or a socket, asks for
/// the time, or draws a random number on its own. A new line here is a decision: say why in its
/// commit.
const FEDERATION_MAY_USE: [&str; 15] = [
    "aws-lc-rs",
    "base64",
    "crc32c",
    "curve25519-dalek",
    "flate2",
    "jiff",
    "postcard",
    "roaring",
    "serde",
    "serde_json",
    "signed_note",
    "thiserror",
    "tlog_tiles",
    "toml",
    "zeroize",
];
const FEDERATION_TESTS_MAY_USE: [&str; 1] = ["proptest"];

/// Dependencies point one way: `sim`, then `node`, then `federation`.
const FORBIDDEN_EDGES: [(&str, &[&str]); 2] = [
    ("federation/Cargo.toml", &["exequatur-node", "exequatur-sim"]),
    ("node/Cargo.toml", &["exequatur-sim"]),
];

const MEMBERS: [&str; 3] = ["federation/Cargo.toml", "node/Cargo.toml", "sim/Cargo.toml"];

/// A dependency of a manifest: the section it stands in, its name, its value.
struct Dependency {
    section: String,
    name: String,
    value: Value,
}

impl Dependency {
    fn is_for_tests(&self) -> bool {
        self.section.ends_with("dev-dependencies")
    }
}

/// Every dependency, of every kind and target. A renamed one counts under its real name.
fn dependencies(manifest: &SourceFile) -> Vec<Dependency> {
    let table: Table = manifest.text.parse().unwrap();
    let mut found = Vec::new();
    collect("", &table, &mut found);
    let targets = table.get("target").and_then(Value::as_table).into_iter().flatten();
    for (target, sections) in targets {
        collect(&format!("{target}."), sections.as_table().unwrap(), &mut found);
    }
    found
}

fn collect(prefix: &str, table: &Table, found: &mut Vec<Dependency>) {
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let entries = table.get(section).and_then(Value::as_table).into_iter().flatten();
        for (key, value) in entries {
            let renamed = value.get("package").and_then(Value::as_str);
            found.push(Dependency {
                section: format!("{prefix}{section}"),
                name: renamed.unwrap_or(key).to_owned(),
                value: value.clone(),
            });
        }
    }
}

fn unlisted(manifest: &SourceFile) -> Vec<Violation> {
    let mut found = Vec::new();
    for dependency in dependencies(manifest) {
        let name = dependency.name.as_str();
        let listed = FEDERATION_MAY_USE.contains(&name)
            || (dependency.is_for_tests() && FEDERATION_TESTS_MAY_USE.contains(&name));
        if !listed {
            let message = format!("`{name}` in [{}] is not on the list", dependency.section);
            found.push(manifest.violation(line_of(manifest, name), message));
        }
    }
    found
}

fn wrong_way(manifest: &SourceFile, forbidden: &[&str]) -> Vec<Violation> {
    dependencies(manifest)
        .iter()
        .filter(|dependency| forbidden.contains(&dependency.name.as_str()))
        .map(|Dependency { name, .. }| {
            let message = format!("`{name}` lies above: sim -> node -> federation");
            manifest.violation(line_of(manifest, name), message)
        })
        .collect()
}

/// Versions and features of a dependency are chosen once, in the workspace.
fn chosen_by_itself(manifest: &SourceFile) -> Vec<Violation> {
    dependencies(manifest)
        .iter()
        .filter(|dependency| dependency.value.get("workspace") != Some(&Value::Boolean(true)))
        .map(|Dependency { name, .. }| {
            let message = format!("`{name}` must be `workspace = true`");
            manifest.violation(line_of(manifest, name), message)
        })
        .collect()
}

fn without_lints(manifest: &SourceFile) -> Option<Violation> {
    let table: Table = manifest.text.parse().unwrap();
    let inherited = table.get("lints").and_then(|lints| lints.get("workspace"));
    (inherited != Some(&Value::Boolean(true)))
        .then(|| manifest.violation(1, "[lints] must be `workspace = true`"))
}

/// The workspace's list: in alphabetical order, each line with what the dependency is for.
fn unkept_list(workspace: &SourceFile) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut last = String::new();
    let lines = workspace.text.lines().enumerate();
    let list = lines
        .skip_while(|(_, line)| *line != "[workspace.dependencies]")
        .skip(1)
        .take_while(|(_, line)| !line.starts_with('['))
        .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    for (at, line) in list {
        let name = line.split([' ', '=', '.']).next().unwrap_or_default().to_owned();
        if name < last {
            found.push(workspace.violation(at + 1, format!("`{name}` stands after `{last}`")));
        }
        if !line.contains(" # ") && !line.contains("path = ") {
            found.push(workspace.violation(at + 1, format!("say what `{name}` is for")));
        }
        last = name;
    }
    found
}

/// Where the name stands, for the reader of a violation.
fn line_of(manifest: &SourceFile, name: &str) -> usize {
    manifest.text.lines().position(|line| line.contains(name)).map_or(1, |at| at + 1)
}

#[test]
fn federation_depends_on_nothing_that_does_input_or_output() {
    assert_none(&unlisted(&file("federation/Cargo.toml")));
}

#[test]
fn the_list_of_federation_holds_nothing_unused() {
    let used = dependencies(&file("federation/Cargo.toml"));
    for name in FEDERATION_MAY_USE.iter().chain(&FEDERATION_TESTS_MAY_USE) {
        assert!(used.iter().any(|dependency| dependency.name == *name), "`{name}` is not used");
    }
}

#[test]
fn dependencies_point_one_way() {
    for (path, forbidden) in FORBIDDEN_EDGES {
        assert_none(&wrong_way(&file(path), forbidden));
    }
}

#[test]
fn members_take_dependencies_and_lints_from_the_workspace() {
    for manifest in MEMBERS.map(file) {
        assert_none(&chosen_by_itself(&manifest));
        assert_none(&Vec::from_iter(without_lints(&manifest)));
    }
}

#[test]
fn the_workspace_says_what_each_dependency_is_for() {
    assert_none(&unkept_list(&file("Cargo.toml")));
}

#[test]
fn bites_on_a_dependency_that_is_not_on_the_list() {
    let planted = [
        "[dependencies]\ntokio.workspace = true\n",
        "[build-dependencies]\ntokio.workspace = true\n",
        "[target.'cfg(unix)'.dependencies]\ntokio.workspace = true\n",
        "[dependencies]\nserde = { package = \"tokio\", version = \"1\" }\n",
        "[dev-dependencies]\ntokio.workspace = true\n",
    ];
    for text in planted {
        assert_bites(&unlisted(&SourceFile::new("federation/Cargo.toml", text)), 2, "`tokio`");
    }
    let tests_only = "[dependencies]\nproptest.workspace = true\n";
    assert_bites(&unlisted(&SourceFile::new("federation/Cargo.toml", tests_only)), 2, "proptest");
}

#[test]
fn bites_on_a_dependency_that_points_the_wrong_way() {
    let text = "[dev-dependencies]\nexequatur-sim.workspace = true\n";
    let manifest = SourceFile::new("node/Cargo.toml", text);
    assert_bites(&wrong_way(&manifest, &["exequatur-sim"]), 2, "lies above");
}

#[test]
fn bites_on_a_member_that_chooses_by_itself() {
    let manifest = SourceFile::new("node/Cargo.toml", "[dependencies]\nserde = \"1\"\n");
    assert_bites(&chosen_by_itself(&manifest), 2, "workspace = true");
    assert_bites(&Vec::from_iter(without_lints(&manifest)), 1, "[lints]");
}

#[test]
fn bites_on_a_list_out_of_order_or_without_words() {
    let list = |lines: &str| {
        SourceFile::new(
            "Cargo.toml",
            &format!("[workspace.dependencies]\n{lines}[workspace.lints]\n"),
        )
    };
    assert_bites(&unkept_list(&list("b = \"1\" # x\na = \"1\" # y\n")), 3, "stands after");
    assert_bites(&unkept_list(&list("a = \"1\"\n")), 2, "say what");
    assert!(unkept_list(&list("a = \"1\" # x\nb = { path = \"b\" }\n")).is_empty());
}
