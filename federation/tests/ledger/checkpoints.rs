//! Logs grow, and are never told otherwise.

use exequatur_federation::ledger::{
    AnchorCheckpoint, Command, Cosign, Cosignature, Digest, Fixed, HEADS_KEPT_MAX, KeyPurpose,
    KeyThumbprint, LOGS_PER_REGION_MAX, List, LogName, Objection, Outcome, RevokeKey, TreeHead,
    checkpoint_body, cosignature_message,
};
use tlog_tiles::{Error, Hash, HashReader, prove_tree, record_hash, stored_hashes, tree_hash};

use super::world::{
    LEDGER, NOW, World, at, entries, founding, genesis, kid, ledger_key, pair, refused, region,
    sign,
};

/// A log, with every node of its tree.
#[derive(Clone, Default)]
pub(crate) struct Log {
    nodes: Vec<Hash>,
    size: u64,
}

impl HashReader for Log {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
        Ok(indexes.iter().map(|i| self.nodes[usize::try_from(*i).unwrap()]).collect())
    }
}

impl Log {
    pub(crate) fn of(records: u64, seed: u8) -> Self {
        let mut log = Self::default();
        log.grow(records, seed);
        log
    }

    fn grow(&mut self, records: u64, seed: u8) {
        for _ in 0..records {
            let added = stored_hashes(self.size, &[seed], self).unwrap();
            self.nodes.extend(added);
            self.size += 1;
        }
    }

    pub(crate) fn head(&self) -> TreeHead {
        TreeHead { size: self.size, root: Fixed(tree_hash(self.size, self).unwrap().0) }
    }

    fn proof(&self, from: u64) -> Vec<Digest> {
        let proof = prove_tree(self.size, from, self).unwrap();
        proof.into_iter().map(|hash| Fixed(hash.0)).collect()
    }
}

pub(crate) fn name(number: u16, log: u64) -> LogName {
    LogName { region: region(number), log }
}

fn audit(number: u16) -> String {
    format!("audit key of region {number}")
}

fn audit_kid(number: u16) -> KeyThumbprint {
    kid(&ledger_key(&audit(number)))
}

/// The head of a log, signed, with the proof from an older size.
pub(crate) fn anchor(number: u16, log: u64, tree: &Log, from: u64) -> AnchorCheckpoint {
    let body = checkpoint_body(&LEDGER.cluster, name(number, log), &tree.head());
    let proof = if from == 0 { Vec::new() } else { tree.proof(from) };
    AnchorCheckpoint {
        log,
        head: tree.head(),
        kid: audit_kid(number),
        signature: sign(&pair(&audit(number)), &body),
        proof: List::new(proof).unwrap(),
    }
}

pub(crate) fn cosignature(by: u16, log: LogName, head: TreeHead) -> Cosignature {
    let message = cosignature_message(&LEDGER.cluster, log, &head, at(NOW));
    Cosignature { log, head, at: at(NOW), signature: sign(&pair(&audit(by)), &message) }
}

pub(crate) fn cosign(by: u16, cosignatures: Vec<Cosignature>) -> Command {
    Command::Cosign(Cosign { kid: audit_kid(by), cosignatures: List::new(cosignatures).unwrap() })
}

pub(crate) fn with_audit_keys(regions: u16) -> World {
    let mut world = World::new(regions, 1);
    for number in 1..=regions {
        world.activate(number, &audit(number), KeyPurpose::Audit);
    }
    world
}

fn anchored(world: &mut World, number: u16, tree: &Log, from: u64) -> Outcome {
    world.propose(number, Command::AnchorCheckpoint(anchor(number, 1, tree, from)))
}

#[test]
fn what_is_signed_is_the_c2sp_text() {
    let head = TreeHead { size: 3, root: Fixed([0; 32]) };
    let body = checkpoint_body(&LEDGER.cluster, name(1, 7), &head);
    let text = "exequatur/c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1/1/7\n3\n\
                AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
    assert_eq!(String::from_utf8(body).unwrap(), text);
    let message = cosignature_message(&LEDGER.cluster, name(1, 7), &head, at(NOW));
    assert_eq!(String::from_utf8(message).unwrap(), format!("cosignature/v1\ntime {NOW}\n{text}"));
}

#[test]
fn a_log_grows_by_proven_steps_of_every_size() {
    let mut world = with_audit_keys(3);
    let mut tree = Log::of(1, 1);
    assert_eq!(anchored(&mut world, 1, &tree, 0), Outcome::Applied);
    for step in 1..40 {
        let from = tree.size;
        tree.grow(step, 1);
        assert_eq!(anchored(&mut world, 1, &tree, from), Outcome::Applied, "{from} and {step}");
        assert_eq!(anchored(&mut world, 1, &tree, from), Outcome::Duplicate);
    }
    let row = world.ledger.log(name(1, 1)).unwrap();
    assert_eq!(row.anchor().unwrap().head, tree.head());
    assert_eq!(row.heads.items().len(), HEADS_KEPT_MAX);
}

#[test]
fn a_log_is_never_shorter_nor_another_nor_unproven() {
    let mut world = with_audit_keys(3);
    let tree = Log::of(20, 1);
    assert_eq!(anchored(&mut world, 1, &tree, 0), Outcome::Applied);
    assert_eq!(anchored(&mut world, 1, &Log::of(20, 2), 0), refused(Objection::Fork));
    assert_eq!(anchored(&mut world, 1, &Log::of(19, 1), 0), refused(Objection::Fork));
    assert_eq!(anchored(&mut world, 1, &Log::of(19, 2), 0), refused(Objection::Fork));
    // Longer, of another history; with no proof, and with its own proof.
    let rewritten = Log::of(30, 2);
    assert_eq!(anchored(&mut world, 1, &rewritten, 0), refused(Objection::Proof));
    assert_eq!(anchored(&mut world, 1, &rewritten, 20), refused(Objection::Proof));
    // Longer, of this history, with the proof from another size, or one hash too many or few.
    let mut longer = tree;
    longer.grow(10, 1);
    assert_eq!(anchored(&mut world, 1, &longer, 19), refused(Objection::Proof));
    let good = anchor(1, 1, &longer, 20);
    let mut proof = good.proof.items().to_vec();
    proof.push(Fixed([0; 32]));
    let long = AnchorCheckpoint { proof: List::new(proof.clone()).unwrap(), ..good.clone() };
    assert_eq!(world.propose(1, Command::AnchorCheckpoint(long)), refused(Objection::Proof));
    proof.truncate(proof.len() - 2);
    let short = AnchorCheckpoint { proof: List::new(proof).unwrap(), ..good.clone() };
    assert_eq!(world.propose(1, Command::AnchorCheckpoint(short)), refused(Objection::Proof));
    assert_eq!(world.propose(1, Command::AnchorCheckpoint(good)), Outcome::Applied);
}

#[test]
fn the_first_head_of_a_log_has_no_proof_and_a_tree_a_size() {
    let mut world = with_audit_keys(3);
    let mut first = anchor(1, 1, &Log::of(5, 1), 0);
    first.proof = List::new(vec![Fixed([0; 32])]).unwrap();
    assert_eq!(world.propose(1, Command::AnchorCheckpoint(first)), refused(Objection::Proof));
    for size in [0, 1 << 63, u64::MAX] {
        let mut sized = anchor(1, 1, &Log::of(5, 1), 0);
        sized.head.size = size;
        let body = checkpoint_body(&LEDGER.cluster, name(1, 1), &sized.head);
        sized.signature = sign(&pair(&audit(1)), &body);
        let outcome = world.propose(1, Command::AnchorCheckpoint(sized));
        assert_eq!(outcome, refused(Objection::Invalid), "{size}");
    }
}

#[test]
fn a_checkpoint_is_signed_by_an_audit_key_of_its_region() {
    let mut world = with_audit_keys(3);
    let tree = Log::of(5, 1);
    let good = anchor(1, 1, &tree, 0);
    let of = |change: &dyn Fn(&mut AnchorCheckpoint)| {
        let mut command = good.clone();
        change(&mut command);
        Command::AnchorCheckpoint(command)
    };
    // For another log, by another region's key, under another region's key, by an unknown key.
    assert_eq!(world.propose(1, of(&|c| c.log = 2)), refused(Objection::Signature));
    assert_eq!(
        world.propose(1, of(&|c| c.signature = anchor(2, 1, &tree, 0).signature)),
        refused(Objection::Signature)
    );
    assert_eq!(world.propose(1, of(&|c| c.kid = audit_kid(2))), refused(Objection::Unknown));
    assert_eq!(world.propose(1, of(&|c| c.head.size = 6)), refused(Objection::Signature));
    world.activate(1, "access", KeyPurpose::AccessToken);
    let access = kid(&ledger_key("access"));
    assert_eq!(world.propose(1, of(&|c| c.kid = access)), refused(Objection::WrongState));
    let revoke = RevokeKey { region: region(1), kid: audit_kid(1) };
    world.propose(1, Command::RevokeKey(revoke));
    assert_eq!(world.propose(1, of(&|_| {})), refused(Objection::WrongState));
}

#[test]
fn a_head_is_final_when_most_other_witnesses_cosigned_it() {
    let mut world = with_audit_keys(4);
    let tree = Log::of(5, 1);
    anchored(&mut world, 1, &tree, 0);
    let settled = |world: &World| world.ledger.log(name(1, 1)).unwrap().settled;
    let by = |number| cosign(number, vec![cosignature(number, name(1, 1), tree.head())]);
    assert_eq!(world.propose(1, by(1)), refused(Objection::NotAuthorised), "its own log");
    assert_eq!(world.propose(2, by(2)), Outcome::Applied);
    assert_eq!(world.propose(2, by(2)), Outcome::Duplicate);
    assert_eq!(settled(&world), None, "one of three");
    assert_eq!(world.propose(3, by(3)), Outcome::Applied);
    assert_eq!(settled(&world), Some(tree.head()));
}

#[test]
fn witnesses_may_be_some_heads_late_but_not_wrong() {
    let mut world = with_audit_keys(3);
    let first = Log::of(5, 1);
    anchored(&mut world, 1, &first, 0);
    let mut tree = first.clone();
    tree.grow(5, 1);
    anchored(&mut world, 1, &tree, 5);
    let late = vec![cosignature(2, name(1, 1), first.head())];
    assert_eq!(world.propose(2, cosign(2, late)), Outcome::Applied);
    let fork = vec![
        cosignature(2, name(1, 1), tree.head()),
        cosignature(2, name(1, 1), Log::of(10, 2).head()),
    ];
    assert_eq!(world.propose(2, cosign(2, fork)), refused(Objection::Fork));
    let unknown = vec![cosignature(2, name(1, 1), Log::of(7, 1).head())];
    assert_eq!(world.propose(2, cosign(2, unknown.clone())), refused(Objection::WrongState));
    let no_log = vec![cosignature(2, name(3, 1), first.head())];
    assert_eq!(world.propose(2, cosign(2, no_log)), refused(Objection::WrongState));
    let mut forged = cosignature(2, name(1, 1), tree.head());
    forged.at = at(NOW + 1);
    let batch = vec![cosignature(2, name(1, 1), tree.head()), forged];
    assert_eq!(world.propose(2, cosign(2, batch)), refused(Objection::Proof));
    // What is passed over does not hold up the rest of a batch.
    let mut mixed = unknown;
    mixed.push(cosignature(2, name(1, 1), tree.head()));
    assert_eq!(world.propose(2, cosign(2, mixed)), Outcome::Applied);
    assert_eq!(world.propose(2, cosign(2, vec![])), refused(Objection::WrongState));
}

#[test]
fn only_witnesses_cosign() {
    let mut genesis = genesis(3, 1);
    let mut regions = entries(3);
    regions[1].witness = false;
    genesis.regions = List::new(regions).unwrap();
    let mut world = World::founded(&founding(genesis));
    for number in 1..=3 {
        world.activate(number, &audit(number), KeyPurpose::Audit);
    }
    let tree = Log::of(5, 1);
    anchored(&mut world, 1, &tree, 0);
    let by = |number| cosign(number, vec![cosignature(number, name(1, 1), tree.head())]);
    assert_eq!(world.propose(2, by(2)), refused(Objection::NotAuthorised));
    assert_eq!(world.propose(3, by(3)), Outcome::Applied);
    assert_eq!(world.ledger.log(name(1, 1)).unwrap().settled, Some(tree.head()));
}

#[test]
fn a_region_has_room_for_so_many_logs() {
    let mut world = with_audit_keys(3);
    let tree = Log::of(1, 1);
    for log in 0..LOGS_PER_REGION_MAX as u64 {
        let command = Command::AnchorCheckpoint(anchor(1, log, &tree, 0));
        assert_eq!(world.propose(1, command), Outcome::Applied);
    }
    let more = Command::AnchorCheckpoint(anchor(1, u64::MAX, &tree, 0));
    assert_eq!(world.propose(1, more), refused(Objection::TableFull));
}

#[test]
fn a_leaf_is_hashed_as_rfc_6962_says() {
    let tree = Log::of(1, 9);
    assert_eq!(tree.head().root, Fixed(record_hash(&[9]).0));
}
