//! Snapshots: one ledger, one text; and nothing else is ever read.

use exequatur_federation::{
    ledger::{
        Command, Digest, EnvelopeError, Fixed, KeyPurpose, Kind, Ledger, List, LogId, Member,
        Membership, Mode, SnapshotError, SnapshotHead, TABLE_BYTES_MAX, Target, envelope,
    },
    membership::NodeId,
};

use super::{
    checkpoints::{Log, anchor, cosign, cosignature, name, with_audit_keys},
    regions::evacuate,
    revocations::status,
    world::{DAY, NOW, World, node, publish, region, revoke},
};

/// The tables of a snapshot, without what stands once: the digest over all outcomes.
pub(crate) fn tables(snapshot: &[u8], genesis: Digest) -> Vec<u8> {
    Ledger::restore(snapshot, genesis).unwrap();
    let (head, rest) = envelope::open(snapshot, TABLE_BYTES_MAX).unwrap();
    assert_eq!(head.kind, Kind::SnapshotHead);
    rest[..rest.len() - 32 - envelope::FRAME_BYTES].to_vec()
}

/// A ledger with something in every table.
fn busy() -> World {
    let mut world = with_audit_keys(4);
    let tree = Log::of(9, 1);
    world.propose(1, Command::AnchorCheckpoint(anchor(1, 1, &tree, 0)));
    world.propose(2, cosign(2, vec![cosignature(2, name(1, 1), tree.head())]));
    world.propose(1, Command::PublishKey(publish("waiting", KeyPurpose::Response)));
    for (list, index) in [(1, 0), (1, 1), (1, 1 << 19), (u64::MAX, (1 << 20) - 1)] {
        let target = Target::Status(status(list, index));
        world.propose(1, revoke(1, target, Mode::Cutoff, NOW + DAY));
        world.propose(3, revoke(2, target, Mode::Cutoff, NOW + DAY));
    }
    for target in [
        Target::Session(Fixed([0xff; 16])),
        Target::Subject(Fixed([0; 16])),
        Target::Client(1),
        Target::TransferRule(300),
        Target::List(exequatur_federation::revocation::ListId::new(4)),
    ] {
        world.propose(1, revoke(1, target, Mode::Cutoff, NOW + DAY));
    }
    let leave = exequatur_federation::ledger::Leave { node: node(2, 0) };
    world.propose(1, Command::Leave(leave));
    evacuate(&mut world, 4);
    let law = super::world::law(7);
    world.propose(
        3,
        Command::AnnounceConfig(exequatur_federation::ledger::AnnounceConfig {
            law,
            scope: exequatur_federation::ledger::ConfigScope::Federation(
                List::new(super::world::entries(4)).unwrap(),
            ),
            levels: super::world::LEVELS,
        }),
    );
    let leave = exequatur_federation::ledger::Leave { node: node(4, 0) };
    world.propose(4, Command::Leave(leave));
    world
}

fn head() -> SnapshotHead {
    let log_id = |index| Some(LogId { term: 3, leader: node(1, 0), index });
    let member = |n| Member { region: region(n), key: Fixed([7; 32]) };
    let nodes: Vec<(NodeId, Member)> = (1..=3).map(|n| (node(n, 0), member(n))).collect();
    let voters = List::new(nodes.iter().map(|(node, _)| *node).collect()).unwrap();
    SnapshotHead {
        last: log_id(900),
        membership_at: log_id(7),
        membership: Membership {
            configurations: List::new(vec![voters]).unwrap(),
            nodes: List::new(nodes).unwrap(),
        },
    }
}

#[test]
fn what_is_restored_is_the_same_and_goes_on_the_same() {
    let mut world = busy();
    let bytes = world.ledger.snapshot(&head());
    let (read, restored) = Ledger::restore(&bytes, world.ledger.genesis()).unwrap();
    assert_eq!(read, head());
    assert_eq!(restored, world.ledger);
    assert_eq!(restored.snapshot(&head()), bytes);
    let mut other = world.clone();
    other.ledger = restored;
    let target = Target::Status(status(9, 9));
    for command in [
        revoke(1, target, Mode::Cutoff, NOW + DAY),
        Command::PublishKey(publish("more", KeyPurpose::Response)),
    ] {
        assert_eq!(world.propose(1, command.clone()), other.propose(1, command));
    }
    assert_eq!(world.snapshot(), other.snapshot());
}

#[test]
fn a_copy_keeps_what_it_held_while_the_ledger_goes_on() {
    let mut world = busy();
    let copy = world.ledger.clone();
    let bytes = copy.snapshot(&head());
    for index in 0..50 {
        let target = Target::Status(status(1, index));
        world.propose(1, revoke(1, target, Mode::Cutoff, NOW + DAY));
    }
    evacuate(&mut world, 3);
    assert_eq!(copy.snapshot(&head()), bytes);
    assert_ne!(world.ledger.snapshot(&head()), bytes);
}

#[test]
fn an_empty_ledger_has_a_snapshot_too() {
    let empty = Ledger::new(Fixed([1; 32]));
    let bytes = empty.snapshot(&SnapshotHead::default());
    let (_, restored) = Ledger::restore(&bytes, Fixed([1; 32])).unwrap();
    assert_eq!(restored, empty);
}

#[test]
fn a_snapshot_that_is_cut_at_any_byte_is_refused() {
    let world = busy();
    let bytes = world.ledger.snapshot(&head());
    for length in 0..bytes.len() {
        assert!(Ledger::restore(&bytes[..length], world.ledger.genesis()).is_err(), "{length}");
    }
    let mut longer = bytes;
    longer.push(0);
    assert!(Ledger::restore(&longer, world.ledger.genesis()).is_err());
}

#[test]
fn a_snapshot_with_any_byte_changed_is_refused() {
    let world = busy();
    let bytes = world.ledger.snapshot(&head());
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        assert!(Ledger::restore(&flipped, world.ledger.genesis()).is_err(), "byte {at}");
    }
}

/// Frames of a snapshot as a forger would write them: every checksum and the digest fit.
fn forged(frames: &[(Kind, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (kind, body) in frames {
        envelope::seal_into(&mut bytes, *kind, body);
    }
    let digest = exequatur_federation::jose::sha256(&bytes);
    envelope::seal_into(&mut bytes, Kind::SnapshotEnd, &digest);
    bytes
}

fn frames(snapshot: &[u8]) -> Vec<(Kind, Vec<u8>)> {
    let (mut rest, mut frames) = (snapshot, Vec::new());
    while !rest.is_empty() {
        let (frame, after) = envelope::open(rest, TABLE_BYTES_MAX).unwrap();
        frames.push((frame.kind, frame.body.to_vec()));
        rest = after;
    }
    assert_eq!(frames.pop().unwrap().0, Kind::SnapshotEnd);
    frames
}

#[test]
fn a_forger_who_fits_every_checksum_gets_another_ledger_or_a_refusal_and_never_a_panic() {
    let world = busy();
    let bytes = world.ledger.snapshot(&head());
    let frames = frames(&bytes);
    assert_eq!(forged(&frames), bytes);
    let genesis = world.ledger.genesis();
    let (mut taken, mut refused) = (0, 0);
    for at in 0..frames.len() {
        for byte in 0..frames[at].1.len() {
            for change in [1, 0x80, 0xff] {
                let mut other = frames.clone();
                other[at].1[byte] ^= change;
                let bytes = forged(&other);
                match Ledger::restore(&bytes, genesis) {
                    // What is taken is at least written in the one form.
                    Ok((head, ledger)) => {
                        assert_eq!(ledger.snapshot(&head), bytes);
                        taken += 1;
                    }
                    Err(_) => refused += 1,
                }
            }
        }
        let without: Vec<_> =
            frames.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, f)| f.clone()).collect();
        // Only a region's revocations may be left out.
        let last_tables = at > 10;
        assert_eq!(Ledger::restore(&forged(&without), genesis).is_ok(), last_tables, "frame {at}");
        let mut twice = frames.clone();
        twice.insert(at, frames[at].clone());
        assert!(Ledger::restore(&forged(&twice), genesis).is_err(), "frame {at} twice");
        let mut cut = frames.clone();
        cut[at].1.pop();
        assert!(Ledger::restore(&forged(&cut), genesis).is_err(), "frame {at} cut");
    }
    assert!(taken > 100 && refused > 100, "{taken} taken, {refused} refused");
}

#[test]
fn a_snapshot_of_another_federation_or_level_is_refused_by_name() {
    let world = busy();
    let bytes = world.ledger.snapshot(&head());
    let other = Fixed([9; 32]);
    assert_eq!(
        Ledger::restore(&bytes, other).unwrap_err(),
        SnapshotError::Genesis { expected: other, got: world.ledger.genesis() }
    );
    assert_eq!(
        Ledger::restore(b"", other).unwrap_err(),
        SnapshotError::Envelope(EnvelopeError::Truncated)
    );
    let mut raised = World::new(1, 1);
    let levels = exequatur_federation::membership::LevelRange { lowest: 1, highest: 2 };
    let knows = exequatur_federation::membership::NodeDescription {
        levels,
        ..super::world::description(1, 0)
    };
    let ticket = super::world::vouched(knows);
    raised.propose(1, Command::Join(exequatur_federation::ledger::Join { ticket }));
    let raise = exequatur_federation::ledger::RaiseLevel { level: 2 };
    raised.propose(1, Command::RaiseLevel(raise));
    let error = Ledger::restore(&raised.snapshot(), raised.ledger.genesis()).unwrap_err();
    assert_eq!(error, SnapshotError::Level { got: 2 });
    assert!(error.to_string().contains("upgrade"));
}

#[test]
fn every_table_is_in_it() {
    let frames = frames(&busy().ledger.snapshot(&head()));
    let numbers: Vec<u8> = frames[1..].iter().map(|(_, body)| body[1]).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 11]);
    // But for regions that are gone, none is empty: what is tested here is something.
    for (at, (_, body)) in frames[1..].iter().enumerate() {
        assert_eq!(body.len() > 3, at != 2, "table {}", at + 1);
    }
}
