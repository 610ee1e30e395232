//! The command line as people and programs use it: the built binary, its two streams and its exit
//! codes (design section 10: 0 done, 1 local, 2 remote, 3 refused, 4 degraded).

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed setup step should fail the test"
)]

mod audit;
mod catalogue;
mod cluster;
mod cluster_documents;
mod config;
mod founding;
mod init_region;
mod key_store;
mod keys;
mod manual;
mod region;
mod token;
mod tokens;
mod try_token;

use std::ffi::OsStr;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

/// What a command wrote, and how it ended.
struct Answer {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Answer {
    /// The standard output of a command that did its work and complained of nothing.
    #[track_caller]
    fn done(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{}", self.out);
        self.out
    }

    /// The one JSON value on standard output, whatever the exit code.
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}{}", self.out, self.err))
    }

    /// Standard error of a command that ended with this code.
    #[track_caller]
    fn failed(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        &self.err
    }
}

fn exequatur<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Answer {
    exequatur_reading("", arguments)
}

/// Runs the binary to its end with a text on standard input.
fn exequatur_reading<A: AsRef<OsStr>>(
    input: &str,
    arguments: impl IntoIterator<Item = A>,
) -> Answer {
    let mut child = Command::new(env!("CARGO_BIN_EXE_exequatur"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that does not read its input may have closed it.
    child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    let output = child.wait_with_output().unwrap();
    Answer {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}
