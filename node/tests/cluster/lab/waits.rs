//! What the lab waits for. Every wait has a deadline, and one that is missed says what there was
//! instead.

use std::time::{Duration, Instant};

use super::{Lab, node::Node, status::Status};

/// Whatever is waited for comes within a second or two; a loaded machine may need far longer.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// What a node logs when it has taken new certificates or authorities.
const RELOADED: &str = "new certificates between nodes are in use";
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

impl Lab {
    /// Waits until a node says something.
    pub(crate) fn status_when(
        &mut self,
        node: usize,
        what: &str,
        mut holds: impl FnMut(&Status) -> bool,
    ) -> Status {
        let mut last = None;
        let until = Instant::now() + WAIT_MAX;
        while Instant::now() < until {
            if let Some(running) = &mut self.nodes[node] {
                running.require_running();
            }
            last = self.status(node);
            if let Some(status) = last.take_if(|status| holds(status)) {
                return status;
            }
            pause();
        }
        let log = self.nodes[node].as_ref().map(Node::log).unwrap_or_default();
        panic!("node {node} never got to: {what}; it says {last:?}\n{log}");
    }

    /// Waits until one of these nodes leads and the others of them follow it; which.
    pub(crate) fn leader_among(&mut self, nodes: &[usize]) -> usize {
        let until = Instant::now() + WAIT_MAX;
        let mut said = Vec::new();
        while Instant::now() < until {
            said = nodes.iter().map(|node| self.status(*node)).collect();
            let leader = said.iter().flatten().filter(|status| status.leads());
            if let Some(leader) = leader.max_by_key(|status| status.term)
                && said.iter().all(|status| {
                    let status = status.as_ref();
                    status.is_some_and(|s| s.leader.as_ref() == Some(&leader.node))
                })
            {
                return self.number_of(&leader.node);
            }
            pause();
        }
        panic!("no leader among {nodes:?} that the others follow: {said:#?}");
    }

    /// The leader of all nodes that run.
    pub(crate) fn leader(&mut self) -> usize {
        self.leader_among(&self.running())
    }

    /// Waits until all nodes that run follow one leader.
    pub(crate) fn settle(&mut self) {
        for node in self.running() {
            self.status_when(node, "an answer", |_| true);
        }
        self.leader();
    }

    /// Waits until a node has taken certificates or authorities that were replaced since the last
    /// time.
    pub(crate) fn wait_for_reload(&mut self, node: usize) {
        let seen = self.reloads.get(&node).copied().unwrap_or(0);
        let until = Instant::now() + WAIT_MAX;
        loop {
            let log = self.node(node).log();
            let now = log.matches(RELOADED).count();
            if now > seen {
                self.reloads.insert(node, now);
                return;
            }
            assert!(Instant::now() < until, "node {node} never took new certificates:\n{log}");
            pause();
        }
    }

    /// Waits until a node has logged a text.
    pub(crate) fn wait_for_log(&mut self, node: usize, text: &str) {
        let until = Instant::now() + WAIT_MAX;
        loop {
            let running = self.node(node);
            running.require_running();
            let log = running.log();
            if log.contains(text) {
                return;
            }
            assert!(Instant::now() < until, "node {node} never logged `{text}`:\n{log}");
            pause();
        }
    }
}

/// Waits until something is there.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + WAIT_MAX;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "{what} never came");
        pause();
    }
}

/// A moment between two looks.
pub(crate) fn pause() {
    std::thread::park_timeout(LOOK_EVERY);
}
