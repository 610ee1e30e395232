//! Faults of what a node stands on: its database, its keys, the issuers it trusts. Each test breaks
//! one of them under a running or starting node, looks at what clients and the log see of it, mends
//! it, and sees the node recover by itself.

#[path = "../../harness/port.rs"]
mod port;
#[path = "../../harness/process.rs"]
mod process;

mod key_files;
mod metrics;
mod program;
mod softhsm;
mod storage_full;
mod store_stopped;
mod upstream;

use std::time::{Duration, Instant};

use crate::lab::{
    Lab,
    http::{Answer, HttpRequest},
    request::OAuthRequest,
};

/// Recovery takes seconds; a loaded machine may need far longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Looks until something is there.
fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::park_timeout(PAUSE);
    }
}

/// Status and error id of an answer.
fn outcome(answer: &Answer) -> (u16, String) {
    (answer.status, answer.member("error_id"))
}

/// An exchange of a new token.
fn exchange(lab: &Lab) -> OAuthRequest {
    lab.exchange(&lab.subject_token())
}

/// What `/readyz` says.
fn readiness(lab: &Lab) -> Answer {
    HttpRequest::new("GET", "/readyz").send(lab.operations())
}
