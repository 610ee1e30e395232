//! The node's data directory: the log in one file, snapshots beside it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    ops::Bound,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use redb::{BackendError, StorageBackend, backends::FileBackend};
use rustix::{
    fs::{FallocateFlags, fallocate, statvfs},
    io::Errno,
};

use super::{LogDisk, SnapshotDisk, Space};

/// The log's file.
const LOG_FILE: &str = "raft.redb";
/// The folder of snapshots.
const SNAPSHOTS: &str = "snapshots";
/// The node's own user only: what is in the log is pseudonymous, not public.
const FILE_MODE: u32 = 0o600;

/// A data directory.
#[derive(Clone, Debug)]
pub struct DataDirectory {
    path: PathBuf,
}

impl DataDirectory {
    /// A directory that exists.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    fn log_path(&self) -> PathBuf {
        self.path.join(LOG_FILE)
    }

    fn snapshot_path(&self, name: &str) -> PathBuf {
        self.path.join(SNAPSHOTS).join(name)
    }
}

fn open_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(FILE_MODE);
    options
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

impl LogDisk for DataDirectory {
    fn create_log(&self) -> io::Result<Box<dyn StorageBackend>> {
        let file = open_options().create_new(true).open(self.log_path())?;
        sync_directory(&self.path)?;
        Ok(Box::new(LogFile::new(file)?))
    }

    fn open_log(&self) -> io::Result<Box<dyn StorageBackend>> {
        Ok(Box::new(LogFile::new(open_options().open(self.log_path())?)?))
    }

    fn space(&self) -> io::Result<Space> {
        let disk = statvfs(&self.path)?;
        let log = fs::metadata(self.log_path())?.len();
        Ok(Space { free: disk.f_bavail.saturating_mul(disk.f_frsize), log })
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }
}

impl SnapshotDisk for DataDirectory {
    fn names(&self) -> io::Result<Vec<String>> {
        let folder = match fs::read_dir(self.path.join(SNAPSHOTS)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            folder => folder?,
        };
        let mut names = Vec::new();
        for item in folder {
            names.extend(item?.file_name().into_string().ok());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.snapshot_path(name))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        if !self.path.join(SNAPSHOTS).is_dir() {
            fs::create_dir(self.path.join(SNAPSHOTS))?;
            sync_directory(&self.path)?;
        }
        let mut file = open_options().create(true).truncate(true).open(self.snapshot_path(name))?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.snapshot_path(from), self.snapshot_path(to))?;
        sync_directory(&self.path.join(SNAPSHOTS))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.snapshot_path(name))
    }
}

/// A file of which every byte has its room on the disk: growing takes the room at once, so that a
/// full disk is met when the file grows, and never by a write within it.
#[derive(Debug)]
struct LogFile {
    file: File,
    inner: FileBackend,
}

impl LogFile {
    fn new(file: File) -> io::Result<Self> {
        let inner = FileBackend::new(file.try_clone()?).map_err(io::Error::other)?;
        Ok(Self { file, inner })
    }
}

impl StorageBackend for LogFile {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let now = self.inner.len()?;
        if len > now {
            match fallocate(&self.file, FallocateFlags::empty(), now, len - now) {
                // A file system without it meets a full disk at a write; the reserve stands before.
                Err(Errno::OPNOTSUPP) => {}
                taken => return Ok(taken?),
            }
        }
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.inner.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.inner.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_log_takes_its_room_when_it_grows_and_is_the_owners_only() {
        let directory = TempDir::new().unwrap();
        let disk = DataDirectory::new(directory.path());
        assert_eq!(disk.open_log().err().map(|e| e.kind()), Some(io::ErrorKind::NotFound));
        let log = disk.create_log().unwrap();
        assert_eq!(disk.create_log().err().map(|e| e.kind()), Some(io::ErrorKind::AlreadyExists));
        log.set_len(1_000_000).unwrap();
        let metadata = fs::metadata(disk.log_path()).unwrap();
        assert_eq!(metadata.len(), 1_000_000);
        assert!(metadata.blocks() * 512 >= 1_000_000, "{} blocks", metadata.blocks());
        assert_eq!(metadata.permissions().mode() & 0o777, FILE_MODE);
        log.set_len(1000).unwrap();
        assert_eq!(disk.space().unwrap().log, 1000);
        assert!(disk.space().unwrap().free > 0);
    }

    #[test]
    fn snapshots_are_kept_renamed_and_dropped() {
        let directory = TempDir::new().unwrap();
        let disk = DataDirectory::new(directory.path());
        assert_eq!(disk.names().unwrap(), [""; 0]);
        disk.write("b", b"older and longer").unwrap();
        disk.write("b", b"newer").unwrap();
        disk.write("c", b"c").unwrap();
        disk.rename("b", "a").unwrap();
        assert_eq!(disk.names().unwrap(), ["a", "c"]);
        assert_eq!(disk.read("a").unwrap(), b"newer");
        disk.remove("c").unwrap();
        assert_eq!(disk.names().unwrap(), ["a"]);
        assert!(disk.read("c").is_err());
    }
}
