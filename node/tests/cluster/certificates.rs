//! Certificates and authorities that end or are replaced while nodes run (F60, F61).

use exequatur_federation::time::{Ttl, UnixTime};
use exequatur_node::clock::{Clock as _, SystemClock};

use super::lab::{
    Lab, Plan,
    authority::{Authority, Certified},
    files::REGIONS,
    pause,
};

/// Time for three nodes to start before a certificate ends.
const LIFE: Ttl = Ttl::from_seconds(15);

fn now() -> UnixTime {
    SystemClock::start().now()
}

#[test]
fn a_certificate_that_has_expired_lets_nobody_in_and_a_new_one_does_without_a_restart() {
    let mut lab = Lab::prepare(Plan::DRIVEN);
    lab.found();
    let (expiring, id) = (2, lab.sites[2].id().unwrap().to_owned());
    let until = now().plus(LIFE);
    let certified =
        Certified { until: Some(until), ..Certified::node(REGIONS[expiring].name, &id) };
    lab.authorities[expiring].certify(&certified).write(lab.sites[expiring].directory());
    lab.start_all();
    lab.revoke_for_sure(expiring);
    while now() <= until {
        pause();
    }

    // Connections that are open go on; new ones are not made.
    let others = lab.others(expiring);
    for other in &others {
        lab.kill(*other);
    }
    for other in &others {
        lab.start(*other);
    }
    lab.leader_among(&others);
    lab.revoke_for_sure(others[0]);
    let status = lab.status_when(expiring, "an answer", |_| true);
    assert!(!status.leads(), "{status:?}");
    let leader = lab.leader_among(&others);
    let seen = lab.status(leader).unwrap();
    let behind = lab.status(expiring).unwrap();
    assert!(behind.applied < seen.applied, "{behind:?}, {seen:?}");
    // It cannot be started again either, and says why.
    lab.kill(expiring);
    let said = lab.start_in_vain(expiring);
    assert!(said.contains("the certificate is valid from"), "{said}");

    lab.sites[expiring].certify(&lab.authorities[expiring]);
    lab.start(expiring);
    lab.finish();
}

#[test]
fn an_authority_is_replaced_under_load_while_both_are_trusted() {
    let mut lab = Lab::form(Plan::DRIVEN);
    let load = lab.load();
    let replaced = lab.leader();
    let region = REGIONS[replaced].name;
    let next = Authority::new(region);
    let file = format!("tls/{region}-ca.pem");
    let trust = |lab: &mut Lab, bundle: &str| {
        for node in lab.running() {
            super::lab::authority::write_whole(&lab.sites[node].path(&file), bundle);
        }
        for node in lab.running() {
            lab.wait_for_reload(node);
        }
        lab.acknowledged.wait_for_more(10);
    };
    let both = format!("{}{}", lab.authorities[replaced].certificate(), next.certificate());
    trust(&mut lab, &both);
    lab.sites[replaced].certify(&next);
    lab.wait_for_reload(replaced);
    lab.acknowledged.wait_for_more(10);
    trust(&mut lab, next.certificate());
    lab.authorities[replaced] = next;

    // Every connection of the node is new.
    lab.stop(replaced);
    lab.acknowledged.wait_for_more(10);
    lab.start(replaced);
    lab.settle();
    load.stop();
    lab.finish();
}
