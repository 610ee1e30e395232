//! A client revokes a token at its region: when it is told so, every region knows; when it is not,
//! every region comes to know, whatever happens meanwhile (design section 6; F01, F12, F20).

use exequatur_federation::revocation::StatusReference;

use super::lab::{
    Lab, Plan,
    files::REGIONS,
    global::Global,
    http::{Answer, post},
    site::Said,
    wait_for,
};

/// A token that a region issued, and where its status stands.
pub(super) struct Issued {
    pub(super) token: String,
    pub(super) status: StatusReference,
}

/// Regions that serve clients, and their provider.
pub(super) struct World {
    pub(super) lab: Lab,
    global: Global,
}

impl World {
    fn form() -> Self {
        Self::form_after(|_| ())
    }

    pub(super) fn form_after(done: impl FnOnce(&Lab)) -> Self {
        let global = Global::start();
        let lab = Lab::form_after(Plan::DRIVEN, Some(global.issuer()), done);
        Self { lab, global }
    }

    pub(super) fn ask(
        &self,
        node: usize,
        path: &str,
        form: &[(&str, &str)],
    ) -> std::io::Result<Answer> {
        post(self.lab.sites[node].public(), path, form)
    }

    /// Swaps a global token for one of the node's region.
    pub(super) fn exchange(&self, node: usize, person: &str) -> Issued {
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
        let token = reply.json["access_token"].as_str().unwrap().to_owned();
        let payload = token.split('.').nth(1).unwrap();
        let payload = exequatur_federation::jose::from_base64url(payload).unwrap();
        let payload: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        let issuer = payload["iss"].as_str().unwrap();
        let status = StatusReference::from_claim(&payload["status"], issuer).unwrap();
        Issued { token, status }
    }

    pub(super) fn is_active(&self, node: usize, issued: &Issued) -> bool {
        // A node that has just started does not know yet how old its view is.
        let reply = wait_for("an answer about a token", || {
            let reply = self.ask(node, "/introspect", &[("token", &issued.token)]).unwrap();
            (reply.error_id() != "view_stale").then_some(reply)
        });
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json["active"].as_bool().unwrap()
    }

    pub(super) fn revoke(&self, node: usize, issued: &Issued) -> Answer {
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
    // Not the leader, in whose log the revocation would stand, and be found there.
    let leader = world.lab.leader();
    let asked = world.lab.others(leader)[0];
    let gone = world.lab.others(asked);
    let issued = world.exchange(asked, "ada");
    let other = world.exchange(asked, "grace");
    for node in &gone {
        world.lab.kill(*node);
    }
    let reply = world.revoke(asked, &issued);
    assert_eq!((reply.status, reply.error_id()), (503, "revocation_pending_here"), "{reply:?}");
    assert!(reply.header("retry-after").is_some(), "{reply:?}");
    assert_eq!(reply.header("exequatur-receipt"), None);
    assert!(!world.is_active(asked, &issued), "it is effective on this node");
    assert!(world.is_active(asked, &other));
    // Neither the node's end nor its start brings the token back to life.
    world.lab.kill(asked);
    world.lab.start(asked);
    world.lab.status_when(asked, "an answer", |_| true);
    let reply = wait_for("an answer of the restarted node", || {
        world.ask(asked, "/introspect", &[("token", &issued.token)]).ok()
    });
    // It never heard a leader in this life, and may say that instead.
    assert!(reply.error_id() == "view_stale" || reply.json["active"] == false, "{reply:?}");
    for node in gone {
        world.lab.start(node);
    }
    world.lab.settle();
    world.all_come_to_know(asked, &issued);
    let reply = world.revoke(asked, &issued);
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(reply.header("exequatur-receipt").is_some());
    assert!(world.is_active(asked, &other));
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

impl World {
    /// Runs `exequatur revoke` at a node, with a value in a file.
    pub(super) fn operate(&self, node: usize, value: &str, words: &[&str]) -> Said {
        let site = &self.lab.sites[node];
        std::fs::write(site.path("value"), format!("{value}\n")).unwrap();
        let words: Vec<&str> = ["revoke"].iter().chain(words).copied().collect();
        site.exequatur(&words)
    }

    /// Asks for a token of a person who logged in so long ago.
    fn try_exchange(&self, node: usize, person: &str, seconds: u64) -> Answer {
        let subject = self.global.token(person, REGIONS[node].name, seconds);
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", subject.as_str()),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ];
        self.ask(node, "/token", &form).unwrap()
    }
}

pub(super) const OF_PERSON: [&str; 5] = ["subject", "--upstream", "global", "--from", "value"];

#[test]
fn an_operator_logs_a_person_out_blocks_them_and_lets_them_in_again() {
    let world = World::form();
    let (ada, grace) = (world.exchange(0, "ada"), world.exchange(0, "grace"));
    world.operate(0, "ada", &OF_PERSON).done();
    assert!(!world.is_active(0, &ada), "what was issued is dead");
    assert!(world.is_active(0, &grace));
    let again = world.try_exchange(0, "ada", 60);
    assert_eq!((again.status, again.error_id()), (400, "login_revoked"), "{again:?}");
    assert_eq!(again.json["error"], "insufficient_user_authentication");
    assert_eq!(again.json["max_age"], 0);

    let block = [&OF_PERSON[..], &["--mode", "block", "--for", "30d"]].concat();
    world.operate(0, "grace", &block).done();
    assert!(!world.is_active(0, &grace));
    assert_eq!(world.try_exchange(0, "grace", 0).error_id(), "login_revoked");
    let lift = ["lift", "--upstream", "global", "--from", "value"];
    world.operate(0, "grace", &lift).done();
    assert!(!world.is_active(0, &grace), "a lifted block leaves a cut-off");
    assert_eq!(world.try_exchange(0, "grace", 60).error_id(), "login_revoked");

    // Nobody else, and not by a digest of another kind.
    world.operate(0, "ada", &[&OF_PERSON[..], &["--service"]].concat()).done();
    let edsger = world.exchange(0, "edsger");
    assert!(world.is_active(0, &edsger));
    world
        .operate(0, "session-of-edsger", &["session", "--upstream", "global", "--from", "value"])
        .done();
    assert!(!world.is_active(0, &edsger));
    assert_eq!(world.try_exchange(0, "edsger", 0).error_id(), "login_revoked");
    let bits = format!("{:?}", world.lab.sites[0].exequatur(&["audit", "show"]));
    for value in ["ada", "grace", "session-of-edsger"] {
        assert!(!bits.contains(value), "{value} stands in the audit log");
    }
    world.lab.finish();
}

#[test]
fn an_operator_ends_tokens_lists_and_clients_and_is_told_what_cannot_be() {
    let world = World::form();
    let (first, second) = (world.exchange(1, "ada"), world.exchange(1, "grace"));
    world.operate(1, &first.token, &["token", "--from", "value"]).done();
    assert!(!world.is_active(1, &first) && world.is_active(1, &second));
    let list = second.status.list.to_string();
    world.operate(1, "", &["list", &list]).done();
    assert!(!world.is_active(1, &second));
    // What is issued later is alive, though of the same list.
    let third = world.exchange(1, "grace");
    assert_eq!(third.status.list, second.status.list);
    assert!(world.is_active(1, &third));
    world.operate(1, "", &["client", "orders-gateway", "--mode", "block", "--for", "1h"]).done();
    assert!(!world.is_active(1, &third));
    let refused = world.try_exchange(1, "grace", 0);
    assert_eq!((refused.status, refused.error_id()), (400, "client_blocked"), "{refused:?}");
    world.operate(1, "", &["lift", "--client", "orders-gateway"]).done();
    assert!(world.is_active(1, &world.exchange(1, "grace")));

    let refusals: [(&str, &[&str], i32, &str); 8] = [
        ("", &["token", "--from", "value"], 1, "one value"),
        ("no token", &["token", "--from", "value"], 3, "no token that the region issued"),
        (
            &first.token.replace('.', ""),
            &["token", "--from", "value"],
            3,
            "no token that the region issued",
        ),
        ("x", &["list", "0123"], 1, "16 hexadecimal digits"),
        ("x", &["client", "nobody"], 3, "no such client"),
        ("x", &["region", "atlantis"], 3, "no such region"),
        ("x", &["subject", "--upstream", "none", "--from", "value"], 3, "no such upstream"),
        ("x", &["client", "orders-gateway", "--mode", "block", "--for", "401d"], 3, "400 days"),
    ];
    for (value, words, code, why) in refusals {
        let said = world.operate(1, value, words).refused(code);
        assert!(said.contains(why), "{words:?}: {said}");
    }
    world.lab.finish();
}

#[test]
fn a_region_that_is_not_ones_own_ends_when_two_others_ask() {
    let world = World::form();
    let issued = world.exchange(0, "ada");
    let said = world.operate(1, "", &["region", "eu-central"]).refused(4);
    assert!(said.contains("another region asks for the same"), "{said}");
    assert!(world.is_active(0, &issued));
    world.operate(2, "", &["region", "eu-central"]).done();
    wait_for("the end of a region", || (!world.is_active(0, &issued)).then_some(()));
    world.lab.finish();
}
