//! What `exequatur cluster status --output json` says, as far as tests ask.

use serde_json::Value;

/// A federation as one node sees it.
#[derive(Clone, Debug)]
pub(crate) struct Status {
    pub(crate) node: String,
    pub(crate) state: String,
    pub(crate) leader: Option<String>,
    pub(crate) term: u64,
    pub(crate) last: Option<u64>,
    pub(crate) committed: Option<u64>,
    pub(crate) applied: Option<u64>,
    pub(crate) snapshot: Option<u64>,
    pub(crate) purged: Option<u64>,
    pub(crate) digest: String,
    pub(crate) voters: Vec<String>,
    pub(crate) learners: Vec<String>,
    pub(crate) survives_any_region: bool,
    pub(crate) warnings: Vec<String>,
}

impl Status {
    pub(crate) fn read(text: &str) -> Self {
        let status: Value = serde_json::from_str(text).unwrap();
        let index = |name: &str| status[name].as_u64();
        let word = |name: &str| status[name].as_str().unwrap().to_owned();
        let nodes = |voter: bool| {
            let nodes = status["nodes"].as_array().unwrap().iter();
            let nodes = nodes.filter(|node| node["voter"].as_bool() == Some(voter));
            nodes.map(|node| node["node"].as_str().unwrap().to_owned()).collect()
        };
        let warnings = status["warnings"].as_array().unwrap().iter();
        Self {
            node: word("node"),
            state: word("state"),
            leader: status["leader"].as_str().map(str::to_owned),
            term: status["term"].as_u64().unwrap(),
            last: index("last_log_index"),
            committed: index("committed_index"),
            applied: index("applied_index"),
            snapshot: index("snapshot_index"),
            purged: index("purged_index"),
            digest: word("state_digest"),
            voters: nodes(true),
            learners: nodes(false),
            survives_any_region: status["survives_any_region"].as_bool().unwrap(),
            warnings: warnings.map(|w| w.as_str().unwrap().to_owned()).collect(),
        }
    }

    pub(crate) fn leads(&self) -> bool {
        self.state == "leader"
    }
}
