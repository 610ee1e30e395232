//! A client revokes a token at its region: when it is told so, every region knows; when it is not,
//! every region comes to know, whatever happens meanwhile (design section 6; F01, F12, F20).

use exequatur_federation::revocation::StatusReference;

use super::lab::{
    Lab, Plan,
    files::REGIONS,
    global::{Global, Reply, post},
    wait_for,
};

/// A token that a region issued, and where its status stands.
struct Issued {
    token: String,
    status: StatusReference,
}

/// Regions that serve clients, and their provider.
struct World {
    lab: Lab,
    global: Global,
}

impl World {
    fn form() -> Self {
        let global = Global::start();
        let lab = Lab::form_with(Plan::DRIVEN, Some(global.issuer()));
        Self { lab, global }
    }

    fn ask(&self, node: usize, path: &str, form: &[(&str, &str)]) -> std::io::Result<Reply> {
        post(&self.lab.sites[node].public(), path, form)
    }

    /// Swaps a global token for one of the node's region.
    fn exchange(&self, node: usize, person: &str) -> Issued {
        let region = &REGIONS[node];
        let subject = self.global.token(person, region.name, 60);
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", subject.as_str()),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ];
        let reply = wait_for("a regional token", || {
            self.ask(node, "/token", &form).ok().filter(|reply| reply.status == 200)
        });
        let token = reply.body["access_token"].as_str().unwrap().to_owned();
        let payload = token.split('.').nth(1).unwrap();
        let payload = exequatur_federation::jose::from_base64url(payload).unwrap();
        let payload: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        let issuer = payload["iss"].as_str().unwrap();
        let status = StatusReference::from_claim(&payload["status"], issuer).unwrap();
        Issued { token, status }
    }

    fn is_active(&self, node: usize, issued: &Issued) -> bool {
        let reply = self.ask(node, "/introspect", &[("token", &issued.token)]).unwrap();
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.body["active"].as_bool().unwrap()
    }

    fn revoke(&self, node: usize, issued: &Issued) -> Reply {
        self.ask(node, "/revoke", &[("token", &issued.token)]).unwrap()
    }

    /// Whether a node knows that a token of another's region is revoked.
    fn knows(&mut self, node: usize, owner: usize, issued: &Issued) -> bool {
        let StatusReference { list, index } = issued.status;
        let question = format!("revoked {} {list} {index}", REGIONS[owner].number);
        let lines = self.lab.node(node).lines().cloned().unwrap();
        lines.ask(&question).as_deref() == Some("yes")
    }

    fn all_come_to_know(&mut self, owner: usize, issued: &Issued) {
        for node in self.lab.running() {
            wait_for("a revocation in every region", || {
                self.knows(node, owner, issued).then_some(())
            });
        }
    }
}

#[test]
fn who_is_told_that_a_token_is_revoked_can_rely_on_every_region() {
    let mut world = World::form();
    let mut receipts = Vec::new();
    for node in world.lab.running() {
        let issued = world.exchange(node, "ada");
        assert!(world.is_active(node, &issued));
        let reply = world.revoke(node, &issued);
        assert_eq!(reply.status, 200, "{reply:?}");
        receipts.push(reply.header("exequatur-receipt").unwrap().to_owned());
        assert!(!world.is_active(node, &issued));
        world.all_come_to_know(node, &issued);
        // Nobody else's token is dead with it.
        let other = world.exchange(node, "grace");
        assert!(world.is_active(node, &other));
        assert!(!world.knows(node, node, &other));
    }
    for receipt in &receipts {
        assert_eq!(receipt.len(), 22, "128 bits in base64url: {receipt}");
    }
    receipts.sort();
    receipts.dedup();
    assert_eq!(receipts.len(), 3);
    world.lab.finish();
}

#[test]
fn a_leader_that_is_killed_at_that_moment_takes_no_revocation_with_it() {
    let mut world = World::form();
    let leader = world.lab.leader();
    let asked = world.lab.others(leader)[0];
    let issued: Vec<Issued> =
        (0..8).map(|n| world.exchange(asked, &format!("person-{n}"))).collect();
    world.lab.kill(leader);
    for issued in &issued {
        let reply = world.revoke(asked, issued);
        // The other two have elected a leader within two seconds, or not.
        assert!(matches!(reply.status, 200 | 503), "{reply:?}");
        assert!(!world.is_active(asked, issued), "{reply:?}");
    }
    let survivors = world.lab.running();
    world.lab.leader_among(&survivors);
    for issued in &issued {
        world.all_come_to_know(asked, issued);
    }
    world.lab.start(leader);
    world.lab.settle();
    for issued in &issued {
        world.all_come_to_know(asked, issued);
    }
    world.lab.finish();
}

#[test]
fn without_a_quorum_a_revocation_holds_here_and_reaches_the_others_when_they_are_back() {
    let mut world = World::form();
    let issued = world.exchange(0, "ada");
    let other = world.exchange(0, "grace");
    for node in [1, 2] {
        world.lab.kill(node);
    }
    let reply = world.revoke(0, &issued);
    assert_eq!((reply.status, reply.error_id()), (503, "revocation_pending_here"), "{reply:?}");
    assert!(reply.header("retry-after").is_some(), "{reply:?}");
    assert_eq!(reply.header("exequatur-receipt"), None);
    assert!(!world.is_active(0, &issued), "it is effective on this node");
    assert!(world.is_active(0, &other));
    // Neither the node's end nor its start brings the token back to life.
    world.lab.kill(0);
    world.lab.start(0);
    world.lab.status_when(0, "an answer", |_| true);
    assert!(
        !wait_for("an answer of the restarted node", || {
            world.ask(0, "/introspect", &[("token", &issued.token)]).ok()
        })
        .body["active"]
            .as_bool()
            .unwrap()
    );
    for node in [1, 2] {
        world.lab.start(node);
    }
    world.lab.settle();
    world.all_come_to_know(0, &issued);
    let reply = world.revoke(0, &issued);
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(reply.header("exequatur-receipt").is_some());
    assert!(world.is_active(0, &other));
    world.lab.finish();
}

#[test]
fn what_the_federation_refuses_stays_in_force_at_home_and_is_said_aloud() {
    let mut world = World::form();
    let issued = world.exchange(0, "ada");
    for node in [1, 2] {
        let lines = world.lab.node(node).lines().cloned().unwrap();
        let answer = lines.ask("revoke-region 1").unwrap();
        assert!(answer.starts_with("decided"), "{answer}");
    }
    let reply = world.revoke(0, &issued);
    assert_eq!((reply.status, reply.error_id()), (503, "revocation_refused"), "{reply:?}");
    assert!(!world.is_active(0, &issued));
    let log = world.lab.node(0).log();
    assert!(log.contains("the federation refused a revocation"), "{log}");
    // It is not sent again, and it is remembered.
    world.lab.kill(0);
    world.lab.start(0);
    world.lab.status_when(0, "an answer", |_| true);
    assert!(!world.knows(1, 0, &issued));
    world.lab.finish();
}
