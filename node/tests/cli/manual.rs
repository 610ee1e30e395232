//! Help, completions and man pages: all from one description.

use crate::exequatur;

#[test]
fn help_shows_exit_codes_and_examples() {
    let help = exequatur(["--help"]).done();
    assert!(help.contains("Exit codes: 0 done, 1 error here, 2 error elsewhere"), "{help}");
    for command in [
        "audit",
        "client",
        "cluster",
        "completions",
        "config",
        "explain",
        "hsm",
        "init",
        "man",
        "run",
        "token",
        "try",
    ] {
        assert!(help.contains(&format!("\n  {command} ")), "{command}\n{help}");
    }
    let of_try = exequatur(["try", "-h"]).done();
    assert!(of_try.contains("Examples:\n  exequatur try token.txt\n"), "{of_try}");
    assert!(exequatur(["--version"]).done().starts_with("exequatur "));
}

#[test]
fn completions_are_written_for_each_shell() {
    for (shell, part) in
        [("bash", "_exequatur()"), ("zsh", "#compdef exequatur"), ("fish", "complete -c exequatur")]
    {
        let script = exequatur(["completions", shell]).done();
        assert!(script.contains(part), "{shell}");
    }
    exequatur(["completions", "cmd.exe"]).failed(1);
}

#[test]
fn a_man_page_is_written_for_each_command() {
    let directory = tempfile::tempdir().unwrap();
    exequatur(["man", directory.path().to_str().unwrap()]).done();
    for page in ["exequatur.1", "exequatur-config-check.1", "exequatur-try.1"] {
        let text = std::fs::read_to_string(directory.path().join(page)).unwrap();
        assert!(text.contains(".TH"), "{page}");
    }
    let missing = exequatur(["man", "/nowhere/man"]);
    assert!(missing.failed(1).starts_with("error: no man page in `/nowhere/man`: "));
}
