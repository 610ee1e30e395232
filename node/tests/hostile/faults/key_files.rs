//! Files of the software key store that are missing, changed, open to others or another region's:
//! the node does not start, says which file and how to mend it, and makes nothing in its place.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::program::{exequatur, refuse_to_start};
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
