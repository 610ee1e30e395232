//! A node's directory: made once, opened as it was, refused as anything else.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use exequatur_federation::{
    ledger::{Digest, IdentityKey, List},
    membership::{Invitation, LEVELS, NodeDescription},
    region::RegionNumber,
    time::UnixTime,
};

use super::*;
use crate::identity::build;

struct Lab {
    _place: tempfile::TempDir,
    directory: ClusterDirectory,
}

impl Lab {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let directory = ClusterDirectory::new(place.path().join("cluster"));
        Self { _place: place, directory }
    }

    /// One with a node in it. Its ticket's signature is not looked at here.
    fn with_node() -> Self {
        let lab = Self::new();
        let key = lab.directory.make_key().unwrap();
        lab.directory.write_ticket(&ticket(key.public())).unwrap();
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

fn ticket(key: IdentityKey) -> NodeTicket {
    let description = NodeDescription {
        federation: Fixed([1; 32]),
        region: RegionNumber::new(3).unwrap(),
        node: NodeId::new(7).unwrap(),
        key,
        levels: LEVELS,
        build: build(),
    };
    NodeTicket { description, signature: Fixed([9; 64]) }
}

fn invite(genesis: Digest) -> Invite {
    let invitation = Invitation {
        cluster: Fixed([4; 16]),
        epoch: 2,
        genesis,
        node: NodeId::new(7).unwrap(),
        region: RegionNumber::new(3).unwrap(),
        expires_at: UnixTime::from_seconds(1),
        members: List::empty(),
    };
    Invite { invitation, signature: Fixed([9; 64]) }
}

#[test]
fn a_directory_is_private_and_opens_as_the_node_that_was_made() {
    let lab = Lab::new();
    assert_eq!(lab.directory.contents().unwrap(), Contents::Missing);
    let key = lab.directory.make_key().unwrap();
    assert_eq!(lab.directory.contents().unwrap(), Contents::Empty);
    lab.directory.write_ticket(&ticket(key.public())).unwrap();
    assert_eq!(lab.directory.contents().unwrap(), Contents::Node);
    let node = lab.directory.open().unwrap();
    assert_eq!((node.key.public(), node.ticket), (key.public(), ticket(key.public())));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(lab.directory.path()), mode(&lab.path(KEY))), (0o700, 0o600));
    assert_eq!(lab.directory.pin().unwrap(), None);
}

#[test]
fn a_node_that_was_begun_and_not_finished_is_made_anew() {
    let lab = Lab::new();
    let first = lab.directory.make_key().unwrap();
    let second = lab.directory.make_key().unwrap();
    assert_ne!(first.public(), second.public());
    lab.directory.write_ticket(&ticket(second.public())).unwrap();
    assert_eq!(lab.directory.open().unwrap().key.public(), second.public());
    let again = lab.directory.make_key();
    assert!(
        matches!(again, Err(DirectoryError::File(PrivateFileError::AlreadyExists { .. }))),
        "{again:?}"
    );
}

#[test]
fn what_is_no_directory_of_a_node_and_must_not_become_one_is_refused() {
    let lab = Lab::new();
    fs::write(lab.directory.path(), "").unwrap();
    assert!(matches!(lab.directory.make_key(), Err(DirectoryError::NoDirectory { .. })));
    let lab = Lab::new();
    DirBuilder::new().mode(0o750).create(lab.directory.path()).unwrap();
    let refused = lab.directory.make_key().unwrap_err();
    assert!(matches!(refused, DirectoryError::Exposed { mode: 0o750, .. }), "{refused}");
    assert!(refused.to_string().contains("run `chmod 700 "), "{refused}");
    let lab = Lab::new();
    DirBuilder::new().mode(0o700).create(lab.directory.path()).unwrap();
    fs::create_dir(lab.path("lost+found")).unwrap();
    assert_eq!(lab.directory.contents().unwrap(), Contents::Empty);
    fs::write(lab.path("photo"), "").unwrap();
    let refused = lab.directory.make_key().unwrap_err();
    assert!(
        matches!(&refused, DirectoryError::Occupied { found, .. } if found == "photo"),
        "{refused}"
    );
    let (lab, other) = (Lab::new(), Lab::with_node());
    symlink(other.directory.path(), lab.directory.path()).unwrap();
    assert!(matches!(lab.directory.open(), Err(DirectoryError::Symlink { .. })));
}

#[test]
fn a_key_that_is_exposed_damaged_linked_or_another_s_is_refused() {
    let lab = Lab::with_node();
    let key = lab.path(KEY);
    let good = fs::read(&key).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let refused = lab.directory.open().unwrap_err();
    assert!(matches!(refused, DirectoryError::File(PrivateFileError::Exposed { .. })), "{refused}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&key, &good[1..]).unwrap();
    assert!(matches!(lab.directory.open(), Err(DirectoryError::Key { .. })));
    let other = fs::read(Lab::with_node().path(KEY)).unwrap();
    fs::write(&key, other).unwrap();
    let refused = lab.directory.open().unwrap_err();
    assert!(matches!(refused, DirectoryError::Mismatch { .. }), "{refused}");
    assert!(refused.to_string().contains("rejoin as a new node"), "{refused}");
    fs::rename(&key, lab.path("node.key.old")).unwrap();
    let refused = lab.directory.open().unwrap_err();
    assert!(matches!(refused, DirectoryError::File(PrivateFileError::Missing { .. })), "{refused}");
    symlink(lab.path("node.key.old"), &key).unwrap();
    assert!(matches!(lab.directory.open(), Err(DirectoryError::Symlink { .. })));
}

#[test]
fn a_damaged_ticket_is_named() {
    let lab = Lab::with_node();
    let mut frame = fs::read(lab.directory.ticket_path()).unwrap();
    frame[20] ^= 1;
    fs::write(lab.directory.ticket_path(), frame).unwrap();
    let refused = lab.directory.open().unwrap_err();
    assert!(matches!(refused, DirectoryError::Damaged { .. }), "{refused}");
    assert!(refused.to_string().contains("node.ticket"), "{refused}");
    let nobody = Lab::new().directory.open();
    assert!(matches!(nobody, Err(DirectoryError::NoNode { .. })), "{nobody:?}");
}

#[test]
fn an_invite_pins_once_and_for_ever() {
    let lab = Lab::with_node();
    lab.directory.pin_invite(&invite(Fixed([5; 32]))).unwrap();
    let ledger = LedgerId { cluster: Fixed([4; 16]), epoch: 2 };
    let pin = Pin { ledger, genesis: Fixed([5; 32]), initialises: false };
    assert_eq!(lab.directory.pin().unwrap(), Some(pin));
    for second in [
        lab.directory.pin_invite(&invite(Fixed([6; 32]))),
        lab.directory.pin_genesis(b"anything", true),
    ] {
        let pinned = Fixed([5; 32]);
        assert!(
            matches!(second, Err(DirectoryError::AlreadyPinned { genesis }) if genesis == pinned),
            "{second:?}"
        );
    }
    assert_eq!(lab.directory.pin().unwrap(), Some(pin));
}
