//! Every role and every method, over both transports.

use exequatur_federation::{
    client::ClientId,
    operator::{Action, Role},
    revocation::Measure,
    time::Ttl,
};

use super::{
    super::{AdminClient, CallError, Cause, Revocation, What},
    cluster::{invite, node, status, ticket},
    lab::{Lab, NODE, OPERATOR, VIEWER, id},
};

/// Calls the method of an action, and returns why it was refused.
async fn call(client: &mut AdminClient, action: Action) -> Option<Cause> {
    let outcome = match action {
        Action::Status => client.status().await.map(|got| assert_eq!(got, status())),
        Action::Invite => client
            .invite(id(), &ticket())
            .await
            .map(|invited| assert_eq!((invited.invite, invited.repeated), (invite(), false))),
        Action::Promote => client.promote(id(), node(2), None, false).await.map(drop),
        Action::Demote => client.demote(id(), node(2), true).await.map(drop),
        Action::Remove => client.remove(id(), node(3), false).await.map(drop),
        Action::TransferLeader => client.transfer_leader(id(), None).await.map(drop),
        Action::Drain => client.drain(id()).await.map(drop),
        Action::Snapshot => client.snapshot(id()).await.map(drop),
        Action::Entry => client.entry(Some(3)).await.map(|entry| assert_eq!(entry.id.index, 3)),
        Action::Revoke => {
            let what = What::Client(ClientId::new("orders"));
            let measure = Measure::Block(Ttl::from_seconds(60));
            client.revoke(id(), &Revocation { what, measure }).await.map(drop)
        }
    };
    match outcome {
        Ok(()) => None,
        Err(CallError::Unmet { cause, .. }) => Some(cause),
        Err(other) => panic!("{action}: {other}"),
    }
}

const EVERY_ACTION: [&str; 9] = [
    "invite 0000000000000009",
    "promote 0000000000000002 false",
    "demote 0000000000000002 true",
    "remove 0000000000000003 false",
    "transfer_leader None",
    "drain",
    "snapshot",
    "entry Some(3)",
    "revoke client orders Block(Ttl(60))",
];

#[tokio::test]
async fn the_nodes_own_user_may_do_everything_on_the_socket() {
    let lab = Lab::local().await;
    let mut client = lab.on_socket().await;
    for action in Action::ALL {
        assert_eq!(call(&mut client, action).await, None, "{action}");
    }
    assert_eq!(lab.cluster.asked(), EVERY_ACTION);
    let who = format!("unix:{}", rustix::process::geteuid().as_raw());
    for record in lab.records().await {
        assert_eq!(record["operator"], who.as_str(), "{record}");
    }
}

#[tokio::test]
async fn an_operator_may_do_everything_and_a_viewer_only_look() {
    let lab = Lab::remote().await;
    for (uri, role) in [(VIEWER, Role::Viewer), (OPERATOR, Role::Operator)] {
        let mut client = lab.as_holder_of(uri).await;
        for action in Action::ALL {
            let expected = (!role.may(action)).then_some(Cause::NotPermitted);
            assert_eq!(call(&mut client, action).await, expected, "{role} {action}");
        }
    }
    assert_eq!(lab.cluster.asked(), EVERY_ACTION, "the viewer's never got there");
}

#[tokio::test]
async fn whoever_is_not_listed_may_nothing_also_a_node() {
    let lab = Lab::remote().await;
    for uris in [&[NODE][..], &["spiffe://test/operator/mallory"], &[], &[OPERATOR, VIEWER]] {
        let pair = lab.authority.issue(uris, |_| {});
        let mut client = lab.with(&pair).await.unwrap();
        for action in Action::ALL {
            assert_eq!(call(&mut client, action).await, Some(Cause::NoRole), "{uris:?} {action}");
        }
    }
    assert!(lab.cluster.asked().is_empty());
    assert!(lab.records().await.is_empty(), "strangers buy no disk writes");
    assert_eq!(lab.counted.reasons(), ["admin_not_listed", "admin_not_one_uri"]);
    let strangers = 2 * Action::ALL.len() as u64;
    assert_eq!(lab.counted.take("admin_not_listed").unwrap().count, strangers);
}

#[tokio::test]
async fn one_operator_cannot_crowd_out_the_audit_log() {
    let lab = Lab::remote().await;
    let mut client = lab.as_holder_of(VIEWER).await;
    let mut refused = None;
    // More than may come at once.
    for _ in 0..100 {
        refused = call(&mut client, Action::Drain).await;
        if refused == Some(Cause::RateLimited) {
            break;
        }
    }
    assert_eq!(refused, Some(Cause::RateLimited));
    assert_eq!(lab.counted.reasons(), ["admin_rate_limited"]);
    // The other's share is untouched.
    assert_eq!(call(&mut lab.as_holder_of(OPERATOR).await, Action::Drain).await, None);
}
