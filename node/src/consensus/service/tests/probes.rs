//! Who confirms that it leads, and who cannot.

use std::time::Duration;

use exequatur_federation::ledger::Verdict;

use super::{federation::Federation, proxy::Path};
use crate::{
    consensus::{Confirmation, Probed, ReadIndexError},
    peer::testing::node_id,
};

const LIMIT: Duration = Duration::from_secs(20);

/// The leader and the two others.
async fn roles(federation: &Federation) -> (u64, [u64; 2]) {
    federation.write(0).await;
    let leader = federation.leader().await;
    let others: Vec<u64> = (1..=3).filter(|number| *number != leader).collect();
    (leader, [others[0], others[1]])
}

impl Federation {
    async fn probe(&self, from: u64, to: u64) -> Result<Probed, ReadIndexError> {
        self.members[&from].forwarder.probe(node_id(to), None, LIMIT).await
    }
}

#[tokio::test]
async fn a_leader_says_how_far_the_ledger_goes_and_others_say_who_leads() {
    let federation = Federation::start(&[1, 2, 3]).await;
    let (leader, [asking, other]) = roles(&federation).await;
    let index = federation.write(1).await;
    let probed = federation.probe(asking, leader).await.unwrap();
    let Probed::Confirmed(Confirmation { read_index, verdict: Verdict::Unknown }) = probed else {
        panic!("{probed:?}")
    };
    assert!(read_index >= index, "{read_index}, and {index} was acknowledged");
    let expected = Probed::NotLeader { leader: Some(node_id(leader)) };
    assert_eq!(federation.probe(asking, other).await, Ok(expected));
}

#[tokio::test]
async fn a_leader_that_reaches_no_quorum_does_not_confirm_itself_though_it_can_be_asked() {
    let federation = Federation::start(&[1, 2, 3]).await;
    let (leader, others) = roles(&federation).await;
    for other in others {
        federation.members[&other].proxy.set(Path::Silent);
    }
    let probed = federation.probe(others[0], leader).await.unwrap();
    assert!(matches!(probed, Probed::NoQuorum | Probed::NotLeader { .. }), "{probed:?}");

    for other in others {
        federation.members[&other].proxy.set(Path::Open);
    }
    let index = federation.write(1).await;
    let mut confirmed = None;
    for _ in 0..600 {
        let leader = federation.leader().await;
        let asking = if leader == others[0] { others[1] } else { others[0] };
        if let Ok(Probed::Confirmed(confirmation)) = federation.probe(asking, leader).await {
            confirmed = Some(confirmation);
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(confirmed.unwrap().read_index >= index);
}

#[tokio::test]
async fn a_leader_that_cannot_be_reached_is_none() {
    let federation = Federation::start(&[1, 2, 3]).await;
    let (leader, [asking, _]) = roles(&federation).await;
    federation.members[&leader].proxy.set(Path::Silent);
    let limit = Duration::from_millis(200);
    let asked = federation.members[&asking].forwarder.probe(node_id(leader), None, limit).await;
    assert!(matches!(asked, Err(ReadIndexError::NoAnswer { .. })), "{asked:?}");
}
