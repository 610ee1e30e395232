//! Files of the software key store that are missing, changed, open to others or another region's:
//! the node does not start, says which file and how to mend it, and makes nothing in its place.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use exequatur_federation::{jose::Algorithm, region::RegionId};
use exequatur_node::hsm::{
    KeyStore as _, Purpose,
    software::{SoftwareConfig, SoftwareKeyStore},
};

use super::program::{arguments, exequatur, refuse_to_start};
use crate::lab::{Lab, node::RunningNode, region::Variation};

/// Exit code for something that is wrong here.
const LOCAL: Option<i32> = Some(1);

/// What is done to the files, and words that the message must have.
struct Fault {
    name: &'static str,
    cause: fn(&Path),
    words: &'static [&'static str],
}

const FAULTS: &[Fault] = &[
    Fault {
        name: "the key file is missing",
        cause: |lab| fs::remove_file(lab.join("keys.sealed")).unwrap(),
        words: &["keys.sealed", "does not exist", "exequatur init"],
    },
    Fault {
        name: "one bit of the key file changed",
        cause: |lab| {
            let mut bytes = fs::read(lab.join("keys.sealed")).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            rewrite(&lab.join("keys.sealed"), &bytes);
        },
        words: &["keys.sealed", "does not open", "changed"],
    },
    Fault {
        name: "the key file is cut off",
        cause: |lab| {
            let bytes = fs::read(lab.join("keys.sealed")).unwrap();
            rewrite(&lab.join("keys.sealed"), &bytes[..bytes.len() - 1]);
        },
        words: &["keys.sealed"],
    },
    Fault {
        name: "the key file is empty",
        cause: |lab| rewrite(&lab.join("keys.sealed"), b""),
        words: &["keys.sealed"],
    },
    Fault {
        name: "the key file is something else",
        cause: |lab| rewrite(&lab.join("keys.sealed"), &[b'x'; 4_096]),
        words: &["keys.sealed"],
    },
    Fault {
        name: "the passphrase is missing",
        cause: |lab| fs::remove_file(lab.join("passphrase")).unwrap(),
        words: &["passphrase", "does not exist"],
    },
    Fault {
        name: "the passphrase is another",
        cause: |lab| rewrite(&lab.join("passphrase"), &[b'p'; 43]),
        words: &["keys.sealed", "does not open"],
    },
    Fault {
        name: "the passphrase is short",
        cause: |lab| rewrite(&lab.join("passphrase"), b"secret-passphrase"),
        words: &["passphrase", "bytes"],
    },
    Fault {
        name: "others can read the passphrase",
        cause: |lab| {
            fs::set_permissions(lab.join("passphrase"), fs::Permissions::from_mode(0o644)).unwrap();
        },
        words: &["passphrase", "0644", "chmod 600"],
    },
    Fault {
        name: "others can read the key file",
        cause: |lab| {
            fs::set_permissions(lab.join("keys.sealed"), fs::Permissions::from_mode(0o640))
                .unwrap();
        },
        words: &["keys.sealed", "0640", "chmod 600"],
    },
];

#[test]
fn a_broken_key_store_stops_the_start_and_nothing_is_made_in_its_place() {
    let lab = Lab::prepare(Variation::default());
    lab.initialise();
    let whole = files(lab.directory());
    for fault in FAULTS {
        restore(&whole);
        (fault.cause)(lab.directory());
        let before = files(lab.directory());
        let Err(error) = RunningNode::start(lab.directory(), &lab.seams()) else {
            panic!("{}: the node started", fault.name)
        };
        let message = error.to_string();
        for word in fault.words {
            assert!(message.contains(word), "{}: `{word}` is not in `{message}`", fault.name);
        }
        assert!(!message.contains("secret-passphrase"), "{message}");
        assert_eq!(files(lab.directory()), before, "{}", fault.name);
    }
    restore(&whole);
    RunningNode::start(lab.directory(), &lab.seams()).unwrap().stop();
}

#[test]
fn the_program_says_what_is_missing_and_ends_with_the_code_of_a_local_error() {
    let lab = Lab::prepare(Variation::default());
    let (code, told) = refuse_to_start(exequatur(&lab, "run"));
    assert_eq!(code, LOCAL);
    assert!(told.contains("passphrase") && told.contains("exequatur init"), "{told}");
    lab.initialise();
    fs::remove_file(lab.directory().join("region.db")).unwrap();
    let (code, told) = refuse_to_start(exequatur(&lab, "run"));
    assert_eq!(code, LOCAL);
    assert!(told.contains("region.db") && told.contains("exequatur init"), "{told}");
    assert!(!lab.directory().join("region.db").exists());
}

/// A token that was sealed under a newer version of a key than the node has: nothing is known of it,
/// and "inactive" would be a lie. With the key back it is active; one of the older version was all along.
#[test]
fn a_token_under_a_seal_key_that_is_not_here_is_neither_active_nor_inactive() {
    let mut lab = Lab::start();
    let older = lab.issued();
    lab.stop();
    let first = files(lab.directory());
    let made = Command::new(env!("CARGO_BIN_EXE_exequatur"))
        .args(["keys", "new", "trailer"])
        .args(arguments(lab.directory()))
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let both = files(lab.directory());
    lab.run();
    let newer = lab.issued();
    let active = |lab: &Lab, token: &str| {
        let answer = lab.send(&lab.introspect(token));
        assert_eq!(answer.status, 200);
        answer.json()["active"] == true
    };
    assert!(active(&lab, &older) && active(&lab, &newer));
    lab.stop();
    restore(&first);
    lab.run();
    assert!(active(&lab, &older));
    let unknown = lab.send(&lab.introspect(&newer));
    assert_eq!(
        (unknown.status, unknown.json()["error_id"].as_str()),
        (503, Some("seal_key_missing"))
    );
    assert!(unknown.json().get("active").is_none());
    lab.stop();
    restore(&both);
    lab.run();
    assert!(active(&lab, &older) && active(&lab, &newer));
}

/// A region that was initialised before there were such secrets gets them from `init`.
#[test]
fn a_region_that_lacks_a_secret_is_told_and_init_makes_it() {
    let lab = Lab::prepare(Variation::default());
    lab.initialise();
    let config = SoftwareConfig {
        region: RegionId::new("eu-central").unwrap(),
        key_file: lab.directory().join("keys.sealed"),
        passphrase_file: lab.directory().join("passphrase"),
    };
    // The key store of an earlier release: what it had, and nothing else.
    let open = || SoftwareKeyStore::open(config.clone(), lab.seams().entropy).unwrap();
    let pairwise = open().secret("pairwise").unwrap().unwrap();
    fs::remove_file(&config.key_file).unwrap();
    SoftwareKeyStore::initialise(config.clone(), lab.seams().entropy).unwrap();
    open().keep_secret("pairwise", &pairwise).unwrap();
    for purpose in [Purpose::AccessToken, Purpose::Response] {
        open().create(purpose, Algorithm::Es256).unwrap();
    }
    let Err(error) = RunningNode::start(lab.directory(), &lab.seams()) else {
        panic!("the node started")
    };
    let expected = "the key store has no ES256 key for `status_list`: run `exequatur init`";
    assert_eq!(error.to_string(), expected);
    let made = exequatur(&lab, "init").output().unwrap();
    let told = String::from_utf8(made.stdout).unwrap();
    assert!(told.starts_with("made status_list ES256 "), "{told}");
    assert!(told.contains("\nmade secret digest1\nmade secret trailer1\n"), "{told}");
    assert_eq!(open().secret("pairwise").unwrap().unwrap().expose(), pairwise.expose());
    RunningNode::start(lab.directory(), &lab.seams()).unwrap().stop();
}

/// Changes a file's content and keeps its mode.
fn rewrite(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
}

/// Writes files anew, open to their owner only.
fn restore(files: &[(PathBuf, Vec<u8>)]) {
    for (path, bytes) in files {
        fs::write(path, bytes).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

/// Name and content of every file but the database's own, which any opening touches.
fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let is_key = |path: &PathBuf| !path.display().to_string().contains("region.db");
    let mut found: Vec<_> =
        entries.filter(is_key).map(|path| (path.clone(), fs::read(&path).unwrap())).collect();
    found.sort();
    found
}
