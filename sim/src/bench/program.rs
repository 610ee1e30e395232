//! Programs that the benchmark starts: each is ended through the handle it was started with when
//! its value is dropped, and by the kernel if this process ends without dropping anything.

use std::{
    fs::File,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use super::load;

/// A start is a few hundred milliseconds; a loaded machine may need far longer.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// Between two looks at whether a server is ready. Every look costs its core a little.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Length of the unit in which the kernel counts a process's time (`USER_HZ` is 100 everywhere).
const TICK: Duration = Duration::from_millis(10);
/// How much of the end of a program's output is shown when it failed.
const SHOWN_BYTES_MAX: usize = 4_000;

/// A running program.
pub(crate) struct Program {
    name: &'static str,
    child: Child,
    log: PathBuf,
    started: Instant,
}

/// Why a program did not do what it was started for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProgramError {
    /// It ended.
    #[error("{name} ended with {status}:\n{said}")]
    Ended {
        /// Which program.
        name: &'static str,
        /// How.
        status: ExitStatus,
        /// The end of its output.
        said: String,
    },
    /// It does not say that it is ready.
    #[error("{name} is not ready after {} s ({cause}):\n{said}", READY_WITHIN.as_secs())]
    NotReady {
        /// Which program.
        name: &'static str,
        /// What its health endpoint says.
        cause: load::LoadError,
        /// The end of its output.
        said: String,
    },
    /// The kernel does not say what it uses: it has ended.
    #[error("/proc does not say how much memory or time {0} uses")]
    Usage(&'static str),
    /// It did not start, or its output has no file.
    #[error("{name} could not be started: {cause}")]
    Start {
        /// Which program.
        name: &'static str,
        /// Why.
        cause: io::Error,
    },
}

impl Program {
    /// Starts a program whose output goes to the file `log`.
    pub(crate) fn start(
        name: &'static str,
        command: &mut Command,
        log: &Path,
    ) -> Result<Self, ProgramError> {
        let spawn = || {
            let output = File::create(log)?;
            let errors = output.try_clone()?;
            command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn()
        };
        let started = Instant::now();
        let child = { spawn }().map_err(|cause| ProgramError::Start { name, cause })?;
        Ok(Self { name, child, log: log.to_owned(), started })
    }

    /// Starts a program whose standard error goes to the file `log`, and which is talked with over its
    /// other streams.
    pub(crate) fn start_to_talk(
        name: &'static str,
        command: &mut Command,
        log: &Path,
    ) -> Result<(Self, ChildStdin, ChildStdout), ProgramError> {
        let spawn = || {
            let errors = File::create(log)?;
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors).spawn()
        };
        let started = Instant::now();
        let mut child = { spawn }().map_err(|cause| ProgramError::Start { name, cause })?;
        let streams = (child.stdin.take(), child.stdout.take());
        let program = Self { name, child, log: log.to_owned(), started };
        match streams {
            (Some(input), Some(output)) => Ok((program, input, output)),
            _ => Err(ProgramError::Start { name, cause: io::ErrorKind::BrokenPipe.into() }),
        }
    }

    /// Waits until `/readyz` answers 200, and returns how long that took from the start.
    pub(crate) async fn ready(&mut self, address: SocketAddr) -> Result<Duration, ProgramError> {
        const REQUEST: &[u8] = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n";
        loop {
            let Err(cause) = load::ask(address, REQUEST).await else {
                return Ok(self.started.elapsed());
            };
            let Self { name, .. } = *self;
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(ProgramError::Ended { name, status, said: end_of(&self.log) });
            }
            if self.started.elapsed() > READY_WITHIN {
                return Err(ProgramError::NotReady { name, cause, said: end_of(&self.log) });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Its resident memory in KiB (`VmRSS`).
    pub(crate) fn resident_kib(&self) -> Result<u64, ProgramError> {
        std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))
            .ok()
            .and_then(|status| {
                let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
                line.trim().strip_suffix("kB")?.trim().parse().ok()
            })
            .ok_or(ProgramError::Usage(self.name))
    }

    /// The time that its threads spent on a core so far, to a hundredth of a second. Unlike a rate
    /// it does not depend on who else wanted the core.
    pub(crate) fn core_time(&self) -> Result<Duration, ProgramError> {
        std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))
            .ok()
            .and_then(|stat| ticks(&stat))
            .map(|ticks| TICK * ticks)
            .ok_or(ProgramError::Usage(self.name))
    }

    /// The end of what it wrote.
    pub(crate) fn said(&self) -> String {
        end_of(&self.log)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Runs a program to its end, which must be a success.
pub(crate) fn run_to_end(name: &'static str, command: &mut Command) -> Result<(), ProgramError> {
    output_of(name, command).map(|_| ())
}

/// Runs a program to its end, which must be a success, and returns its standard output.
pub(crate) fn output_of(name: &'static str, command: &mut Command) -> Result<String, ProgramError> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|cause| ProgramError::Start { name, cause })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(ProgramError::Ended { name, status: output.status, said: shown(&said) })
}

/// User and system time of a line of `/proc/PID/stat`: the 14th and 15th field. The second is a name
/// in parentheses, which may hold anything.
fn ticks(stat: &str) -> Option<u32> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let mut time = || fields.next()?.parse::<u32>().ok();
    time()?.checked_add(time()?)
}

fn end_of(log: &Path) -> String {
    shown(&std::fs::read(log).unwrap_or_default())
}

fn shown(output: &[u8]) -> String {
    let from = output.len().saturating_sub(SHOWN_BYTES_MAX);
    String::from_utf8_lossy(output.get(from..).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn sleeper(log: &Path) -> Program {
        Program::start("sleep", Command::new("sleep").arg("600"), log).unwrap()
    }

    #[test]
    fn a_program_ends_when_its_value_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let program = sleeper(&directory.path().join("log"));
        let process = PathBuf::from(format!("/proc/{}", program.child.id()));
        assert!(process.exists());
        drop(program);
        assert!(!process.exists());
    }

    #[test]
    fn a_running_program_has_memory_and_time() {
        let directory = tempfile::tempdir().unwrap();
        let program = sleeper(&directory.path().join("log"));
        assert!(program.resident_kib().unwrap() > 0);
        assert!(program.core_time().unwrap() < Duration::from_secs(600));
    }

    #[test]
    fn times_are_found_behind_any_name() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 120 30 0 0 20";
        assert_eq!(ticks(&format!("17 (exequatur) {rest}")), Some(150));
        assert_eq!(ticks(&format!("17 (a) b (c) {rest}")), Some(150));
        assert_eq!(ticks("17 (exequatur) S 1"), None);
    }

    #[tokio::test]
    async fn a_server_that_ends_before_it_is_ready_is_shown_with_its_output() {
        let directory = tempfile::tempdir().unwrap();
        let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo no key store >&2; exit 3"]);
        let mut program =
            Program::start("sh", &mut command, &directory.path().join("log")).unwrap();
        let error = program.ready(unused).await.unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.contains("no key store"), "{error}");
    }

    #[test]
    fn a_program_that_fails_is_shown_with_its_output() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo what; echo why >&2; exit 2"]);
        let error = run_to_end("sh", &mut command).unwrap_err().to_string();
        assert!(error.contains("exit status: 2") && error.contains("what\nwhy"), "{error}");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = run_to_end("nothing", &mut Command::new("/nonexistent")).unwrap_err();
        assert!(error.to_string().starts_with("nothing could not be started"), "{error}");
    }
}
