//! `explain`, `client secret`, and what wrong arguments get.

use crate::exequatur;
use crate::region::{REGION, Region};

#[test]
fn an_error_id_is_explained_also_as_a_whole_uri() {
    let text = "target_missing\n  \
                answer  HTTP 400, error `invalid_target`\n  \
                means   The request names no target, and the client has more than one.\n  \
                mend    Name one service by `resource` or `audience`.\n";
    assert_eq!(exequatur(["explain", "target_missing"]).done(), text);
    let uri = "https://eu.id.example/errors/target_missing";
    assert_eq!(exequatur(["explain", uri]).done(), text);
    let all = exequatur(["explain", "--output", "json"]).json();
    assert!(all.as_array().unwrap().iter().any(|e| e["error_id"] == "target_missing"));
}

#[test]
fn an_unknown_error_id_is_said_to_be_none() {
    assert_eq!(
        exequatur(["explain", "nonsense"]).failed(1),
        "error: `nonsense` is no error id: `exequatur explain` lists every id\n"
    );
}

#[test]
fn a_new_secret_fits_the_file_that_holds_only_its_hash() {
    let made = exequatur(["client", "secret", "--output", "json"]).json();
    let (secret, hash) = (made["client_secret"].as_str().unwrap(), &made["secret_sha256"]);
    assert_eq!(secret.len(), 43);
    let old = "sha256:AAAAAAAAAAAAAAAAAAAAAA:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let region = Region::with(&REGION.replace(old, hash.as_str().unwrap()));
    let checked = region.run(&["config", "check"]).done();
    assert!(!checked.contains(secret), "{checked}");
    let text = exequatur(["client", "secret"]).done();
    assert!(text.starts_with("Give this to the client; it is shown this once:\n"), "{text}");
    assert!(text.contains("auth = { secret_sha256 = [\"sha256:"), "{text}");
}

#[test]
fn wrong_arguments_are_an_error_here_and_get_a_suggestion() {
    let answer = exequatur(["confg", "check"]);
    assert!(
        answer.failed(1).contains("tip: a similar subcommand exists: 'config'"),
        "{}",
        answer.err
    );
    exequatur(["config", "check", "--confg", "x"]).failed(1);
    exequatur(["token", "verify", "x"]).failed(1);
    exequatur(["--output", "yaml", "explain"]).failed(1);
    assert_eq!(
        exequatur([""; 0]).failed(1).lines().next().unwrap_or_default(),
        "Gives global identity claims force in a region, under that region's law"
    );
}
