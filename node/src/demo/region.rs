//! The region's node as a child process: started, waited for, and ended on every path.
//!
//! The child is in a process group of its own, so that Ctrl-C reaches the demo first, which then
//! ends the child as a service manager would: SIGTERM, a while to drain, SIGKILL.

use std::{
    fs::OpenOptions,
    io,
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use http::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;

use super::{http::HttpClient, program::Program};

/// A start is under a second; a loaded machine or a slow disk may need far longer.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// Between two looks at `/readyz`: short against what a person notices.
const POLL_EVERY: Duration = Duration::from_millis(10);
/// The node drains its connections when told to stop; the demo's own are idle by then.
const STOP_WITHIN: Duration = Duration::from_secs(5);
/// Permissions of the log, like those of the files beside it.
const LOG_MODE: u32 = 0o600;
/// Most lines of the log that an error shows.
const LOG_LINES: usize = 20;

/// The running node. Dropping it kills the process; [`Self::stop`] is the polite way.
#[derive(Debug)]
pub(crate) struct Region {
    child: Child,
    log: PathBuf,
}

/// Why the node does not run.
#[derive(Debug, thiserror::Error)]
pub enum RegionError {
    /// It ended by itself.
    #[error("the region ended with {status}; the end of its log:\n{log}")]
    Ended {
        /// How it ended.
        status: ExitStatus,
        /// Its last lines.
        log: String,
    },
    /// Its log file could not be made.
    #[error("`{}` cannot be written", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It is not ready in time.
    #[error(
        "the region is not ready after {} s: {said}; the end of its log:\n{log}",
        READY_WITHIN.as_secs()
    )]
    NotReady {
        /// What `/readyz` said last.
        said: String,
        /// Its last lines.
        log: String,
    },
    /// The process could not be started or watched.
    #[error("the region's process cannot be run")]
    Process(#[from] io::Error),
}

impl Region {
    /// Starts the node. Everything that it writes goes to the file `log`.
    ///
    /// # Errors
    /// See [`RegionError`].
    pub(crate) fn start(program: &Program, log: &Path) -> Result<Self, RegionError> {
        let unwritable = |source| RegionError::Log { path: log.to_owned(), source };
        let mut options = OpenOptions::new();
        let output = options.append(true).create(true).mode(LOG_MODE).open(log);
        let output = output.map_err(unwritable)?;
        let errors = output.try_clone().map_err(unwritable)?;
        let mut command = program.command(&["run"]);
        command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
        Ok(Self { child: command.spawn()?, log: log.to_owned() })
    }

    /// Waits until `/readyz` says yes.
    ///
    /// # Errors
    /// [`RegionError::Ended`] or [`RegionError::NotReady`].
    pub(crate) async fn wait_until_ready(
        &mut self,
        http: &HttpClient,
        operations: SocketAddr,
    ) -> Result<(), RegionError> {
        let url = format!("http://{operations}/readyz");
        let mut said = String::from("no answer");
        let polled = tokio::time::timeout(READY_WITHIN, async {
            loop {
                if let Some(status) = self.child.try_wait()? {
                    return Err(RegionError::Ended { status, log: self.log_end() });
                }
                match http.get(&url).await {
                    Ok(answer) if answer.status == StatusCode::OK => return Ok(()),
                    Ok(answer) => said = answer.text().unwrap_or_default().to_owned(),
                    Err(error) => said = error.to_string(),
                }
                tokio::time::sleep(POLL_EVERY).await;
            }
        });
        let result = polled.await;
        result.unwrap_or_else(|_| Err(RegionError::NotReady { said, log: self.log_end() }))
    }

    /// Resolves when the node ends by itself, which it should not.
    pub(crate) async fn ended(&mut self) -> RegionError {
        match self.child.wait().await {
            Ok(status) => RegionError::Ended { status, log: self.log_end() },
            Err(error) => error.into(),
        }
    }

    /// Kills the node as a power cut would: SIGKILL, no farewell. It is gone when this returns.
    ///
    /// # Errors
    /// The process could not be waited for.
    pub(crate) async fn kill(mut self) -> Result<(), RegionError> {
        Ok(self.child.kill().await?)
    }

    /// Ends the node: SIGTERM, a while to drain, SIGKILL. It is gone when this returns.
    ///
    /// # Errors
    /// The process could not be waited for.
    pub(crate) async fn stop(mut self) -> Result<(), RegionError> {
        if let Some(pid) = self.pid() {
            // An error would mean that it is gone already.
            let _told = kill_process(pid, Signal::TERM).is_ok();
        }
        if tokio::time::timeout(STOP_WITHIN, self.child.wait()).await.is_err() {
            self.child.kill().await?;
        }
        Ok(())
    }

    /// `None` once it was waited for: its number may then be somebody else's.
    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.child.id()?).ok()?)
    }

    fn log_end(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        let shown = lines.len().saturating_sub(LOG_LINES);
        lines.into_iter().skip(shown).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A region whose process is a shell script.
    fn scripted(directory: &Path, script: &str) -> Region {
        let log = directory.join("region.log");
        let output = std::fs::File::create(&log).unwrap();
        let child = tokio::process::Command::new("/bin/sh")
            .args(["-c", script])
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Region { child, log }
    }

    fn unused_port() -> SocketAddr {
        std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    #[tokio::test]
    async fn a_node_that_ends_before_it_is_ready_is_reported_with_the_end_of_its_log() {
        let directory = tempfile::tempdir().unwrap();
        let mut region =
            scripted(directory.path(), "for i in $(seq 99); do echo line $i; done; exit 1");
        let http = HttpClient::new(None).unwrap();
        let error = region.wait_until_ready(&http, unused_port()).await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, RegionError::Ended { .. }), "{text}");
        assert!(text.contains("exit status: 1") && text.ends_with("line 99"), "{text}");
        assert!(!text.contains("line 79\n") && text.contains("line 80\n"), "{text}");
    }

    #[tokio::test]
    async fn stopping_lets_the_node_end_by_itself() {
        let directory = tempfile::tempdir().unwrap();
        let script = "trap 'echo drained; exit 0' TERM; echo up; while :; do sleep 0.01; done";
        let region = scripted(directory.path(), script);
        let log = directory.path().join("region.log");
        while !std::fs::read_to_string(&log).unwrap().contains("up") {
            tokio::task::yield_now().await;
        }
        region.stop().await.unwrap();
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "up\ndrained\n");
    }

    #[tokio::test]
    async fn stopping_a_node_that_is_gone_is_no_error() {
        let directory = tempfile::tempdir().unwrap();
        let mut region = scripted(directory.path(), "exit 0");
        assert!(matches!(region.ended().await, RegionError::Ended { .. }));
        region.stop().await.unwrap();
    }
}
