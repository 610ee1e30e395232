//! Log output: one subscriber for the process, to standard error.
//!
//! Our own crates log at the operator's level. Libraries are held at `warn`: their debug output
//! prints headers and frames, and with these credentials.

use std::io;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// How a log line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people: one line, fields after the message.
    #[default]
    Text,
    /// For collectors: one JSON object a line.
    Json,
}

/// Installs the process's log output at `level`. Call once, before anything logs.
///
/// # Errors
/// Log output was installed before.
pub fn install(format: LogFormat, level: LevelFilter) -> Result<(), LogsError> {
    let lines = tracing_subscriber::fmt().with_env_filter(filter(level)).with_writer(io::stderr);
    let installed = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    installed.map_err(|_| LogsError)
}

/// Log output could not be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("log output is already installed: install it once, at the start of the program")]
pub struct LogsError;

fn filter(level: LevelFilter) -> EnvFilter {
    let libraries = level.min(LevelFilter::WARN);
    EnvFilter::new(format!("{libraries},exequatur={level},exequatur_node={level}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_never_log_below_warn() {
        assert_eq!(
            filter(LevelFilter::TRACE).to_string().split(',').max_by_key(|d| d.len()),
            Some("exequatur_node=trace"),
        );
        assert!(filter(LevelFilter::TRACE).to_string().contains("warn"));
        assert!(!filter(LevelFilter::ERROR).to_string().contains("warn"));
    }
}
