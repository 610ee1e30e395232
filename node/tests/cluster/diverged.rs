//! A node whose ledger is another than the others' (I-C3).

use std::{fs, path::PathBuf};

use exequatur_federation::{
    jose::sha256,
    ledger::{Batch, Command, Fixed, Header, Ledger, Proposal, Tick},
    membership::NodeId,
    region::RegionNumber,
    time::UnixTime,
};

use super::lab::{Lab, Plan};

/// The newest snapshot of a node.
fn newest(lab: &Lab, node: usize) -> PathBuf {
    let folder = lab.sites[node].snapshots(None);
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|e| e == "snapshot")).max().unwrap()
}

#[test]
fn a_node_that_differs_from_the_majority_stops_and_the_others_go_on() {
    let mut lab = Lab::form(Plan::DRIVEN);
    let odd = lab.others(lab.running()[0])[0];
    lab.revoke_for_sure(odd);
    lab.sites[odd].exequatur(&["cluster", "snapshot"]).done();
    lab.status_when(odd, "a snapshot", |status| status.snapshot.is_some());
    lab.stop(odd);

    // Something happened here that happened nowhere else; every checksum is right.
    let file = newest(&lab, odd);
    let genesis = Fixed(sha256(&fs::read(lab.genesis_file()).unwrap()));
    let (head, mut ledger) = Ledger::restore(&fs::read(&file).unwrap(), genesis).unwrap();
    let header = Header {
        region: RegionNumber::new(1).unwrap(),
        node: NodeId::new(1).unwrap(),
        serial: 1,
        level: 1,
        proposed_at: UnixTime::from_seconds(1),
    };
    let only_here = Proposal { header, command: Command::Tick(Tick {}), signature: None };
    let before = ledger.digest();
    ledger.apply(head.last.unwrap().index, &Batch::of(&only_here).unwrap());
    assert_ne!(ledger.digest(), before);
    fs::write(&file, ledger.snapshot(&head)).unwrap();

    let said = lab.start_in_vain(odd);
    assert!(said.contains("differs from that of most voters"), "{said}");
    assert!(said.contains("(I-C3)") && said.contains("join as a new node"), "{said}");
    let running = lab.running();
    lab.revoke_for_sure(running[0]);
    lab.finish();
}
