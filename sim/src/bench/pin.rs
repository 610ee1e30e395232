//! Which core runs what. The node has one core and the load generator another, so that neither
//! takes time from the other.
//!
//! Pinning is left to `taskset`, because asking the kernel takes a call that Rust's standard
//! library does not have.

use std::{io, os::unix::process::CommandExt as _, path::Path, process::Command};

/// The node and the floor run here.
const NODE_CORE: u32 = 0;
/// The load generator runs here.
const LOAD_CORE: u32 = 1;

/// Why the program could not move to its core.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PinError {
    /// The cores that it may use are not the ones needed.
    #[error(
        "cores {NODE_CORE} and {LOAD_CORE} are needed and `{allowed}` are allowed: run it on a \
         machine, or in a container, with both"
    )]
    Cores {
        /// The kernel's list.
        allowed: String,
    },
    /// The kernel does not say which cores are allowed.
    #[error("/proc/self/status does not say which cores are allowed: {0}")]
    Status(io::Error),
    /// `taskset` did not start.
    #[error("`taskset` did not start: {0} (it is in the package util-linux)")]
    Taskset(io::Error),
}

/// Moves this process to the load generator's core, by starting it anew in its own place.
///
/// `moved` says that this is the second start.
pub(crate) fn to_load_core(moved: bool) -> Result<(), PinError> {
    let allowed = allowed_cores().map_err(PinError::Status)?;
    if allowed == LOAD_CORE.to_string() && moved {
        return Ok(());
    }
    let both = contains(&allowed, NODE_CORE) && contains(&allowed, LOAD_CORE);
    if moved || !both {
        return Err(PinError::Cores { allowed });
    }
    let this = std::env::current_exe().map_err(PinError::Taskset)?;
    let error = Command::new("taskset")
        .args(["--cpu-list", &LOAD_CORE.to_string()])
        .arg(this)
        .args(std::env::args_os().skip(1))
        .arg("--pinned")
        .exec();
    Err(PinError::Taskset(error))
}

/// A command that runs `program` on the node's core and that the kernel ends when this process
/// ends, however that comes about.
pub(crate) fn on_node_core(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "taskset", "--cpu-list", &NODE_CORE.to_string()])
        .arg(program);
    command
}

fn allowed_cores() -> io::Result<String> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    line.map(|list| list.trim().to_owned()).ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Whether a list such as `0-3,8` contains a core.
fn contains(list: &str, core: u32) -> bool {
    list.split(',').any(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let bounds = (first.parse::<u32>(), last.parse::<u32>());
        matches!(bounds, (Ok(first), Ok(last)) if (first..=last).contains(&core))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_list_of_cores_is_read_with_its_ranges() {
        for (list, held) in
            [("0-1", true), ("1", true), ("0,1", true), ("0-7", true), ("0,2-3,1", true)]
        {
            assert_eq!(contains(list, 1), held, "{list}");
        }
        for list in ["", "0", "2-3", "10-11", "x"] {
            assert!(!contains(list, 1), "{list}");
        }
    }

    #[test]
    fn the_kernel_says_which_cores_are_allowed() {
        assert!(!allowed_cores().unwrap().is_empty());
    }
}
