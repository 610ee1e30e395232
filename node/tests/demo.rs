//! `exequatur demo` as a newcomer runs it: the built binary, a global issuer and a region of its
//! own. RFC 8693, RFC 7662, RFC 7009.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a failed setup step should fail the test"
)]

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use exequatur_federation::jose::UnverifiedJws;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// What the story begins each of its parts with.
const PARTS: [&str; 9] = [
    "1  A person's global token",
    "2  What the rules of region.toml do to it",
    "3  Exchanged for a regional token in",
    "4  Verified with the region's published keys alone",
    "5  Introspected, revoked, introspected again",
    "6  Refused: the token of a person at home in us-east",
    "7  On record: what was saved before the regional token was signed",
    "8  What the other regions hold of it: an entry of the log",
    "9  The leader is killed: ",
];
/// The last line before the demo waits for Ctrl-C.
const UP: &str = "Everything runs until Ctrl-C.";

#[test]
fn once_as_json_is_one_object_that_tells_the_whole_journey() {
    let outer = tempfile::tempdir().unwrap();
    let report = report(&outer.path().join("demo"), &[]);

    let region = &report["regions"][0];
    assert_eq!(region["name"], "eu-central");
    let issuer = region["issuer"].as_str().unwrap();
    assert!(issuer.starts_with("https://localhost:"), "{issuer}");
    assert_eq!(region["token_endpoint"], format!("{issuer}/token"));
    let authority = std::fs::read_to_string(region["ca_file"].as_str().unwrap()).unwrap();
    assert!(authority.starts_with("-----BEGIN CERTIFICATE-----"), "{authority}");
    require_the_journey(&report, issuer);
}

#[test]
fn over_plain_http_the_journey_is_the_same_and_there_is_no_authority() {
    let outer = tempfile::tempdir().unwrap();
    let report = report(&outer.path().join("demo"), &["--plain-http"]);
    let region = &report["regions"][0];
    let issuer = region["issuer"].as_str().unwrap();
    assert!(issuer.starts_with("http://127.0.0.1:"), "{issuer}");
    assert_eq!(region["ca_file"], Value::Null);
    require_the_journey(&report, issuer);
}

#[test]
fn with_softhsm_the_journey_is_the_same_and_no_key_is_in_a_file() {
    let outer = tempfile::tempdir().unwrap();
    let directory = outer.path().join("demo");
    let report = report(&directory, &["--hsm"]);
    require_the_journey(&report, report["regions"][0]["issuer"].as_str().unwrap());
    for region in ["eu-central", "us-east", "ap-southeast"] {
        assert!(!directory.join(region).join("keys.sealed").exists());
        assert!(directory.join(region).join("softhsm2-tokens").is_dir());
    }
}

#[test]
fn the_story_is_told_in_order_without_colour_and_fits_a_terminal() {
    let outer = tempfile::tempdir().unwrap();
    let output = require_success(demo(&outer.path().join("demo"), &["--once"]).output().unwrap());
    let story = String::from_utf8(output.stdout).unwrap();
    assert!(!story.contains('\u{1b}'), "colour without a terminal: {story:?}");
    let mut rest = story.as_str();
    assert!(story.contains("Revoke(Revoke { owner: RegionNumber(1), target: Status("), "{story}");
    for part in PARTS {
        rest = rest.split_once(part).unwrap_or_else(|| panic!("no `{part}` in\n{story}")).1;
    }
    let longest = story.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(longest <= 100, "a line of {longest} characters:\n{story}");
}

#[test]
fn a_signal_ends_the_demo_and_its_region_and_removes_what_is_temporary() {
    let outer = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_exequatur"));
    command.arg("demo").env("TMPDIR", outer.path());
    let mut running =
        Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
    let story: Vec<String> = lines.by_ref().map(Result::unwrap).take_while(|l| l != UP).collect();
    let told = story.join("\n");
    let ready = story.iter().find_map(|line| line.split_once("ready at ")).map(|(_, url)| url);
    let region = address(ready.unwrap_or_else(|| panic!("no region in\n{told}")));
    assert!(std::net::TcpStream::connect(region).is_ok(), "the region is not up:\n{told}");

    running.terminate();
    let status = running.0.wait().unwrap();
    assert!(status.success(), "{status}: {}", running.errors());
    assert!(std::net::TcpStream::connect(region).is_err(), "the region outlived the demo");
    assert_eq!(std::fs::read_dir(outer.path()).unwrap().count(), 0, "files were left");
}

#[test]
fn the_commands_that_it_prints_do_what_the_story_told() {
    let outer = tempfile::tempdir().unwrap();
    let child = demo(&outer.path().join("demo"), &[]).spawn().unwrap();
    let mut running = Running(child);
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let script: Vec<String> = lines
        .by_ref()
        .skip_while(|line| !line.starts_with("D="))
        .take_while(|line| !line.starts_with("The audit log"))
        .collect();
    let output = Command::new("sh").args(["-ec", &script.join("\n")]).output().unwrap();
    let output = require_success(output);
    // Three introspection and key answers stand behind each other; a revocation has no body.
    let answers = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>();
    let answers: Vec<Value> =
        answers.map(Result::unwrap).filter(|a| a.get("keys").is_none()).collect();
    let active: Vec<&Value> = answers.iter().filter_map(|answer| answer.get("active")).collect();
    assert_eq!(active, [&Value::Bool(true), &Value::Bool(false)], "{answers:?}");
}

#[test]
fn a_directory_that_holds_something_is_left_alone() {
    let outer = tempfile::tempdir().unwrap();
    std::fs::write(outer.path().join("mine"), "mine").unwrap();
    let output = demo(outer.path(), &["--once"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("is not empty"), "{errors}");
    assert_eq!(std::fs::read_dir(outer.path()).unwrap().count(), 1);
}

/// A demo that is killed when a test fails before it ended. Its region dies with it or is told to
/// by the signal that the demo handles, so the signal comes first.
struct Running(Child);

impl Running {
    fn terminate(&self) {
        let pid = Pid::from_raw(self.0.id().try_into().unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
    }

    fn errors(&mut self) -> String {
        let mut text = String::new();
        self.0.stderr.take().map(|mut errors| errors.read_to_string(&mut text));
        text
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.try_wait().is_ok_and(|ended| ended.is_some()) {
            return;
        }
        self.terminate();
        self.0.wait().ok();
    }
}

fn demo(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_exequatur"));
    command.arg("demo").arg("--dir").arg(directory).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn report(directory: &Path, arguments: &[&str]) -> Value {
    let arguments = [&["--once", "--output", "json"], arguments].concat();
    let output = require_success(demo(directory, &arguments).output().unwrap());
    serde_json::from_slice(&output.stdout).expect("standard output is one JSON object")
}

fn require_success(output: Output) -> Output {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    output
}

/// What is alike in every variant of the demo.
fn require_the_journey(report: &Value, issuer: &str) {
    let exchange = &report["exchange"];
    let global = &exchange["global_claims"];
    assert_eq!(global["email"], "demo.person@example.com");
    let regional = &exchange["regional_claims"];
    assert_eq!(regional["iss"], issuer);
    assert_eq!(regional["email_domain"], "example.com");
    assert_eq!(regional["age_over_18"], true);
    assert_eq!(regional["roles"], serde_json::json!(["reader", "editor"]));
    assert!(regional["account"].is_string(), "{regional}");
    assert_ne!(regional["sub"], global["sub"]);
    for dropped in ["name", "email", "phone_number", "birthdate", "preferred_username", "sid"] {
        assert!(regional.get(dropped).is_none(), "`{dropped}` left: {regional}");
    }
    require_the_rules(exchange);

    let token = UnverifiedJws::parse(exchange["access_token"].as_str().unwrap()).unwrap();
    assert_eq!(&Value::Object(token.into_payload()), regional);
    assert_eq!(exchange["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token");
    assert_eq!(exchange["token_type"], "Bearer");
    assert_eq!(exchange["expires_in"], 300);
    assert!(exchange["milliseconds"].as_f64().unwrap() > 0.0);

    let introspection = &report["introspection"];
    assert_eq!(introspection["before"]["active"], true);
    assert_eq!(introspection["before"]["sub"], regional["sub"]);
    assert_eq!(introspection["after_revocation"], serde_json::json!({ "active": false }));
    // At least: the node's start, the token, its revocation, the refusal.
    assert!(report["audit"]["records"].as_u64().unwrap() >= 4, "{}", report["audit"]);
    assert!(!report["audit"]["root"].as_str().unwrap().is_empty());
    require_the_federation(report);
}

/// Three regions agree, and go on when the leader is killed.
fn require_the_federation(report: &Value) {
    let names: Vec<&str> =
        report["regions"].as_array().unwrap().iter().map(|r| r["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["eu-central", "us-east", "ap-southeast"]);
    let federation = &report["federation"];
    let leader = federation["leader"].as_str().unwrap();
    assert!(names.contains(&leader), "{federation}");
    assert_eq!(federation["voters"], 3);
    assert!(federation["applied_index"].as_u64().unwrap() > 0, "{federation}");
    let failover = &report["failover"];
    assert_eq!(failover["killed"], leader);
    let next = failover["new_leader"].as_str().unwrap();
    assert!(names.contains(&next) && next != leader, "{failover}");
    assert!(failover["milliseconds"].as_f64().unwrap() > 0.0);
}

fn require_the_rules(exchange: &Value) {
    let rules = exchange["rules"].as_array().unwrap();
    for claim in exchange["global_claims"].as_object().unwrap().keys() {
        let explained = rules.iter().any(|rule| {
            let pointer = rule["claim"].as_str().unwrap();
            pointer.trim_start_matches('/').split('/').next() == Some(claim.as_str())
        });
        assert!(explained, "no rule says what became of `{claim}`: {rules:?}");
    }
    let of = |claim: &str| rules.iter().find(|rule| rule["claim"] == claim).unwrap();
    assert_eq!(of("/birthdate")["action"], "coarsen to age-over");
    assert!(of("/birthdate")["rule"].as_str().unwrap().starts_with("region.toml:"));
    assert_eq!(of("/phone_number")["rule"], Value::Null);
}

/// Address and port of `https://localhost:PORT/...`, up to the first space.
fn address(url: &str) -> std::net::SocketAddr {
    let port = url.split(':').nth(2).and_then(|rest| rest.split('/').next()).unwrap();
    format!("127.0.0.1:{port}").parse().unwrap()
}
