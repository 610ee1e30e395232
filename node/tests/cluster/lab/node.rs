//! A running node: a process that ends, at the latest, when its value is dropped.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use super::{lines::Lines, wait_for};

/// How far apart two programs of one build are finished.
const ONE_BUILD: Duration = Duration::from_secs(600);

/// A process with the identity and the files of one site.
pub(crate) struct Node {
    child: Child,
    log: PathBuf,
    lines: Option<Arc<Lines>>,
}

/// What a node's process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// The product: `exequatur run`.
    Exequatur,
    /// The same node, which also takes proposals from its standard input (`examples/driven.rs`).
    Driven,
}

impl Program {
    /// Its path and first arguments.
    pub(crate) fn words(self) -> Vec<String> {
        let exequatur = Path::new(env!("CARGO_BIN_EXE_exequatur"));
        match self {
            Self::Exequatur => vec![exequatur.display().to_string(), "run".to_owned()],
            Self::Driven => {
                let driven = exequatur.with_file_name("examples").join("driven");
                // Cargo builds examples with all tests of a package, but not for `--test cluster`.
                let built = |path: &Path| path.metadata().and_then(|m| m.modified()).ok();
                let fresh = built(&driven).zip(built(exequatur)).is_some_and(|(own, product)| {
                    product.duration_since(own).unwrap_or_default() < ONE_BUILD
                });
                assert!(
                    fresh,
                    "{} is missing or older than the product: `cargo build -p exequatur-node \
                     --example driven`, or run tests by their names, which builds it",
                    driven.display()
                );
                vec![driven.display().to_string()]
            }
        }
    }
}

impl Node {
    /// Starts a process whose standard error goes to the end of `log`.
    pub(crate) fn start(program: Program, command: &mut Command, log: &Path) -> Self {
        let errors = File::options().create(true).append(true).open(log).unwrap();
        command.stderr(errors);
        match program {
            Program::Exequatur => command.stdin(Stdio::null()).stdout(Stdio::null()),
            Program::Driven => command.stdin(Stdio::piped()).stdout(Stdio::piped()),
        };
        let started = command.spawn();
        let mut child = started.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let lines = match (child.stdin.take(), child.stdout.take()) {
            (Some(input), Some(output)) => Some(Lines::new(input, output)),
            _ => None,
        };
        Self { child, log: log.to_owned(), lines }
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Where proposals go, if it takes any.
    pub(crate) fn lines(&self) -> Option<&Arc<Lines>> {
        self.lines.as_ref()
    }

    /// What it wrote to its log, in all its starts.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it at once and collects it.
    pub(crate) fn kill(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }

    /// Stops it without its knowledge.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on after [`pause`](Self::pause).
    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Asks it to end and waits until it has.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended()
    }

    /// Waits until it has ended.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        wait_for("the end of a node", || self.child.try_wait().unwrap())
    }

    /// Fails the test if it has ended.
    #[track_caller]
    pub(crate) fn require_running(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("the node ended with {status}:\n{}", self.log());
        }
    }

    fn signal(&self, signal: Signal) {
        // Not collected yet, so the id is still this child's.
        let pid = Pid::from_raw(self.pid()).unwrap();
        kill_process(pid, signal).unwrap();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.log.display(), self.log());
        }
    }
}
