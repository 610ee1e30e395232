//! Nodes that go by another law (F70).

use super::lab::{Lab, Plan, files::Law, load::Answer};

#[test]
fn a_node_with_another_federation_file_is_refused_by_name_until_it_has_the_same() {
    let mut lab = Lab::form(Plan::DRIVEN);
    let leader = lab.leader();
    let stranger = lab.others(leader)[0];
    lab.stop(stranger);
    let other = Law { version: 2, audience: "https://elsewhere.example".to_owned() };
    let (ours, theirs) = (lab.federation_file(&Law::default()), lab.federation_file(&other));
    lab.sites[stranger].write_federation(&theirs);
    lab.start(stranger);
    lab.wait_for_log(stranger, "`federation.toml` is another");
    let answer = lab.revoke(stranger);
    assert_eq!(answer, Answer::Failed("no-quorum".to_owned()), "nobody speaks with it");

    lab.stop(stranger);
    lab.sites[stranger].write_federation(&ours);
    lab.start(stranger);
    lab.finish();
}
