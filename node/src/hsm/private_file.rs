//! Files that only their owner may read: read whole and bounded, replaced atomically.
//!
//! Knows nothing of what stands in them.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

/// Permissions of the files that are made here.
const MODE_OWNER_ONLY: u32 = 0o600;
/// Permission bits that group and others must not have.
const MODE_SHARED: u32 = 0o077;
/// Permission bits of a mode as operators write it.
const MODE_PERMISSIONS: u32 = 0o777;

/// Why a private file could not be read or replaced.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    /// It is there, but must not be.
    #[error("`{}` exists already and was left alone", path.display())]
    AlreadyExists {
        /// The file.
        path: PathBuf,
    },
    /// Another process is changing it.
    #[error("another process is changing `{}`: try again when it is done", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// Others may read or write it.
    #[error(
        "`{}` is open to others (mode {mode:04o}): run `chmod 600 {}`",
        path.display(),
        path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The operating system refused.
    #[error("`{}` cannot be {verb}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// `read` or `written`.
        verb: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// It is not there.
    #[error("`{}` does not exist: `exequatur init` makes it", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// Its content has an unexpected length.
    #[error("`{}` is {got} bytes long: at least {min} and at most {max} are expected", path.display())]
    WrongLength {
        /// The file.
        path: PathBuf,
        /// Its length, or one more than the longest allowed.
        got: usize,
        /// The shortest length allowed.
        min: usize,
        /// The longest length allowed.
        max: usize,
    },
}

/// Reads a file of `min` to `max` bytes that only its owner may read.
///
/// # Errors
/// See [`PrivateFileError`].
pub(crate) fn read(
    path: &Path,
    min: usize,
    max: usize,
) -> Result<Zeroizing<Vec<u8>>, PrivateFileError> {
    let failed = |source| PrivateFileError::Io { path: path.to_owned(), verb: "read", source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(PrivateFileError::Missing { path: path.to_owned() });
        }
        Err(error) => return Err(failed(error)),
    };
    // Asked of the open file, so that the file checked is the file read.
    let mode = file.metadata().map_err(failed)?.mode() & MODE_PERMISSIONS;
    if mode & MODE_SHARED != 0 {
        return Err(PrivateFileError::Exposed { path: path.to_owned(), mode });
    }
    // Room for everything at once: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(max.saturating_add(1)));
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    let got = bytes.len();
    if !(min..=max).contains(&got) {
        return Err(PrivateFileError::WrongLength { path: path.to_owned(), got, min, max });
    }
    Ok(bytes)
}

/// The right to replace one file, held against other processes until it is dropped.
pub(crate) struct Replacement {
    path: PathBuf,
    _lock: File,
}

impl Replacement {
    /// Takes the right to replace `path`, by a lock on a file beside it.
    ///
    /// # Errors
    /// See [`PrivateFileError`].
    pub(crate) fn begin(path: &Path) -> Result<Self, PrivateFileError> {
        let failed =
            |source| PrivateFileError::Io { path: path.to_owned(), verb: "written", source };
        let lock = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(MODE_OWNER_ONLY)
            .open(beside(path, "lock"))
            .map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(PrivateFileError::Busy { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// Replaces the content as a whole: after a crash at any point the file is the old or the new.
    ///
    /// # Errors
    /// See [`PrivateFileError`].
    pub(crate) fn commit(self, bytes: &[u8]) -> Result<(), PrivateFileError> {
        self.replace(bytes).map_err(|source| PrivateFileError::Io {
            path: self.path.clone(),
            verb: "written",
            source,
        })
    }

    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        let unfinished = beside(&self.path, "new");
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(MODE_OWNER_ONLY)
            .open(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&unfinished, &self.path)?;
        // The rename itself is durable only once the directory is.
        File::open(directory(&self.path))?.sync_all()
    }
}

/// The file's own name with one more extension.
fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn write(path: &Path, bytes: &[u8]) {
        Replacement::begin(path).unwrap().commit(bytes).unwrap();
    }

    #[test]
    fn what_was_written_is_read_back_and_belongs_to_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        write(&path, b"one");
        write(&path, b"another");
        assert_eq!(read(&path, 1, 16).unwrap().as_slice(), b"another");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_write_that_was_interrupted_leaves_the_old_content_and_is_no_obstacle() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        write(&path, b"old");
        fs::write(beside(&path, "new"), b"half a n").unwrap();
        assert_eq!(read(&path, 1, 16).unwrap().as_slice(), b"old");
        write(&path, b"new");
        assert_eq!(read(&path, 1, 16).unwrap().as_slice(), b"new");
    }

    #[test]
    fn refuses_a_file_that_others_may_read_and_says_how_to_mend_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pin");
        for mode in [0o640, 0o604, 0o620, 0o601] {
            write(&path, b"1234");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = read(&path, 1, 16).unwrap_err();
            assert!(matches!(error, PrivateFileError::Exposed { .. }), "{error}");
            assert!(error.to_string().contains(&format!("chmod 600 {}", path.display())));
        }
    }

    #[test]
    fn refuses_content_that_is_too_short_or_too_long_without_reading_it_all() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        write(&path, &[0; 100]);
        let length = |min, max| match read(&path, min, max) {
            Err(PrivateFileError::WrongLength { got, .. }) => Some(got),
            Ok(_) | Err(_) => None,
        };
        assert_eq!(length(101, 200), Some(100));
        assert_eq!(length(1, 50), Some(51));
        assert_eq!(length(100, 100), None);
    }

    #[test]
    fn two_writers_cannot_replace_one_file_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        let first = Replacement::begin(&path).unwrap();
        assert!(matches!(Replacement::begin(&path), Err(PrivateFileError::Busy { .. })));
        first.commit(b"first").unwrap();
        write(&path, b"second");
    }

    #[test]
    fn a_missing_file_is_told_apart_from_one_that_cannot_be_read() {
        let directory = tempfile::tempdir().unwrap();
        let missing = read(&directory.path().join("no"), 1, 16);
        assert!(matches!(missing, Err(PrivateFileError::Missing { .. })));
        let unreadable = read(directory.path(), 1, 16);
        assert!(!matches!(unreadable, Ok(_) | Err(PrivateFileError::Missing { .. })));
    }
}
