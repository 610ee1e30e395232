//! The anchor in the slot of an HSM: it is there for the next process, and it is compared.

use exequatur_federation::{
    config::{SourceFile, compile},
    ledger::{Fixed, LogId, Vote},
    membership::NodeId,
};
use exequatur_node::{
    hsm::KeyStore as _,
    identity::{
        AnchorStore as _, Anchors, Change, DirectoryFacts, DirectoryState, FileAnchor, SlotAnchor,
        StartRefused,
    },
    node::{
        Configured, Membership, NewPairwise, Seams, initialise_identity, initialise_key_store,
        open_identity,
    },
};

use crate::softhsm::{Lab, softhsm_test};

fn facts(starts: u64, index: u64) -> DirectoryFacts {
    let node = NodeId::new(7).unwrap();
    DirectoryFacts {
        node,
        starts,
        genesis: Some(Fixed([3; 32])),
        vote: Some(Vote { term: starts, node, committed: true }),
        last: Some(LogId { term: starts, leader: node, index }),
    }
}

fn slot(lab: &Lab, bits: u64) -> SlotAnchor {
    SlotAnchor::new(lab.open().records().unwrap(), NodeId::new(bits).unwrap())
}

fn anchors(lab: &Lab) -> Anchors {
    let file = FileAnchor::new(lab.path("anchor"), &lab.path("cluster")).unwrap();
    Anchors::new(vec![Box::new(file), Box::new(slot(lab, 7))])
}

softhsm_test!(
    an_anchor_in_the_slot_outlives_the_process_and_is_one_object_a_node,
    |lab| {
        assert_eq!(slot(lab, 7).read().unwrap(), None);
        for starts in 1..=5 {
            anchors(lab).remember(&facts(starts, 9), Change::Promise).unwrap();
        }
        assert_eq!(lab.objects().len(), 1);
    },
    |lab| {
        let found = slot(lab, 7).read().unwrap().unwrap();
        assert_eq!((found.starts, found.vote), (5, facts(5, 9).vote));
        assert_eq!(slot(lab, 8).read().unwrap(), None);
        anchors(lab).examine(&DirectoryState::Present(facts(5, 9))).unwrap();
    },
);

softhsm_test!(a_disk_that_was_restored_together_with_its_anchor_is_noticed_by_the_slot, |lab| {
    let anchors = anchors(lab);
    anchors.remember(&facts(1, 9), Change::Promise).unwrap();
    let backup = std::fs::read(lab.path("anchor")).unwrap();
    anchors.remember(&facts(2, 9), Change::Promise).unwrap();
    std::fs::write(lab.path("anchor"), backup).unwrap();
    let refused = anchors.examine(&DirectoryState::Present(facts(1, 9))).unwrap_err();
    assert!(matches!(refused, StartRefused::Rejoin { .. }), "{refused}");
    let told = refused.to_string();
    assert!(told.contains("rolled back: the directory has seen 1 starts, its anchor 2"), "{told}");
    assert!(told.contains("`exequatur-anchor-0000000000000007` in slot `eu-central`"), "{told}");
});

softhsm_test!(progress_alone_does_not_wear_the_slot, |lab| {
    let anchors = anchors(lab);
    anchors.remember(&facts(1, 9), Change::Promise).unwrap();
    let before = lab.objects();
    for index in 10..20 {
        anchors.remember(&facts(1, index), Change::Progress).unwrap();
    }
    // Each write makes a new object, so the same one was written once.
    assert_eq!(lab.objects(), before);
    assert_eq!(slot(lab, 7).read().unwrap().unwrap().flushed, facts(1, 9).last);
    anchors.examine(&DirectoryState::Present(facts(1, 19))).unwrap();
});

softhsm_test!(a_slot_without_the_anchor_is_no_slot_of_the_node, |lab| {
    let anchors = anchors(lab);
    anchors.remember(&facts(1, 9), Change::Promise).unwrap();
    lab.delete_objects();
    let told = anchors.examine(&DirectoryState::Present(facts(1, 9))).unwrap_err().to_string();
    assert!(told.starts_with("the anchor of node 0000000000000007 is missing"), "{told}");
    assert!(told.contains("in slot `eu-central`"), "{told}");
    assert_eq!(anchors.missing().unwrap().len(), 1);
});

const FEDERATION: &str = r#"
[federation]
name = "test"
[[region]]
number       = 1
name         = "eu-central"
jurisdiction = "EU"
issuer       = "https://eu-central.id.example"
[[upstream]]
name        = "global"
audience    = ["a"]
home_region = { fixed = "eu-central" }
"#;

fn configured(lab: &Lab) -> Configured {
    let config = lab.config();
    let region = format!(
        r#"
        [region]
        name         = "eu-central"
        jurisdiction = "EU"
        issuer       = "https://eu-central.id.example"
        [listen]
        plain_http = true
        peer       = "127.0.0.1:8445"
        [cluster]
        directory = "cluster"
        anchor    = "anchor"
        tls       = {{ certificate = "peer.pem", private_key = "peer.key" }}
        [keys]
        provider = "pkcs11"
        pkcs11   = {{ module = "{}", slot = "{}", pin_file = "pin" }}
        [store]
        url = "sqlite:region.db"
        "#,
        config.module.display(),
        config.slot
    );
    let source =
        |name: &str, text: &str| SourceFile { name: name.to_owned(), text: text.to_owned() };
    let nothing = |_: &str| Err("no such file".to_owned());
    let compiled = compile(&source("r", &region), &source("f", FEDERATION), &nothing).unwrap();
    Configured { compiled, directory: lab.path(""), federation_directory: lab.path("") }
}

fn seams() -> Seams {
    Seams { clock: Lab::clock(), entropy: Lab::entropy() }
}

softhsm_test!(
    init_makes_the_region_s_identity_in_the_slot_and_remembers_the_node_there,
    |lab| {
        let configured = configured(lab);
        let law = &configured.compiled.law;
        let files = (&configured.compiled.settings, configured.directory.as_path());
        let made =
            initialise_key_store(&law.region, files, NewPairwise::RenamesEverySubject, &seams());
        assert!(made.unwrap().iter().any(|key| key.starts_with("identity ES256 ")));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let membership = Membership::of(&configured).unwrap();
        let made = runtime.block_on(initialise_identity(&membership, &seams())).unwrap();
        assert!(made.made && made.ticket.verify(&made.region));
    },
    |lab| {
        let configured = configured(lab);
        let membership = Membership::of(&configured).unwrap();
        let open = open_identity(&membership, &seams()).unwrap();
        open.anchors.examine(&DirectoryState::Present(open.unstarted(None))).unwrap();
        let id = open.node.ticket.description.node;
        let remembered = slot(lab, id.bits()).read().unwrap().unwrap();
        assert_eq!((remembered.node, remembered.starts), (id, 0));
    },
);
