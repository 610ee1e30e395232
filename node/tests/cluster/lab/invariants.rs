//! What consensus promises, whatever was done to it (reliability section 3.6).
//!
//! While a test runs, every status is compared with those before it: a node's term, commit and apply
//! never go back while it runs, its log is whole (purged <= snapshot <= applied <= committed <=
//! last), and equal indexes mean equal digests on all nodes (I-C3). At the end every node writes a
//! snapshot: those that cover the same are the same bytes (I-C2) and hold every revocation that was
//! acknowledged (I-R1).

use std::{collections::BTreeMap, fs, path::Path};

use exequatur_federation::{
    jose::sha256,
    ledger::{Fixed, Ledger},
};

use super::{Lab, status::Status, wait_for};

/// What all nodes have said so far.
#[derive(Default)]
pub(crate) struct History {
    /// The last word of each node in its present life.
    latest: BTreeMap<usize, Status>,
    /// The digest at each index, and who said so first.
    digests: BTreeMap<u64, (String, usize)>,
}

impl History {
    /// A new life: what was not durable is forgotten.
    pub(crate) fn started(&mut self, node: usize) {
        self.latest.remove(&node);
    }

    /// Compares a word with those before it.
    pub(crate) fn note(&mut self, node: usize, status: &Status) {
        let indexes =
            [status.purged, status.snapshot, status.applied, status.committed, status.last];
        assert!(indexes.is_sorted(), "the log of node {node} is not whole: {status:?}");
        if let Some(before) = self.latest.get(&node) {
            let monotone = before.term <= status.term
                && before.committed <= status.committed
                && before.applied <= status.applied
                && before.snapshot <= status.snapshot
                && before.purged <= status.purged;
            assert!(monotone, "node {node} went back: {before:?}, then {status:?}");
        }
        if let Some(applied) = status.applied {
            let said = (status.digest.clone(), node);
            let (digest, first) = self.digests.entry(applied).or_insert(said);
            assert_eq!(
                *digest, status.digest,
                "I-C3: nodes {first} and {node} differ at index {applied}"
            );
        }
        self.latest.insert(node, status.clone());
    }
}

/// Waits until the nodes that run hold the same, and checks that it is what it must be.
pub(crate) fn check(lab: &mut Lab) {
    let genesis = Fixed(sha256(&fs::read(lab.genesis_file()).unwrap()));
    let snapshots = wait_for("snapshots of all nodes that cover the same", || same_snapshots(lab));
    let ((first, expected), others) = snapshots.split_first().unwrap();
    for (node, bytes) in others {
        assert!(bytes == expected, "I-C2: the snapshots of nodes {first} and {node} differ");
    }
    let (head, ledger) = Ledger::restore(expected, genesis).unwrap();
    lab.acknowledged.require_all_in(&ledger, "a snapshot");
    for node in lab.running() {
        let status = lab.status(node).unwrap();
        if status.applied == head.last.map(|id| id.index) {
            assert_eq!(status.digest, ledger.digest().to_string(), "node {node} and its snapshot");
        }
    }
}

/// Has every node write a snapshot. `None` if time went on in between, so that they cover different
/// entries.
fn same_snapshots(lab: &mut Lab) -> Option<Vec<(usize, Vec<u8>)>> {
    let running = lab.running();
    let applied: Vec<_> =
        running.iter().map(|node| lab.status(*node)?.applied).collect::<Option<_>>()?;
    if applied.iter().any(|index| Some(index) != applied.first()) {
        return None;
    }
    for node in &running {
        let said = lab.sites[*node].exequatur(&["cluster", "snapshot"]);
        assert_eq!(said.code, Some(0), "{said:?}");
    }
    let mut newest = Vec::new();
    for node in running {
        let pid = lab.node(node).pid();
        newest.push((node, newest_in(&lab.sites[node].snapshots(Some(pid)))?));
    }
    let (_, (name, _)) = newest.first()?;
    let same = newest.iter().all(|(_, (other, _))| other == name);
    same.then(|| newest.into_iter().map(|(node, (_, bytes))| (node, bytes)).collect())
}

/// The snapshot that covers most: names sort by it.
fn newest_in(directory: &Path) -> Option<(String, Vec<u8>)> {
    let entries = fs::read_dir(directory).ok()?.map(|entry| entry.unwrap().path());
    let newest = entries.filter(|path| path.extension().is_some_and(|e| e == "snapshot")).max()?;
    let bytes = fs::read(&newest).ok()?;
    Some((newest.file_name()?.to_str()?.to_owned(), bytes))
}

mod tests {
    use super::*;

    fn status(applied: u64, digest: &str) -> Status {
        Status {
            node: "0000000000000001".to_owned(),
            state: "follower".to_owned(),
            leader: None,
            term: 1,
            last: Some(applied),
            committed: Some(applied),
            applied: Some(applied),
            snapshot: None,
            purged: None,
            digest: digest.to_owned(),
            voters: Vec::new(),
            learners: Vec::new(),
            survives_any_region: true,
            warnings: Vec::new(),
        }
    }

    fn fails(of: impl FnOnce(&mut History) + std::panic::UnwindSafe) -> bool {
        std::panic::catch_unwind(|| of(&mut History::default())).is_err()
    }

    #[test]
    fn what_never_may_happen_is_noticed() {
        assert!(!fails(|history| {
            history.note(0, &status(1, "a"));
            history.note(1, &status(1, "a"));
            history.note(0, &status(2, "b"));
        }));
        assert!(fails(|history| {
            history.note(0, &status(1, "a"));
            history.note(1, &status(1, "b"));
        }));
        assert!(fails(|history| {
            history.note(0, &status(2, "b"));
            history.note(0, &status(1, "a"));
        }));
        assert!(fails(|history| {
            let behind = Status { committed: None, ..status(1, "a") };
            history.note(0, &behind);
        }));
        assert!(!fails(|history| {
            history.note(0, &status(2, "b"));
            history.started(0);
            history.note(0, &status(1, "a"));
        }));
    }
}
