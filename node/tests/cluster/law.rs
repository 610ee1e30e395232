//! Nodes that go by another law (F70).

use super::lab::{Lab, Plan, files::Law};

#[test]
fn a_node_with_another_federation_file_is_refused_by_name_until_it_has_the_same() {
    let mut lab = Lab::form(Plan::PRODUCT);
    let leader = lab.leader();
    let stranger = lab.others(leader)[0];
    lab.stop(stranger);
    let other = Law { version: 2, audience: "https://elsewhere.example".to_owned() };
    let (ours, theirs) = (lab.federation_file(&Law::default()), lab.federation_file(&other));
    lab.sites[stranger].write_federation(&theirs);
    lab.start(stranger);
    lab.wait_for_log(stranger, "`federation.toml` is another");
    let status = lab.status_when(stranger, "an answer", |_| true);
    assert_eq!(status.leader, None, "nobody speaks with it: {status:?}");

    lab.stop(stranger);
    lab.sites[stranger].write_federation(&ours);
    lab.start(stranger);
    lab.finish();
}
