//! What the documentation tells people to type works: every line that begins with `$ ` in a
//! `console` block of a Markdown file is run by the built binary, is a target of the Makefile, or is
//! a `curl` that asks the region of the file's own `region.toml`, which is started for it.
//!
//! A file's commands run one after the other in a directory that holds `region-configs`, a global
//! token `token.txt`, and each `toml` block of the file whose first line names it (`# region.toml`).
//! A command must exit with 0, or as its trailing comment says (`# exit 3`), and each line shown
//! below it must be among its real ones; `…` stands for anything within a line.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a file that cannot be read or a program that cannot be started should fail the test"
)]

#[path = "harness/port.rs"]
mod port;
#[path = "harness/process.rs"]
mod process;

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
};

use exequatur_federation::jose::base64url;
use serde_json::json;
use tempfile::TempDir;

/// Folders that hold what was built, installed or found by a fuzzer.
const NOT_OURS: [&str; 6] = [".git", ".venv", "artifacts", "corpus", "node_modules", "target"];

/// Commands that do not end by themselves, each with the test that runs it.
const RUN_ELSEWHERE: [(&str, &str); 1] =
    [("exequatur run --config region.toml", "node/tests/cli/region.rs")];

/// Characters by which a shell would make something else of a command than its words.
const SHELL: [char; 12] = ['|', '<', '>', '&', ';', '"', '\'', '`', '\\', '*', '(', '{'];

/// Addresses of the documentation's region; ports that are free stand in for theirs.
const ADDRESSES: [&str; 2] = ["127.0.0.1:8443", "127.0.0.1:9090"];

/// A fenced block: its language, the line of its fence counted from 1, and its lines.
struct Block<'a> {
    language: &'a str,
    line: usize,
    lines: Vec<&'a str>,
}

/// A command that is shown: where, what, how it must end, and some lines that it must write.
#[derive(Debug, PartialEq, Eq)]
struct Shown<'a> {
    line: usize,
    words: &'a str,
    exit: i32,
    output: Vec<&'a str>,
}

#[test]
fn what_the_documentation_tells_people_to_type_works() {
    let mut commands = 0;
    let mut wrong = Vec::new();
    for path in markdown(&root()) {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.strip_prefix(root()).unwrap().display();
        commands += shown(&text).len();
        wrong.extend(check(&text).into_iter().map(|what| format!("{name}:{what}")));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(commands > 10, "only {commands} commands were found");
}

#[test]
fn the_front_door_shows_the_two_commands_of_a_newcomer() {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    let first: Vec<&str> = shown(&text).iter().take(2).map(|shown| shown.words).collect();
    assert_eq!(first, ["make demo", "make test"]);
}

#[test]
fn bites_on_what_does_not_work() {
    let cases = [
        ("$ exequatur explain scope_not_allowed\nno such line", "`no such line` is not in"),
        ("$ exequatur explain no_such_id", "exits with 1 and not 0"),
        ("$ exequatur explain scope_not_allowed  # exit 3", "exits with 0 and not 3"),
        ("$ exequatur explain | head", "more than words"),
        ("$ make coffee", "no target"),
        ("$ make", "no target"),
        ("$ wget https://example.com", "neither"),
        ("exequatur explain", "no command above it"),
    ];
    for (block, words) in cases {
        let found = check(&format!("# Title\n```console\n{block}\n```\n"));
        assert_eq!(found.len(), 1, "{block}: {found:?}");
        assert!(found.iter().all(|what| what.contains(words)), "{block}: {found:?}");
    }
}

#[test]
fn a_block_of_toml_that_names_its_file_is_there_for_the_commands() {
    let text = "```toml\n# federation.toml\n[federation]\nname = 7\n```\n\
                ```toml\n# region.toml\n[region]\n```\n```console\n\
                $ exequatur config check --config region.toml  # exit 1\n\
                …federation.toml:3:…\n```\n";
    let found = check(text);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_wildcard_stands_for_anything_within_a_line_and_nothing_else() {
    for (pattern, line, fits) in [
        ("made …", "made a key", true),
        ("kid …, …", "kid x, y", true),
        ("made …", "it made a key", false),
        ("… key", "made a key 7", false),
        ("a…a", "a", false),
        ("as it stands", "as it stands", true),
    ] {
        assert_eq!(matches(pattern, line), fits, "{pattern} / {line}");
    }
}

/// What is wrong with the commands of one file: `LINE: what`.
fn check(text: &str) -> Vec<String> {
    let scratch = scratch(text);
    let mut wrong: Vec<String> = blocks(text)
        .iter()
        .filter(|block| block.language == "console")
        .filter(|block| block.lines.first().is_some_and(|first| !first.starts_with("$ ")))
        .map(|block| format!("{}: the first line has no command above it", block.line + 1))
        .collect();
    let commands = shown(text);
    let asks = commands.iter().any(|shown| shown.words.starts_with("curl "));
    let region = asks.then(|| Region::start(scratch.path()));
    for shown in commands {
        let found = judge(&shown, scratch.path(), region.as_ref());
        wrong.extend(found.into_iter().map(|what| format!("{}: {what}", shown.line)));
    }
    wrong
}

fn judge(shown: &Shown<'_>, directory: &Path, region: Option<&Region>) -> Vec<String> {
    let Shown { words, .. } = shown;
    if let Some((_, test)) = RUN_ELSEWHERE.iter().find(|(command, _)| command == words) {
        assert!(root().join(test).exists(), "{test}");
        return Vec::new();
    }
    if words.contains(SHELL) {
        return vec![format!("`{words}` is more than words, and no shell runs it here")];
    }
    let mut split = words.split_whitespace();
    match split.next() {
        Some("exequatur") => {
            run(shown, Command::new(env!("CARGO_BIN_EXE_exequatur")).args(split), directory, None)
        }
        Some("curl") => {
            let asked = split.map(|word| region.map_or(word.to_owned(), |r| r.real(word)));
            let mut curl = Command::new("curl");
            run(shown, curl.arg("--disable").args(asked), directory, region)
        }
        Some("make") => {
            let target = split.next().unwrap_or_default();
            let known = !target.is_empty() && makefile_targets().iter().any(|t| t == target);
            if known { Vec::new() } else { vec![format!("`{target}` is no target of make")] }
        }
        _ => vec![format!("`{words}` is neither exequatur's nor make's nor curl's")],
    }
}

fn run(
    shown: &Shown<'_>,
    command: &mut Command,
    directory: &Path,
    region: Option<&Region>,
) -> Vec<String> {
    let ended = command.current_dir(directory).output().unwrap();
    let written = format!(
        "{}{}",
        String::from_utf8_lossy(&ended.stdout),
        String::from_utf8_lossy(&ended.stderr)
    );
    let written = region.map_or(written.clone(), |region| region.shown(&written));
    let mut wrong = Vec::new();
    let code = ended.status.code().unwrap_or(-1);
    if code != shown.exit {
        let (words, exit) = (shown.words, shown.exit);
        wrong.push(format!("`{words}` exits with {code} and not {exit}:\n{written}"));
    }
    for pattern in &shown.output {
        if !written.lines().any(|line| matches(pattern, line)) {
            wrong.push(format!("`{pattern}` is not in what `{}` writes:\n{written}", shown.words));
        }
    }
    wrong
}

/// The region of a file's `region.toml`, for its `curl` commands.
struct Region {
    real: [SocketAddr; 2],
    _process: process::Process,
}

impl Region {
    fn start(directory: &Path) -> Self {
        let real = ADDRESSES.map(|_| port::free_port());
        for name in ["region.toml", "federation.toml"] {
            let path = directory.join(name);
            let text = fs::read_to_string(&path)
                .unwrap_or_else(|_| panic!("a file that asks with curl has no `# {name}`"));
            fs::write(path, replaced(&text, ADDRESSES, &real.map(|a| a.to_string()))).unwrap();
        }
        let command = |verb: &str| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_exequatur"));
            command.args([verb, "--config", "region.toml"]).current_dir(directory);
            command
        };
        process::run_to_end(&mut command("init"));
        let mut process = process::Process::start(&mut command("run"), &directory.join("run.log"));
        while TcpStream::connect(real[0]).is_err() {
            process.require_running();
            std::thread::park_timeout(std::time::Duration::from_millis(20));
        }
        Self { real, _process: process }
    }

    /// A word of a command as it is typed here.
    fn real(&self, word: &str) -> String {
        replaced(word, ADDRESSES, &self.real.map(|address| address.to_string()))
    }

    /// What was written as the documentation shows it.
    fn shown(&self, written: &str) -> String {
        let real = self.real.map(|address| address.to_string());
        replaced(written, [&real[0], &real[1]], &ADDRESSES.map(str::to_owned))
    }
}

fn replaced(text: &str, from: [&str; 2], to: &[String; 2]) -> String {
    from.iter().zip(to).fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// Whether a line is as shown: `…` stands for anything.
fn matches(pattern: &str, line: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('…') else { return pattern == line.trim_end() };
    let Some(mut left) = line.strip_prefix(head) else { return false };
    let mut parts: Vec<&str> = rest.split('…').collect();
    let tail = parts.pop().unwrap_or_default();
    for part in parts {
        let Some((_, after)) = left.split_once(part) else { return false };
        left = after;
    }
    left.ends_with(tail)
}

fn shown(text: &str) -> Vec<Shown<'_>> {
    let mut found: Vec<Shown<'_>> = Vec::new();
    for block in blocks(text).into_iter().filter(|block| block.language == "console") {
        let before = found.len();
        for (at, line) in block.lines.iter().enumerate() {
            if let Some(typed) = line.strip_prefix("$ ") {
                let (words, exit) = typed.split_once("# exit ").unwrap_or((typed, "0"));
                found.push(Shown {
                    line: block.line + 1 + at,
                    words: words.trim(),
                    exit: exit.trim().parse().unwrap(),
                    output: Vec::new(),
                });
            } else if found.len() > before
                && let Some(last) = found.last_mut()
            {
                last.output.push(line.trim_end());
            }
        }
    }
    found
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut found = Vec::new();
    let mut open: Option<Block<'_>> = None;
    for (at, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(language), None) => {
                open = Some(Block { language: language.trim(), line: at + 1, lines: Vec::new() });
            }
            (Some(_), Some(block)) => found.push(block),
            (None, Some(mut block)) => {
                block.lines.push(line);
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    found
}

/// A directory in which the commands of a file find what they name.
fn scratch(text: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    copy(&root().join("region-configs"), &directory.path().join("region-configs"));
    fs::write(directory.path().join("token.txt"), global_token()).unwrap();
    for block in blocks(text).iter().filter(|block| block.language == "toml") {
        let name = block.lines.first().and_then(|first| first.strip_prefix("# "));
        if let Some(name) = name.filter(|name| name.ends_with(".toml") && !name.contains(' ')) {
            fs::write(directory.path().join(name), block.lines.join("\n")).unwrap();
        }
    }
    directory
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, to) = entry.map(|e| (e.path(), to.join(e.file_name()))).unwrap();
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}

/// A person's token as Keycloak writes it, valid for an hour from 1782000000. Its signature is
/// none: `try` looks at signatures only with a key set.
fn global_token() -> String {
    let header = json!({"alg": "ES256", "typ": "JWT", "kid": "example"});
    let claims = json!({
        "iss": "https://login.example.com/realms/global",
        "aud": ["https://exequatur.example"],
        "sub": "f3a1c0de",
        "typ": "Bearer",
        "azp": "gateway",
        "scope": "openid email orders:read",
        "email": "ada@example.com",
        "email_verified": true,
        "name": "Ada Example",
        "realm_access": {"roles": ["reader", "offline_access"]},
        "home_region": "eu",
        "iat": 1_782_000_000,
        "exp": 1_782_003_600,
    });
    let part = |value: &serde_json::Value| base64url(value.to_string().as_bytes());
    format!("{}.{}.{}", part(&header), part(&claims), base64url(&[7; 64]))
}

fn makefile_targets() -> Vec<String> {
    let text = fs::read_to_string(root().join("Makefile")).unwrap();
    let targets = text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
    targets.filter_map(|line| line.split_once(':')).map(|(name, _)| name.to_owned()).collect()
}

/// Every Markdown file of ours below a folder, in the order of the paths.
fn markdown(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !NOT_OURS.contains(&name.as_str()) {
            found.extend(markdown(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found
}

/// The top folder of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
