//! The audit log of a lab, read back after the node has stopped.

use exequatur_federation::region::RegionId;
use exequatur_node::{
    audit::verify,
    node::log_binding,
    store::{Access, Location, PAGE_RECORDS_MAX, open},
};
use serde_json::Value;

use super::node::runtime;

/// Every record, in order.
pub(crate) struct Log(Vec<Value>);

impl Log {
    /// Reads a log, and verifies that its records are those of its tree.
    pub(crate) fn read(location: &Location) -> Self {
        runtime().block_on(async {
            let binding = log_binding(&RegionId::new("eu-central").unwrap());
            let store = open(location, &binding, Access::Read).await.unwrap();
            verify(store.as_ref()).await.unwrap();
            let mut records = Vec::new();
            loop {
                let from = u64::try_from(records.len()).unwrap();
                let page = store.audit_page(from, PAGE_RECORDS_MAX).await.unwrap();
                if page.is_empty() {
                    break;
                }
                let read = page.iter().map(|r| serde_json::from_slice(&r.sealed.record).unwrap());
                records.extend(read);
            }
            store.close().await;
            Self(records)
        })
    }

    /// Records that name a request.
    pub(crate) fn of_request(&self, request_id: &str) -> Vec<&Value> {
        self.0.iter().filter(|record| record["request_id"] == request_id).collect()
    }

    /// Records of an event.
    pub(crate) fn of_event(&self, event: &str) -> Vec<&Value> {
        self.0.iter().filter(|record| record["event"] == event).collect()
    }

    /// How many strangers were refused for a reason.
    pub(crate) fn counted(&self, error_id: &str) -> u64 {
        let rows = self.of_event("refused_counted");
        let rows = rows.iter().filter(|row| row["error_id"] == error_id);
        rows.map(|row| row["count"].as_u64().unwrap()).sum()
    }

    /// How many strangers were refused.
    pub(crate) fn counted_in_all(&self) -> u64 {
        let rows = self.of_event("refused_counted");
        rows.iter().map(|row| row["count"].as_u64().unwrap()).sum()
    }

    /// How many records name a request.
    pub(crate) fn requests(&self) -> usize {
        self.0.iter().filter(|record| record["request_id"].is_string()).count()
    }

    /// Everything that is readable in the log, for searching.
    pub(crate) fn text(&self) -> String {
        self.0.iter().map(Value::to_string).collect()
    }
}
