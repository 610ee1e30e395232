//! Who may speak at all, and how often.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use exequatur_federation::ledger::{
    AnnounceConfig, Command, ConfigScope, Fixed, Header, IdentityKey, LedgerId, List, Mode,
    Objection, Outcome, Proposal, RevokeRegion, Signature, StatusTarget, Target, Tick, with_low_s,
};
use exequatur_federation::revocation::ListId;

use super::world::{
    LEDGER, LEVELS, NOW, World, description, digest_of, entry, founding, genesis, header,
    identity_pair, law, node, refused, region, revoke, sign, signed, vouched,
};

fn announce(version: u64) -> Command {
    Command::AnnounceConfig(AnnounceConfig {
        law: law(version),
        scope: ConfigScope::Region,
        levels: LEVELS,
    })
}

#[test]
fn a_forged_proposer_is_refused_whoever_leads() {
    let mut world = World::new(3, 1);
    let before = world.ledger.clone();
    // Region 2 speaks as region 1, with its own key, with no signature of anybody, with one bit off.
    let forged = signed(header(1, 1, NOW), announce(1), &identity_pair(2));
    assert_eq!(world.apply(&forged), refused(Objection::Signature));
    let honest = signed(header(1, 1, NOW), announce(1), &identity_pair(1));
    for bit in 0..512 {
        let mut flipped = honest.clone();
        flipped.signature.as_mut().unwrap().0[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(world.ledger.check(&flipped), Err(Objection::Signature), "bit {bit}");
    }
    for change in 0..4 {
        let mut altered = honest.clone();
        match change {
            0 => altered.header.serial += 1,
            1 => altered.header.proposed_at = super::world::at(NOW + 1),
            2 => altered.command = announce(2),
            _ => altered.command = Command::RevokeRegion(RevokeRegion { region: region(1) }),
        }
        assert_eq!(world.ledger.check(&altered), Err(Objection::Signature), "change {change}");
    }
    // But for the digest over outcomes, nothing has changed.
    assert_eq!(world.ledger.time(), before.time());
    assert_eq!(world.ledger.config(region(1)), None);
    assert_eq!(world.apply(&honest), Outcome::Applied);
}

#[test]
fn a_signature_for_another_federation_or_epoch_is_none_here() {
    let world = World::new(3, 1);
    for ledger in [
        LedgerId { cluster: Fixed([1; 16]), ..LEDGER },
        LedgerId { epoch: LEDGER.epoch + 1, ..LEDGER },
    ] {
        let header = header(1, 1, NOW);
        let message = Proposal::signing_bytes(ledger, &header, &announce(1));
        let signature = Some(sign(&identity_pair(1), &message));
        let foreign = Proposal { header, command: announce(1), signature };
        assert_eq!(world.ledger.check(&foreign), Err(Objection::Signature));
    }
}

#[test]
fn a_signature_in_the_upper_half_is_refused() {
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref()).unwrap();
    let point = pair.public_key().as_ref();
    let mut compressed: [u8; 33] = point[..33].try_into().unwrap();
    compressed[0] = 0x02 | (point[64] & 1);
    let made = |message: &[u8]| -> Signature {
        Fixed(pair.sign(&random, message).unwrap().as_ref().try_into().unwrap())
    };
    let mut genesis = genesis(3, 1);
    let mut entries = genesis.regions.items().to_vec();
    entries[1] = entry(2, &[3]);
    entries[1].identity = IdentityKey::P256(Fixed(compressed));
    genesis.regions = List::new(entries).unwrap();
    let mut founders = genesis.founders.items().to_vec();
    founders[1] = vouched(description(2, 0));
    founders[1].signature = with_low_s(&made(&description(2, 0).signing_bytes()));
    genesis.founders = List::new(founders).unwrap();
    let mut world = World::founded(&founding(genesis));
    let (mut high, mut low) = (0, 0);
    for serial in 1..40 {
        let header = header(2, serial, NOW);
        let message = Proposal::signing_bytes(LEDGER, &header, &announce(serial));
        let signature = made(&message);
        let as_made = Proposal { header, command: announce(serial), signature: Some(signature) };
        if with_low_s(&signature) == signature {
            low += 1;
            assert_eq!(world.apply(&as_made), Outcome::Applied);
        } else {
            high += 1;
            assert_eq!(world.apply(&as_made), refused(Objection::Signature));
            let signature = Some(with_low_s(&signature));
            assert_eq!(world.apply(&Proposal { signature, ..as_made }), Outcome::Applied);
        }
    }
    assert!(high > 0 && low > 0);
}

#[test]
fn only_members_of_the_proposing_region_speak_for_it() {
    let world = World::new(3, 1);
    let cases = [
        (Header { region: region(4), ..header(1, 1, NOW) }, Objection::UnknownRegion),
        (Header { node: node(1, 1), ..header(1, 1, NOW) }, Objection::UnknownNode),
        (Header { node: node(2, 0), ..header(1, 1, NOW) }, Objection::UnknownNode),
        (Header { level: 2, ..header(1, 1, NOW) }, Objection::Level),
        (Header { level: 0, ..header(1, 1, NOW) }, Objection::Level),
    ];
    for (header, objection) in cases {
        for command in [Command::Tick(Tick {}), announce(1)] {
            let proposal = super::world::proposal(header, command);
            assert_eq!(world.ledger.check(&proposal), Err(objection), "{header:?}");
        }
    }
}

#[test]
fn an_unsigned_command_with_a_signature_is_refused() {
    let world = World::new(3, 1);
    let (header, command) = (header(1, 1, NOW), Command::Tick(Tick {}));
    let odd = signed(header, command, &identity_pair(1));
    assert_eq!(world.ledger.check(&odd), Err(Objection::Signature));
}

#[test]
fn what_is_sent_again_is_applied_once() {
    let mut world = World::new(3, 1);
    let first = world.make(1, announce(1));
    assert_eq!(world.apply(&first), Outcome::Applied);
    let second = world.make(1, announce(2));
    assert_eq!(world.apply(&second), Outcome::Applied);
    let settled = world.snapshot();
    assert_eq!(world.apply(&first), Outcome::Duplicate);
    assert_eq!(world.apply(&second), Outcome::Duplicate);
    assert_eq!(without_digest(&world), without_digest_of(&settled, &world));
}

#[test]
fn a_serial_behind_the_window_is_refused_and_within_it_any_order_is_good() {
    let mut world = World::new(3, 1);
    let of = |serial| super::world::proposal(header(1, serial, NOW), announce(serial));
    assert_eq!(world.apply(&of(100)), Outcome::Applied);
    assert_eq!(world.apply(&of(36)), refused(Objection::SerialTooOld));
    // In the window, and refused for what it says; and refused for good.
    assert_eq!(world.apply(&of(37)), refused(Objection::WrongState));
    assert_eq!(world.apply(&of(37)), refused(Objection::SerialTooOld));
    assert_eq!(world.apply(&of(100)), Outcome::Duplicate);
    assert_eq!(world.apply(&of(101)), Outcome::Applied);
}

#[test]
fn whoever_keeps_a_refused_proposal_cannot_use_it_later() {
    let mut world = World::new(3, 1);
    let command = super::world::publish("key", exequatur_federation::ledger::KeyPurpose::Response);
    let kid = command.kid;
    world.propose(1, Command::PublishKey(command));
    let activate = exequatur_federation::ledger::ActivateKey { kid };
    let early = world.make(1, Command::ActivateKey(activate));
    assert_eq!(world.apply(&early), refused(Objection::NotReady));
    world.acknowledge_all(1, kid);
    assert_eq!(world.apply(&early), refused(Objection::SerialTooOld));
    assert_eq!(world.propose(1, Command::ActivateKey(activate)), Outcome::Applied);
}

#[test]
fn a_revoked_region_says_nothing_and_an_evacuated_one_its_own_things() {
    let mut world = World::new(4, 1);
    let gone = Command::RevokeRegion(RevokeRegion { region: region(4) });
    assert_eq!(world.propose(1, gone.clone()), Outcome::Pending);
    assert_eq!(world.propose(2, gone), Outcome::Applied);
    let status = Target::Status(StatusTarget { list: ListId::new(7), index: 7 });
    for command in [Command::Tick(Tick {}), announce(1), revoke(4, status, Mode::Cutoff, NOW + 300)]
    {
        assert_eq!(world.propose(4, command), refused(Objection::NotAuthorised));
    }
    super::regions::evacuate(&mut world, 3);
    let outcome = world.propose(3, revoke(3, status, Mode::Cutoff, NOW + 300));
    assert_eq!(outcome, Outcome::Applied);
    assert_eq!(world.propose(3, announce(1)), Outcome::Applied);
    let other = Command::RevokeRegion(RevokeRegion { region: region(1) });
    assert_eq!(world.propose(3, other), refused(Objection::NotAuthorised));
}

/// The tables alone: the running digest counts every proposal, also one without effect.
fn without_digest(world: &World) -> Vec<u8> {
    without_digest_of(&world.snapshot(), world)
}

fn without_digest_of(snapshot: &[u8], world: &World) -> Vec<u8> {
    super::snapshot::tables(snapshot, world.ledger.genesis())
}

#[test]
fn the_pinned_digest_is_the_ledgers() {
    let founding = founding(genesis(3, 1));
    assert_eq!(World::founded(&founding).ledger.genesis(), digest_of(&founding));
}
