//! One run of `bench raft`: three nodes as processes on loopback, with their logs on the disk of the
//! build, and the proposals of the leader. Proposals are made and timed within the leader's process
//! (`node/examples/driven`), where the product makes them too; a durable write is timed on the same
//! file system just before and after. Nodes end with the run, however it ends.

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{ChildStdin, ChildStdout, Command},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{
    disk::durable_writes,
    federation::{Federation, FederationError},
    histogram::Histogram,
    program::{Program, ProgramError},
    report::{number, rounded},
};

/// Calls at a time in the row that counts.
const CALLERS: u32 = 256;
/// Proposals that are made one at a time.
const SINGLES: u32 = 2_000;
/// Durable writes before and after them.
const WRITES: u32 = 400;
/// After an election, before an idle node is watched.
const CALM: Duration = Duration::from_secs(3);
/// How long an idle node is watched.
const IDLE: Duration = Duration::from_secs(20);
/// A disk that claims to be faster than this is none.
const DURABLE_US_MIN: u32 = 15;
/// What the kernel's scheduler makes of every durable write when the cores are contended.
const TICK_US: u32 = 3_500;

/// What is measured, and how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Length of the window with many callers.
    pub(crate) seconds: u16,
    /// Tokens that one call revokes.
    pub(crate) tokens: u16,
    /// Whether files stay.
    pub(crate) keep_directory: bool,
}

/// What a run found; the JSON members, in their order.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Report {
    /// Median time of one proposal at a time on the leader.
    single_p50_us: u64,
    /// Median time of a durable write of 4 KiB in the leader's directory.
    fsync_p50_us: u32,
    /// Revocations a second at the highest concurrency.
    batch_per_s: u64,
    /// 99th percentile of their calls.
    batch_p99_ms: f64,
    /// Log entries that one durable write of the leader carried meanwhile.
    entries_per_fsync: f64,
    /// Resident memory of the largest idle node.
    idle_mib: f64,
    /// Time of a core that the busiest idle node takes.
    idle_core_percent: f64,
}

/// Why a run found nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// A file or directory of the run.
    #[error("`{}`: {cause}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A program of the build is missing.
    #[error("`{}` is missing: `make bench-raft` builds it", path.display())]
    Missing {
        /// Which.
        path: PathBuf,
    },
    /// The federation could not be formed.
    #[error(transparent)]
    Federation(#[from] FederationError),
    /// A node did not do what it was started for.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// A node did not answer a question, or not as it should.
    #[error("a node was asked `{question}` and said `{answer}`:\n{log}")]
    Answer {
        /// The question.
        question: String,
        /// The answer.
        answer: String,
        /// The end of its log.
        log: String,
    },
}

/// A node that answers questions on its standard streams.
struct Driven {
    program: Program,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

#[derive(Deserialize)]
struct Single {
    p50_us: u64,
    p99_us: u64,
}

#[derive(Deserialize)]
struct Batch {
    per_s: u64,
    p50_us: u64,
    p99_us: u64,
    refused: u64,
    entries: u64,
    flushes: u64,
}

/// Measures everything.
pub(crate) fn run(plan: &Plan) -> Result<Report, RunError> {
    let this = std::env::current_exe();
    let this =
        this.map_err(|cause| RunError::File { path: PathBuf::from("/proc/self/exe"), cause })?;
    let [exequatur, driven] =
        ["exequatur", "examples/driven"].map(|name| this.with_file_name(name));
    for path in [&exequatur, &driven] {
        if !path.exists() {
            return Err(RunError::Missing { path: path.clone() });
        }
    }
    let directory = run_directory(plan, &this)?;
    let federation = Federation::form(directory.path(), &exequatur)?;
    let mut nodes = (0..federation.len())
        .map(|node| Driven::start(&driven, &federation, node))
        .collect::<Result<Vec<_>, _>>()?;
    federation.leader()?;
    let (idle_mib, idle_core_percent) = idle(&nodes)?;

    let leader = federation.leader()?;
    let disk = federation.directory(leader);
    let leading = nodes.get_mut(leader).ok_or(FederationError::NoLeader)?;
    let mut writes = timed_writes(disk)?;
    let single: Single = leading.measure(&format!("single {SINGLES}"))?;
    writes.merge(&timed_writes(disk)?);
    warn_of_disk(writes.percentile(50), disk);
    eprintln!("one at a time: p50 {} µs, p99 {} µs", single.p50_us, single.p99_us);

    let question = format!("load {CALLERS} {} {}", plan.tokens, plan.seconds);
    let batch: Batch = leading.measure(&question)?;
    eprintln!(
        "{CALLERS} callers with {} each: {} a second, p50 {} µs, p99 {} µs, {} refused, {} entries \
         in {} durable writes, then {:.1} MiB",
        plan.tokens,
        batch.per_s,
        batch.p50_us,
        batch.p99_us,
        batch.refused,
        batch.entries,
        batch.flushes,
        mib(leading.program.resident_kib()?)
    );
    Ok(Report {
        single_p50_us: single.p50_us,
        fsync_p50_us: writes.percentile(50),
        batch_per_s: batch.per_s,
        batch_p99_ms: rounded(number(batch.p99_us) / 1_000.0),
        entries_per_fsync: rounded(number(batch.entries) / number(batch.flushes.max(1))),
        idle_mib,
        idle_core_percent,
    })
}

impl Report {
    /// The JSON object, on one line.
    pub(crate) fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

impl Driven {
    fn start(driven: &Path, federation: &Federation, node: usize) -> Result<Self, RunError> {
        let mut command = Command::new("setpriv");
        // The kernel ends it with this process, however that comes about.
        command.args(["--pdeathsig", "KILL"]).arg(driven);
        federation.complete(node, &mut command);
        let log = federation.directory(node).join("run.log");
        let (program, input, output) = Program::start_to_talk("a driven node", &mut command, &log)?;
        Ok(Self { program, input, output: BufReader::new(output) })
    }

    /// Asks for a measurement.
    fn measure<T: for<'de> Deserialize<'de>>(&mut self, question: &str) -> Result<T, RunError> {
        let mut line = String::new();
        let asked =
            writeln!(self.input, "1 {question}").and_then(|()| self.output.read_line(&mut line));
        let answer = line.trim_end().strip_prefix("1 ").unwrap_or_default();
        match serde_json::from_str(answer) {
            Ok(measured) if asked.is_ok() => Ok(measured),
            _ => Err(RunError::Answer {
                question: question.to_owned(),
                answer: answer.to_owned(),
                log: self.program.said(),
            }),
        }
    }
}

/// Memory in MiB and percent of a core, of whichever node takes most.
fn idle(nodes: &[Driven]) -> Result<(f64, f64), RunError> {
    std::thread::park_timeout(CALM);
    let times = || nodes.iter().map(|node| node.program.core_time()).collect::<Result<Vec<_>, _>>();
    let started = Instant::now();
    let before = times()?;
    while started.elapsed() < IDLE {
        std::thread::park_timeout(IDLE.saturating_sub(started.elapsed()));
    }
    let elapsed = started.elapsed();
    let used = times()?.into_iter().zip(before).map(|(after, before)| after.saturating_sub(before));
    let busiest = used.max().unwrap_or_default();
    let mut largest = 0;
    for node in nodes {
        largest = largest.max(node.program.resident_kib()?);
    }
    Ok((mib(largest), rounded(100.0 * busiest.as_secs_f64() / elapsed.as_secs_f64())))
}

fn timed_writes(directory: &Path) -> Result<Histogram, RunError> {
    let failed = |cause| RunError::File { path: directory.to_owned(), cause };
    durable_writes(directory, WRITES).map_err(failed)
}

fn warn_of_disk(fsync_us: u32, directory: &Path) {
    let directory = directory.display();
    if fsync_us < DURABLE_US_MIN {
        eprintln!("warning: a durable write takes {fsync_us} µs: {directory} is on no disk");
    } else if fsync_us > TICK_US {
        eprintln!(
            "warning: a durable write takes {fsync_us} µs, a tick of the scheduler: the cores are \
             contended, and every number here is"
        );
    }
}

/// On the disk that the build is on: a temporary directory may be in memory, where a durable write
/// costs nothing.
fn run_directory(plan: &Plan, this: &Path) -> Result<tempfile::TempDir, RunError> {
    let path = this.ancestors().nth(2).unwrap_or(Path::new(".")).join("bench");
    let made = std::fs::create_dir_all(&path).and_then(|()| {
        let mut builder = tempfile::Builder::new();
        // Short, because a socket's path may not be long.
        builder.prefix("raft-").disable_cleanup(plan.keep_directory).tempdir_in(&path)
    });
    let directory = made.map_err(|cause| RunError::File { path, cause })?;
    if plan.keep_directory {
        eprintln!("files stay in {}", directory.path().display());
    }
    Ok(directory)
}

fn mib(kib: u64) -> f64 {
    rounded(number(kib) / 1_024.0)
}
