//! `init`, `run`, `hsm doctor`: keys and database are made by `init` alone.

use crate::region::{REGION, Region};

#[test]
fn init_makes_what_is_missing_and_then_nothing() {
    let region = Region::new();
    let first = region.run(&["init"]).done();
    assert!(first.starts_with("made access_token ES256 "), "{first}");
    assert!(
        first.ends_with("made the database\nregion `eu-central` is ready for `exequatur run`\n")
    );
    let second = region.run(&["init"]).done();
    assert_eq!(second, "nothing was missing\nregion `eu-central` is ready for `exequatur run`\n");
    let json = region.run(&["init", "--output", "json"]).json();
    assert_eq!((&json["region"], &json["database"]), (&"eu-central".into(), &false.into()));
}

#[test]
fn run_refuses_to_make_what_is_missing() {
    let region = Region::new();
    let told = region.run(&["run", "--log-level", "off"]);
    assert_eq!(
        region.without_directory(told.failed(1)),
        "error: `DIR/passphrase` does not exist: `exequatur init` makes it\n"
    );
    region.run(&["init"]).done();
    std::fs::remove_file(region.path("region.db")).unwrap();
    let told = region.run(&["run", "--log-level", "off"]);
    assert_eq!(
        region.without_directory(told.failed(1)),
        "error: `DIR/region.db` holds no database of a region with this node's log: run \
         `exequatur init`\n"
    );
    region.run(&["init"]).done();
    region.file(
        "region.toml",
        &REGION.replace("[store]", "access_token = { algorithm = \"EdDSA\" }\n\n[store]"),
    );
    assert_eq!(
        region.run(&["run", "--log-level", "off"]).failed(1),
        "error: the key store has no EdDSA key for `access_token`: run `exequatur init`\n"
    );
}

#[test]
fn keys_that_were_lost_are_not_silently_made_anew() {
    let region = Region::new();
    region.run(&["init"]).done();
    std::fs::remove_file(region.path("keys.sealed")).unwrap();
    let told = region.run(&["init"]).failed(1).to_owned();
    assert!(told.contains("restore the key file"), "{told}");
    assert!(!region.path("keys.sealed").exists(), "nothing was made in its place");
    let made = region.run(&["init", "--renames-every-subject"]).done();
    assert!(made.contains("made secret pairwise\n"), "{made}");
}

#[test]
fn a_start_that_fails_for_another_reason_does_not_touch_the_database() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let region = Region::new();
    region.run(&["init"]).done();
    // Without a database, whichever comes first is what the start complains of.
    std::fs::remove_file(region.path("region.db")).unwrap();
    let public = format!("public     = \"{address}\"");
    region.file("region.toml", &REGION.replace("public     = \"127.0.0.1:0\"", &public));
    let told = region.run(&["run", "--log-level", "off"]).failed(1).to_owned();
    let expected =
        format!("error: cannot listen on `{address}` (`listen.public`): Address already in use");
    assert!(told.starts_with(&expected), "{told}");
    assert_eq!(told.matches("in use").count(), 1, "{told}");
}

#[test]
fn the_doctor_says_which_check_fails() {
    let region = Region::new();
    let before = region.run(&["hsm", "doctor"]);
    assert_eq!(
        before.failed(4),
        "error: the key store is not as it must be: 1 of 1 checks failed\n"
    );
    assert!(before.out.starts_with("FAIL  key store: "), "{}", before.out);
    region.run(&["init"]).done();
    let after = region.run(&["hsm", "doctor"]).done();
    assert!(
        after.starts_with("ok    key store: it opens\nok    key access_token ES256: kid "),
        "{after}"
    );
    let json = region.run(&["hsm", "doctor", "--output", "json"]).json();
    assert_eq!(json["healthy"], true);
    assert_eq!(json["checks"].as_array().unwrap().len(), 7, "{json}");
}

#[test]
fn no_command_shows_the_passphrase() {
    let region = Region::new();
    region.run(&["init"]).done();
    let passphrase = std::fs::read_to_string(region.path("passphrase")).unwrap();
    let passphrase = passphrase.trim();
    assert!(passphrase.len() >= 32);
    for command in [["init", "--output"], ["config", "check"], ["hsm", "doctor"], ["audit", "show"]]
    {
        let arguments: Vec<&str> =
            if command[1] == "--output" { vec!["init"] } else { command.to_vec() };
        let text = region.run(&arguments).done();
        assert!(!text.contains(passphrase), "{text}");
    }
}
