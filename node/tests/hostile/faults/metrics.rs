//! What operators watch: the series of `/metrics` move with what the node does.

use crate::lab::{Lab, http::HttpRequest};

#[test]
fn one_exchange_is_counted_where_it_was_worked_on() {
    let lab = Lab::start();
    lab.issued();
    let refused = lab.exchange("no token");
    assert_eq!(lab.send(&refused).status, 400);
    let text = HttpRequest::new("GET", "/metrics").send(lab.operations()).text();
    for line in [
        "exequatur_sign_seconds_count 1",
        "exequatur_sign_failures_total 0",
        // The start of the node, the authorization and the refusal.
        "exequatur_audit_records_total 3",
        r#"exequatur_requests_total{endpoint="token",outcome="ok"} 1"#,
        r#"exequatur_requests_total{endpoint="token",outcome="subject_token_malformed"} 1"#,
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
}
