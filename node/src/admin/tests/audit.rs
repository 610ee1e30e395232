//! Nothing takes effect that is not recorded first.

use exequatur_federation::operator::Operator;
use serde_json::json;

use super::{
    super::{AdminWorker, CallError, Cause, Done, action::Order, worker::Job},
    cluster::{node, ticket},
    lab::{Lab, OPERATOR, VIEWER, id},
};
use crate::{audit::faulty::Fault, consensus::control::ControlError, store::StoreError};

fn unmet<T: std::fmt::Debug>(outcome: Result<T, CallError>) -> (Cause, String) {
    match outcome.unwrap_err() {
        CallError::Unmet { cause, message } => (cause, message),
        other @ (CallError::Broken { .. } | CallError::NotUnderstood { .. }) => panic!("{other}"),
    }
}

async fn until(mut holds: impl AsyncFnMut() -> bool) {
    while !holds().await {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_action_is_durable_before_it_takes_effect_and_its_outcome_after() {
    let lab = Lab::remote().await;
    let mut client = lab.as_holder_of(OPERATOR).await;
    let request = id();
    client.remove(request, node(3), true).await.unwrap();
    assert_eq!(lab.cluster.last().records, 1, "one record was durable when it took effect");
    let records = lab.records().await;
    let id = request.to_string();
    let expected = json!([
        { "event": "operator_acting", "operator": OPERATOR, "action": "remove",
          "target": "0000000000000003", "accepts_reduced_survival": true,
          "request_id": id, "at": records[0]["at"] },
        { "event": "operator_acted", "operator": OPERATOR, "action": "remove",
          "target": "0000000000000003", "outcome": "done",
          "request_id": id, "at": records[1]["at"] },
    ]);
    assert_eq!(json!(records), expected);
}

#[tokio::test]
async fn a_promotion_names_both_the_new_voter_and_the_replaced_one() {
    let lab = Lab::remote().await;
    let mut client = lab.as_holder_of(OPERATOR).await;
    let mut viewer = lab.as_holder_of(VIEWER).await;
    client.promote(id(), node(4), Some(node(3)), false).await.unwrap();
    unmet(viewer.promote(id(), node(4), Some(node(3)), false).await);
    let asked = "promote 0000000000000004 replacing 0000000000000003 false";
    assert_eq!(lab.cluster.asked(), [asked], "the viewer's never got there");
    let records = lab.records().await;
    assert_eq!(records.len(), 3);
    for (record, event) in
        records.iter().zip(["operator_acting", "operator_acted", "operator_refused"])
    {
        assert_eq!(record["event"], event);
        assert_eq!(
            (&record["target"], &record["replaced"]),
            (&json!(node(4).to_string()), &json!(node(3).to_string()))
        );
    }
}

#[tokio::test]
async fn what_the_cluster_refuses_is_recorded_as_its_outcome_and_told() {
    let lab = Lab::local().await;
    let mut client = lab.on_socket().await;
    let cases = [
        (ControlError::NotLeader { leader: Some(node(2)) }, Cause::NotLeader, "0000000000000002"),
        (ControlError::NotLeader { leader: None }, Cause::NotLeader, "knows no leader"),
        (ControlError::NoQuorum, Cause::NoQuorum, "start the missing nodes"),
        (ControlError::InProgress, Cause::InProgress, "try again when it is done"),
        (ControlError::VoterRules("too few regions".to_owned()), Cause::VoterRules, "too few"),
        (ControlError::Unknown(node(3)), Cause::Unknown, "exequatur cluster status"),
        (ControlError::LaggingLearner { behind: 42 }, Cause::LaggingLearner, "42 entries behind"),
        (ControlError::Pending, Cause::Pending, "operator of another region"),
        (ControlError::Overloaded, Cause::Overloaded, "try again later"),
        (ControlError::Local("the disk is full".to_owned()), Cause::Local, "the disk is full"),
    ];
    for (error, cause, part) in cases {
        lab.cluster.fail(error);
        let (got, message) = unmet(client.promote(id(), node(3), None, false).await);
        assert_eq!(got, cause);
        assert!(message.contains(part), "{message}");
        assert_eq!(lab.records().await.last().unwrap()["outcome"], cause.as_str());
    }
}

#[tokio::test]
async fn refused_operators_are_recorded_and_reading_is_not() {
    let lab = Lab::remote().await;
    let mut viewer = lab.as_holder_of(VIEWER).await;
    viewer.status().await.unwrap();
    assert!(lab.records().await.is_empty());
    let request = id();
    let (cause, message) = unmet(viewer.invite(request, &ticket()).await);
    assert_eq!(cause, Cause::NotPermitted);
    assert_eq!(message, "the role `viewer` may not invite: ask an operator");
    let records = lab.records().await;
    let expected = json!([
        { "event": "operator_refused", "operator": VIEWER, "action": "invite",
          "target": "0000000000000009", "cause": "not_permitted",
          "request_id": request.to_string(), "at": records[0]["at"] },
    ]);
    assert_eq!(json!(records), expected);
}

#[tokio::test]
async fn without_the_audit_log_nothing_is_done() {
    let lab = Lab::remote().await;
    let mut operator = lab.as_holder_of(OPERATOR).await;
    let mut viewer = lab.as_holder_of(VIEWER).await;
    let down = || Fault::Fails(StoreError::Unavailable { code: "gone".to_owned() });
    lab.store.expect(std::iter::repeat_with(down).take(1_000));
    let (cause, message) = unmet(operator.drain(id()).await);
    assert_eq!(cause, Cause::AuditUnavailable);
    assert!(message.starts_with("nothing was done, as it cannot be recorded: "), "{message}");
    let (cause, _) = unmet(viewer.drain(id()).await);
    assert_eq!(cause, Cause::AuditUnavailable);
    assert!(lab.cluster.asked().is_empty());
    operator.status().await.unwrap();
}

#[tokio::test]
async fn an_action_whose_outcome_cannot_be_recorded_keeps_its_first_record() {
    let lab = Lab::local().await;
    lab.cluster.close_gate();
    let mut client = lab.on_socket().await;
    let mut second = client.clone();
    let acting = async { second.snapshot(id()).await };
    let spoil = async {
        until(async || !lab.cluster.asked().is_empty()).await;
        lab.store.expect([Fault::Fails(StoreError::Full)]);
        lab.cluster.open_gate(1);
    };
    let (outcome, ()) = tokio::join!(acting, spoil);
    outcome.unwrap();
    let records = lab.records().await;
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!(records[0]["event"], "operator_acting");
    let mut audit = lab.audit.clone();
    while audit.trouble().is_some() {
        assert!(audit.changed().await);
    }
    lab.cluster.open_gate(1);
    client.snapshot(id()).await.unwrap();
}

#[tokio::test]
async fn one_request_id_is_carried_out_once() {
    let lab = Lab::remote().await;
    let mut client = lab.as_holder_of(OPERATOR).await;
    let request = id();
    assert!(!client.invite(request, &ticket()).await.unwrap().repeated);
    let again = client.invite(request, &ticket()).await.unwrap();
    assert_eq!((again.invite, again.repeated), (super::cluster::invite(), true));
    assert_eq!(lab.cluster.asked().len(), 1);
    assert_eq!(lab.records().await.len(), 2);
    let (cause, _) = unmet(client.remove(request, node(9), false).await);
    assert_eq!(cause, Cause::RequestIdReused);
    // What failed is tried again.
    let request = id();
    lab.cluster.fail(ControlError::NoQuorum);
    assert_eq!(unmet(client.drain(request).await).0, Cause::NoQuorum);
    assert_eq!(client.drain(request).await, Ok(Done { repeated: false }));
    assert_eq!(lab.cluster.asked().len(), 3);
}

#[tokio::test]
async fn what_was_begun_ends_and_is_recorded_also_without_the_operator() {
    let lab = Lab::local().await;
    lab.cluster.close_gate();
    let request = id();
    {
        let mut client = lab.on_socket().await;
        let asking = client.transfer_leader(request, Some(node(2)));
        tokio::select! {
            _ = asking => panic!("the gate is closed"),
            () = until(async || !lab.cluster.asked().is_empty()) => {}
        }
    }
    let mut client = lab.on_socket().await;
    let again = client.transfer_leader(request, Some(node(2)));
    let open = async {
        tokio::task::yield_now().await;
        lab.cluster.open_gate(1);
    };
    let (again, ()) = tokio::join!(again, open);
    assert_eq!(again, Ok(Done { repeated: true }));
    assert_eq!(lab.cluster.asked(), ["transfer_leader Some(0000000000000002)"]);
    let records = lab.records().await;
    assert_eq!((records.len(), &records[1]["outcome"]), (2, &json!("done")));
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_not_begun() {
    let lab = Lab::local().await;
    let cluster = std::sync::Arc::clone(&lab.cluster);
    let clock = std::sync::Arc::new(crate::clock::SystemClock::start());
    let (queue, worker) = AdminWorker::new(cluster, lab.audit.clone(), clock);
    let operator = Operator::local(0, 0).unwrap();
    let job = |order| {
        let (answer, answered) = tokio::sync::oneshot::channel();
        let (operator, id) = (operator.clone(), id());
        (Job { operator, id, order, answer }, answered)
    };
    let ((given_up, gone), (wanted, answered)) = (job(Order::Drain), job(Order::Snapshot));
    drop(gone);
    queue.try_send(given_up).unwrap();
    queue.try_send(wanted).unwrap();
    drop(queue);
    worker.run().await;
    answered.await.unwrap().unwrap();
    assert_eq!(lab.cluster.asked(), ["snapshot"]);
    assert_eq!(lab.records().await.len(), 2);
}

#[tokio::test]
async fn an_action_that_does_not_end_in_time_is_unknown_and_recorded_so() {
    let lab = Lab::local().await;
    lab.cluster.close_gate();
    let mut client = lab.on_socket().await;
    let late = async {
        until(async || !lab.cluster.asked().is_empty()).await;
        tokio::time::pause();
        tokio::time::advance(std::time::Duration::from_secs(31)).await;
        tokio::time::resume();
    };
    let (outcome, ()) = tokio::join!(client.remove(id(), node(3), false), late);
    let (cause, message) = unmet(outcome);
    assert_eq!(cause, Cause::Deadline);
    assert!(message.contains("within 30 s, and whether it takes effect is unknown"), "{message}");
    let records = lab.records().await;
    assert_eq!((records.len(), &records[1]["outcome"]), (2, &json!("deadline")));
}

#[tokio::test]
async fn a_service_that_is_told_to_stop_finishes_what_is_under_way() {
    let mut lab = Lab::local().await;
    lab.cluster.close_gate();
    let mut client = lab.on_socket().await;
    let cluster = std::sync::Arc::clone(&lab.cluster);
    let stop = async {
        until(async || !cluster.asked().is_empty()).await;
        lab.stop();
        cluster.open_gate(1);
    };
    let (outcome, ()) = tokio::join!(client.drain(id()), stop);
    assert_eq!(outcome, Ok(Done { repeated: false }));
    drop(client);
    assert_eq!(lab.ended().await.cut, 0);
    assert!(!lab.path("admin.sock").exists());
}
