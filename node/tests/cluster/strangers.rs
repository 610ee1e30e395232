//! Programs with certificates of a region that claim to be a node of another, and ask for votes in
//! a term far ahead (reliability section 5.4).

use std::{fs, io::Write as _, net::TcpStream};

use exequatur_federation::{
    jose::sha256,
    ledger::Fixed,
    membership::{Greeting, HelloRefused, LEVELS, NodeId},
    region::RegionNumber,
};
use serde_json::Value;

use super::lab::{
    Lab, Plan,
    authority::{Authority, Certified, Pair},
    files::REGIONS,
    stranger::{Met, Stranger, key_of_nobody},
};

/// Whoever believes this candidate has forgotten its own term.
const FAR_AHEAD: u64 = 1_000_000;

#[test]
fn nobody_but_a_member_raises_the_term() {
    let mut lab = Lab::form(Plan::PRODUCT);
    // The third node is impersonated; it is down, so that nobody else speaks for it.
    let leader = lab.leader();
    let victim = lab.others(leader)[0];
    lab.stop(victim);
    let running = lab.running();
    let leader = lab.leader_among(&running);
    let before = lab.status(leader).unwrap();
    let door = lab.sites[leader].address().to_owned();
    let claimed = Claim::of(&lab, leader, victim);
    let attacker = lab.running()[0];

    for (what, expected, stranger) in strangers(&lab, &claimed, attacker) {
        let nobody = key_of_nobody();
        let met = Stranger {
            certificate: stranger.certificate.as_ref(),
            greeting: stranger.greeting.map(|greeting| (greeting, nobody.as_slice())),
            term: FAR_AHEAD,
        }
        .visit(&door, claimed.greeting.node);
        assert_eq!(met, expected, "{what}");
        let after = lab.status(leader).unwrap();
        assert!(after.leads() && after.term == before.term, "{what}: {after:?}");
    }
    // In plain text, the door does not even open.
    let mut plain = TcpStream::connect(&door).unwrap();
    plain.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    std::io::Read::read_to_end(&mut plain, &mut answer).ok();
    assert!(!answer.windows(3).any(|w| w == b"SM\r"), "{answer:?}");

    // The same words count when the member itself says them: so they were well-formed.
    let own = lab.authorities[victim]
        .certify(&Certified::node(REGIONS[victim].name, lab.sites[victim].id().unwrap()));
    let key = fs::read(lab.sites[victim].path("cluster/node.key")).unwrap();
    let member = Stranger {
        certificate: Some(&own),
        greeting: Some((claimed.greeting, &key)),
        term: before.term + 10,
    };
    assert_eq!(member.visit(&door, claimed.greeting.node), Met::Heard("0".to_owned()));
    lab.status_when(leader, "the term of a member", |status| status.term >= before.term + 10);
    lab.start(victim);
    lab.finish();
}

struct Shown {
    certificate: Option<Pair>,
    greeting: Option<Greeting>,
}

/// What a stranger knows: everything but a key.
struct Claim {
    greeting: Greeting,
}

impl Claim {
    fn of(lab: &Lab, leader: usize, victim: usize) -> Self {
        let said = lab.sites[leader].exequatur(&["--output", "json", "cluster", "status"]);
        let status: Value = serde_json::from_str(&said.out).unwrap();
        let word = |name: &str| status[name].as_str().unwrap();
        let id = |node: usize| NodeId::from_hex(lab.sites[node].id().unwrap()).unwrap();
        let greeting = Greeting {
            cluster: Fixed::from_hex(word("cluster")).unwrap(),
            epoch: u32::try_from(status["epoch"].as_u64().unwrap()).unwrap(),
            genesis: Fixed(sha256(&fs::read(lab.genesis_file()).unwrap())),
            law: Fixed::from_hex(word("law")).unwrap(),
            region: RegionNumber::new(REGIONS[victim].number).unwrap(),
            node: id(victim),
            to: id(leader),
            levels: LEVELS,
            build: exequatur_federation::membership::Build { major: 9, minor: 0, patch: 0 },
            starts: 1,
            flushed: 1 << 40,
        };
        Self { greeting }
    }
}

/// Everybody who is refused, and how.
fn strangers(lab: &Lab, claim: &Claim, attacker: usize) -> Vec<(&'static str, Met, Shown)> {
    let claimed = claim.greeting;
    let victim = lab.number_of(&claimed.node.to_string());
    let victims_id = claimed.node.to_string();
    let own = &lab.authorities[attacker];
    let certify = |authority: &Authority, region: usize| {
        authority.certify(&Certified::node(REGIONS[region].name, &victims_id))
    };
    let as_attackers =
        Greeting { region: RegionNumber::new(REGIONS[attacker].number).unwrap(), ..claimed };
    let elsewhere = Greeting { cluster: Fixed([7; 16]), ..claimed };
    let refused = Met::Refused;
    let shown = |certificate, greeting| Shown { certificate: Some(certificate), greeting };
    vec![
        (
            "a certificate of the attacker's region that says the victim's",
            Met::Closed,
            shown(certify(own, victim), Some(claimed)),
        ),
        (
            "the victim's id in the attacker's region, which says so",
            refused(HelloRefused::Member),
            shown(certify(own, attacker), Some(as_attackers)),
        ),
        (
            "the victim's id in the attacker's region, which says the victim's",
            refused(HelloRefused::Certificate),
            shown(certify(own, attacker), Some(claimed)),
        ),
        (
            "the victim's certificate without its key",
            refused(HelloRefused::Proof),
            shown(certify(&lab.authorities[victim], victim), Some(claimed)),
        ),
        (
            "another federation",
            refused(HelloRefused::Cluster),
            shown(certify(&lab.authorities[victim], victim), Some(elsewhere)),
        ),
        ("no greeting", Met::Closed, shown(certify(&lab.authorities[victim], victim), None)),
        (
            "an authority of nobody",
            Met::Closed,
            shown(certify(&Authority::new("nobody"), victim), Some(claimed)),
        ),
        ("no certificate", Met::Closed, Shown { certificate: None, greeting: Some(claimed) }),
    ]
}
