//! This very program, run again as a child with the demo's files: what a newcomer would type.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use serde_json::{Map, Value};
use tokio::process::Command;

/// The longest, `init`, makes a handful of keys; a slow HSM or a loaded machine may need seconds.
const DEADLINE: Duration = Duration::from_secs(30);

/// How to run the program.
#[derive(Debug)]
pub(crate) struct Program {
    executable: PathBuf,
    files: Option<[PathBuf; 2]>,
    environment: Vec<(&'static str, OsString)>,
}

/// Why a child did not do what it was started for.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It did not end in time.
    #[error("`exequatur {arguments}` did not end within {} s", DEADLINE.as_secs())]
    Deadline {
        /// Its verb and options.
        arguments: String,
    },
    /// It ended with another status than 0.
    #[error("`exequatur {arguments}` ended with {status}: {errors}")]
    Failed {
        /// Its verb and options.
        arguments: String,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote to standard error.
        errors: String,
    },
    /// It could not be started, or its output not be read.
    #[error("`exequatur {arguments}` cannot be run")]
    NotRun {
        /// Its verb and options.
        arguments: String,
        /// The system's reason.
        source: io::Error,
    },
    /// Its output is not the JSON object that was asked for.
    #[error("`exequatur {arguments}` wrote no JSON with {missing}")]
    Output {
        /// Its verb and options.
        arguments: String,
        /// What should be there.
        missing: &'static str,
    },
    /// The path of this program is not known.
    #[error("the path of this program is not known")]
    Unknown(#[source] io::Error),
}

/// The JSON object that a child wrote.
pub(crate) struct Report {
    arguments: String,
    members: Map<String, Value>,
}

impl Program {
    /// This program.
    ///
    /// # Errors
    /// [`ProgramError::Unknown`].
    pub(crate) fn current() -> Result<Self, ProgramError> {
        let executable = std::env::current_exe().map_err(ProgramError::Unknown)?;
        Ok(Self { executable, files: None, environment: Vec::new() })
    }

    /// Where it is.
    pub(crate) fn executable(&self) -> &Path {
        &self.executable
    }

    /// The program with a region's files.
    pub(crate) fn with_files(mut self, config: PathBuf, federation: PathBuf) -> Self {
        self.files = Some([config, federation]);
        self
    }

    /// The program with one more environment variable.
    pub(crate) fn with_environment(
        mut self,
        name: &'static str,
        value: impl Into<OsString>,
    ) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// A command that is not started yet. Its process is killed when it is dropped.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.executable);
        command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        if let Some([config, federation]) = &self.files {
            command.arg("--config").arg(config).arg("--federation").arg(federation);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// See [`ProgramError`].
    pub(crate) async fn run(&self, arguments: &[&str]) -> Result<Vec<u8>, ProgramError> {
        let said = || arguments.join(" ");
        let ended = tokio::time::timeout(DEADLINE, self.command(arguments).output()).await;
        let output = ended
            .map_err(|_| ProgramError::Deadline { arguments: said() })?
            .map_err(|source| ProgramError::NotRun { arguments: said(), source })?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(ProgramError::Failed {
            arguments: said(),
            status: output.status,
            errors: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }

    /// Runs a command that answers with one JSON object.
    ///
    /// # Errors
    /// See [`ProgramError`].
    pub(crate) async fn report(&self, arguments: &[&str]) -> Result<Report, ProgramError> {
        let output = self.run(&[arguments, &["--output", "json"]].concat()).await?;
        let arguments = arguments.join(" ");
        match serde_json::from_slice(&output) {
            Ok(members) => Ok(Report { arguments, members }),
            Err(_) => Err(ProgramError::Output { arguments, missing: "an object" }),
        }
    }
}

impl Report {
    /// A text member.
    ///
    /// # Errors
    /// [`ProgramError::Output`].
    pub(crate) fn text(&self, name: &'static str) -> Result<&str, ProgramError> {
        self.members.get(name).and_then(Value::as_str).ok_or_else(|| self.without(name))
    }

    /// A member that is a whole number.
    ///
    /// # Errors
    /// [`ProgramError::Output`].
    pub(crate) fn count(&self, name: &'static str) -> Result<u64, ProgramError> {
        self.members.get(name).and_then(Value::as_u64).ok_or_else(|| self.without(name))
    }

    /// A member that is an object.
    ///
    /// # Errors
    /// [`ProgramError::Output`].
    pub(crate) fn object(&self, name: &'static str) -> Result<Self, ProgramError> {
        let members = self.members.get(name).and_then(Value::as_object);
        let members = members.cloned().ok_or_else(|| self.without(name))?;
        Ok(Self { arguments: self.arguments.clone(), members })
    }

    /// A member that is an array.
    ///
    /// # Errors
    /// [`ProgramError::Output`].
    pub(crate) fn list(&self, name: &'static str) -> Result<&[Value], ProgramError> {
        let list = self.members.get(name).and_then(Value::as_array);
        list.map(Vec::as_slice).ok_or_else(|| self.without(name))
    }

    fn without(&self, missing: &'static str) -> ProgramError {
        ProgramError::Output { arguments: self.arguments.clone(), missing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(executable: &str) -> Program {
        Program { executable: executable.into(), files: None, environment: Vec::new() }
    }

    #[tokio::test]
    async fn a_command_gets_the_files_and_the_environment_of_the_region() {
        let program = program("/bin/sh")
            .with_files("/d/region.toml".into(), "/d/federation.toml".into())
            .with_environment("SOFTHSM2_CONF", "/d/softhsm2.conf");
        // `sh -c SCRIPT NAME ARGUMENTS...`: the verb is the name.
        let output = program.run(&["-c", r#"echo "$SOFTHSM2_CONF $0 $*""#, "init"]).await.unwrap();
        assert_eq!(
            String::from_utf8(output).unwrap(),
            "/d/softhsm2.conf init --config /d/region.toml --federation /d/federation.toml\n"
        );
    }

    #[tokio::test]
    async fn a_command_that_fails_is_quoted_with_what_it_wrote() {
        let error = program("/bin/sh").run(&["-c", "echo broken >&2; exit 3"]).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("exit status: 3") && text.ends_with("broken"), "{text}");
    }

    #[tokio::test]
    async fn a_report_lacks_nothing_silently() {
        let report = program("/bin/echo").report(&[r#"{"records":4}"#]).await;
        assert!(matches!(report, Err(ProgramError::Output { .. })), "its output is no object");
        let report = Report {
            arguments: "audit verify".to_owned(),
            members: serde_json::from_str(r#"{"records":4,"root":7}"#).unwrap(),
        };
        assert_eq!(report.count("records").unwrap(), 4);
        let error = report.text("root").unwrap_err().to_string();
        assert_eq!(error, "`exequatur audit verify` wrote no JSON with root");
    }
}
