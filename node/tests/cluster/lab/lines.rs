//! The standard streams of a driven node: questions in, answers out, each under its number, so that
//! one that waits for a quorum holds up no other.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    process::{ChildStdin, ChildStdout},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

/// An answer comes at the latest when the node's own patience ends, unless the node is paused.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

pub(crate) struct Lines {
    state: Mutex<State>,
}

struct State {
    input: ChildStdin,
    next: u64,
    /// Absent once the node has ended.
    waiting: Option<BTreeMap<u64, Sender<String>>>,
}

impl Lines {
    pub(crate) fn new(input: ChildStdin, output: ChildStdout) -> Arc<Self> {
        let state = State { input, next: 1, waiting: Some(BTreeMap::new()) };
        let lines = Arc::new(Self { state: Mutex::new(state) });
        let reading = Arc::clone(&lines);
        // Ends with the process, whose end of the pipe it reads.
        std::thread::spawn(move || reading.read(output));
        lines
    }

    /// The answer to a question. `None`: the node is gone, or says nothing, so that nobody knows.
    pub(crate) fn ask(&self, question: &str) -> Option<String> {
        self.send(question)?.recv_timeout(ANSWER_WITHIN).ok()
    }

    /// Sends a question; the answer comes through the channel, which ends without one when the node
    /// ends.
    pub(crate) fn send(&self, question: &str) -> Option<Receiver<String>> {
        let mut state = self.state.lock().unwrap();
        let number = state.next;
        state.next += 1;
        let (sender, receiver) = channel();
        state.waiting.as_mut()?.insert(number, sender);
        writeln!(state.input, "{number} {question}").ok()?;
        Some(receiver)
    }

    fn read(&self, output: ChildStdout) {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let Some((number, answer)) = line.split_once(' ') else { continue };
            let mut state = self.state.lock().unwrap();
            let waiting = number.parse().ok().and_then(|n| state.waiting.as_mut()?.remove(&n));
            if let Some(waiting) = waiting {
                waiting.send(answer.to_owned()).ok();
            }
        }
        self.state.lock().unwrap().waiting = None;
    }
}
