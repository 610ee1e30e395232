//! Where a run takes place: the programs of the build, the directory of the run's files, and the
//! floor as a process.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use exequatur_federation::jose::base64url;
use tempfile::TempDir;

use super::{
    exchange::{Plan, Row, RunError},
    floor,
    issuer::{AUDIENCE, GlobalIssuer},
    pin,
    program::Program,
    region::{self, Keys, Parties, Region},
};

/// How long the cores are watched before a run.
const WATCHED: Duration = Duration::from_millis(300);
/// Share of the cores' time that must be idle then, in percent.
const IDLE_PERCENT_MIN: u64 = 90;

/// The programs of a build, which lie beside each other.
pub(crate) struct Binaries {
    /// This program.
    pub(crate) this: PathBuf,
    /// The node.
    pub(crate) node: PathBuf,
}

impl Binaries {
    /// The node must be there if a row needs it.
    pub(crate) fn find(plan: &Plan) -> Result<Self, RunError> {
        let this = std::env::current_exe().map_err(RunError::Runtime)?;
        let node = this.with_file_name("exequatur");
        if plan.only != Some(Row::Floor) && !node.exists() {
            return Err(RunError::NodeMissing { path: node });
        }
        Ok(Self { this, node })
    }
}

/// A directory under `target/bench`, on the disk that the build is on: a temporary directory may be
/// in memory, where a durable write costs nothing.
pub(crate) fn run_directory(plan: &Plan, binaries: &Binaries) -> Result<TempDir, RunError> {
    let target = binaries.this.ancestors().nth(2).unwrap_or(Path::new("."));
    let path = target.join("bench");
    let made = std::fs::create_dir_all(&path).and_then(|()| {
        let mut builder = tempfile::Builder::new();
        builder.prefix("exchange-").disable_cleanup(plan.keep_directory).tempdir_in(&path)
    });
    let directory = made.map_err(|cause| RunError::Directory { path, cause })?;
    if plan.keep_directory {
        eprintln!("files stay in {}", directory.path().display());
    }
    Ok(directory)
}

/// A new directory in another.
pub(crate) fn subdirectory(parent: &Path, name: &str) -> Result<PathBuf, RunError> {
    let path = parent.join(name);
    match std::fs::create_dir(&path) {
        Ok(()) => Ok(path),
        Err(cause) => Err(RunError::Directory { path, cause }),
    }
}

/// Writes a region into a directory of its own.
pub(crate) fn write_region(
    parent: &Path,
    name: &str,
    keys: Keys,
    parties: Parties<'_>,
) -> Result<Region, RunError> {
    Ok(Region::write(&subdirectory(parent, name)?, keys, parties)?)
}

/// Starts the floor on the node's core, for the same requests as the region.
pub(crate) async fn start_floor(
    binaries: &Binaries,
    directory: &Path,
    region: &Region,
    (issuer, parties): (&GlobalIssuer, Parties<'_>),
) -> Result<(Program, SocketAddr), RunError> {
    let hash = parties.by_secret.hash();
    let settings = floor::Settings {
        issuer: region.target().issuer.to_owned(),
        upstream_issuer: issuer.issuer().to_owned(),
        upstream_audience: AUDIENCE.to_owned(),
        upstream_keys: issuer.jwk_set(),
        secret_client: (
            parties.by_secret.id().to_owned(),
            base64url(&hash.salt),
            base64url(&hash.hash),
        ),
        key_client: parties.by_key.id().to_owned(),
        key_client_keys: parties.by_key.key().to_jwk_set(),
    };
    let path = directory.join("floor.json");
    let written = serde_json::to_vec(&settings)
        .map_err(io::Error::other)
        .and_then(|text| std::fs::write(&path, text))
        .and_then(|()| region::free_port());
    let address = written.map_err(|cause| RunError::Directory { path: path.clone(), cause })?;
    let mut command = pin::on_node_core(&binaries.this);
    command.args(["bench", "floor", "--listen", &address.to_string(), "--settings"]).arg(&path);
    let mut program = Program::start("the floor", &mut command, &directory.join("floor.log"))?;
    program.ready(address).await?;
    Ok((program, address))
}

/// Says so if other programs run: a write or an answer then waits for the scheduler's next tick,
/// which takes milliseconds. Rates fall alike for floor and node, latencies do not.
pub(crate) async fn warn_if_busy() {
    let stat = || std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let before = stat();
    tokio::time::sleep(WATCHED).await;
    if let Some(idle) = idle_percent(&before, &stat()).filter(|idle| *idle < IDLE_PERCENT_MIN) {
        eprintln!(
            "warning: the cores are {idle} % idle before the run: latencies are not the node's alone"
        );
    }
}

/// The idle share between two readings of `/proc/stat`: of its first line's times, the fourth and
/// fifth are idle.
fn idle_percent(before: &str, after: &str) -> Option<u64> {
    let times = |stat: &str| {
        let line = stat.lines().next()?.strip_prefix("cpu ")?;
        let times: Option<Vec<u64>> =
            line.split_whitespace().map(|time| time.parse().ok()).collect();
        let times = times?;
        let idle: u64 = times.iter().skip(3).take(2).sum();
        Some((idle, times.iter().sum::<u64>()))
    };
    let ((idle, all), (idle_after, all_after)) = (times(before)?, times(after)?);
    (idle_after.checked_sub(idle)? * 100).checked_div(all_after.checked_sub(all)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_idle_share_is_that_of_the_time_between() {
        let before = "cpu  100 0 50 800 50 0 0 0\ncpu0 1 1 1 1\n";
        let after = "cpu  110 0 60 860 70 0 0 0\ncpu0 1 1 1 1\n";
        assert_eq!(idle_percent(before, after), Some(80));
        assert_eq!(idle_percent(before, before), None);
        assert_eq!(idle_percent("", after), None);
        assert_eq!(idle_percent(before, "cpu x\n"), None);
    }
}
