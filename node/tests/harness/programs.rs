//! The programs of others in `tests/third-party`: how they are found and run. `make test` installs
//! what they need; a test without it fails and says so.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::process;

/// The global identity provider, written with joserfc, serving on a loopback port of its own choice.
pub(crate) struct GlobalIssuer {
    pub issuer: String,
    pub mint_url: String,
    child: Child,
}

impl GlobalIssuer {
    /// Starts it and reads where it serves.
    pub(crate) fn start() -> Self {
        let mut command = python("issuer.py");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Ok(Value::Object(said)) = serde_json::from_str(&line) else {
            process::end(&mut child);
            panic!("issuer.py did not say where it serves: `{line}`");
        };
        let member = |name: &str| said[name].as_str().unwrap().to_owned();
        Self { issuer: member("issuer"), mint_url: member("mint_url"), child }
    }
}

impl Drop for GlobalIssuer {
    fn drop(&mut self) {
        process::end(&mut self.child);
    }
}

/// A Python program, run by the interpreter of the virtual environment.
pub(crate) fn python(program: &str) -> Command {
    let interpreter = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/bin/python");
    require_installed(&interpreter);
    let mut command = Command::new(interpreter);
    // The environment's own settings must not decide whom the clients trust.
    command.arg("-I").arg(program_path("python", program));
    command
}

/// A JavaScript program.
pub(crate) fn javascript(program: &str) -> Command {
    require_installed(&program_path("js", "node_modules/openid-client"));
    let mut command = Command::new("node");
    command.env_remove("NODE_OPTIONS").env_remove("NODE_TLS_REJECT_UNAUTHORIZED");
    command.arg(program_path("js", program));
    command
}

/// Runs a program to its end; the last line of its output, if it is JSON, is its summary.
pub(crate) fn run(command: &mut Command) -> Value {
    let output = process::run_to_end(command);
    let last = output.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_default()
}

fn program_path(language: &str, name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/third-party").join(language).join(name)
}

fn require_installed(path: &Path) {
    assert!(path.exists(), "{} is missing: `make test` installs it", path.display());
}
