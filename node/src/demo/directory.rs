//! The demo's directory: only its owner can enter it, and one that was made for a run goes with it.
//! It knows nothing of what stands in its files.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use crate::entropy::{Entropy, EntropyError, draw};

/// Beginning of the name of a directory that nobody named.
const DIRECTORY_PREFIX: &str = "exequatur-demo-";
/// Permissions of the directory: it holds secrets.
const DIRECTORY_MODE: u32 = 0o700;
/// Permissions of every file in it.
const FILE_MODE: u32 = 0o600;

/// The demo's directory. One that was made for this run is removed with it.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    temporary: bool,
}

/// Why the files are not there.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// Certificates could not be made.
    #[error("the demo's certificates could not be made")]
    Certificate(#[from] rcgen::Error),
    /// No randomness for a name or a passphrase.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The operating system refused.
    #[error("`{}` cannot be {verb}", path.display())]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// `made`, `read` or `written`.
        verb: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The directory that was named holds something already.
    #[error("`{}` is not empty: name a directory that is new or empty", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// The path cannot stand in a TOML file or a database URL.
    #[error(
        "`{}` cannot stand in a configuration file: name a path of letters, digits and `/._-`",
        path.display()
    )]
    Path {
        /// The directory.
        path: PathBuf,
    },
    /// No free port.
    #[error("no free port on loopback")]
    Port(#[source] io::Error),
}

impl Directory {
    /// The directory at `named`, made if it is not there, or a new one in the system's directory
    /// for temporary files.
    ///
    /// # Errors
    /// See [`FilesError`].
    pub(crate) fn prepare(named: Option<&Path>, entropy: &dyn Entropy) -> Result<Self, FilesError> {
        let directory = match named {
            Some(path) => Self { path: empty_directory(path)?, temporary: false },
            None => {
                let id = u64::from_be_bytes(draw(entropy)?);
                let path = std::env::temp_dir().join(format!("{DIRECTORY_PREFIX}{id:016x}"));
                // It must be new: whoever could foresee the name could own the directory.
                make(&path)?;
                Self { path, temporary: true }
            }
        };
        if directory.path.to_str().is_some_and(|text| text.chars().all(is_plain)) {
            return Ok(directory);
        }
        Err(FilesError::Path { path: directory.path.clone() })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves it when the demo ends.
    pub(crate) const fn keep(&mut self) {
        self.temporary = false;
    }

    /// Whether it stays when the demo ends.
    pub(crate) const fn is_kept(&self) -> bool {
        !self.temporary
    }

    /// A new directory in it, with the same permissions, that stays and goes with it.
    ///
    /// # Errors
    /// [`FilesError::Io`].
    pub(crate) fn below(&self, name: &str) -> Result<Self, FilesError> {
        let path = self.path.join(name);
        make(&path)?;
        Ok(Self { path, temporary: false })
    }

    /// A file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a new file that only its owner may read.
    ///
    /// # Errors
    /// [`FilesError::Io`].
    pub(crate) fn write(&self, name: &str, content: &str) -> Result<PathBuf, FilesError> {
        self.put(name, content, OpenOptions::new().write(true).create_new(true))
    }

    /// Writes a file that is there in another way.
    ///
    /// # Errors
    /// [`FilesError::Io`].
    pub(crate) fn rewrite(&self, name: &str, content: &str) -> Result<PathBuf, FilesError> {
        self.put(name, content, OpenOptions::new().write(true).truncate(true))
    }

    fn put(
        &self,
        name: &str,
        content: &str,
        options: &mut OpenOptions,
    ) -> Result<PathBuf, FilesError> {
        let path = self.file(name);
        let opened = options.mode(FILE_MODE).open(&path);
        match opened.and_then(|mut file| file.write_all(content.as_bytes())) {
            Ok(()) => Ok(path),
            Err(source) => Err(FilesError::Io { path, verb: "written", source }),
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.temporary
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            tracing::warn!(directory = %self.path.display(), %error, "cannot be removed");
        }
    }
}

/// Two lower-case digits a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Characters that need no quoting in TOML, in a shell and in a database URL.
const fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+')
}

fn empty_directory(path: &Path) -> Result<PathBuf, FilesError> {
    let failed = |verb| move |source| FilesError::Io { path: path.to_owned(), verb, source };
    if !path.exists() {
        make(path)?;
    }
    let mut entries = fs::read_dir(path).map_err(failed("read"))?;
    if entries.next().is_some() {
        return Err(FilesError::NotEmpty { path: path.to_owned() });
    }
    fs::canonicalize(path).map_err(failed("read"))
}

fn make(path: &Path) -> Result<(), FilesError> {
    let made = DirBuilder::new().mode(DIRECTORY_MODE).create(path);
    made.map_err(|source| FilesError::Io { path: path.to_owned(), verb: "made", source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;

    #[test]
    fn a_directory_made_for_the_run_goes_with_it_and_a_named_one_stays() {
        let entropy = SystemEntropy::default();
        let temporary = Directory::prepare(None, &entropy).unwrap();
        let path = temporary.path().to_owned();
        assert!(path.is_dir());
        drop(temporary);
        assert!(!path.exists());

        let outer = tempfile::tempdir().unwrap();
        drop(Directory::prepare(Some(outer.path()), &entropy).unwrap());
        assert!(outer.path().is_dir());
    }

    #[test]
    fn a_directory_that_is_kept_stays() {
        let mut kept = Directory::prepare(None, &SystemEntropy::default()).unwrap();
        kept.keep();
        let path = kept.path().to_owned();
        drop(kept);
        fs::remove_dir(&path).unwrap();
    }

    #[test]
    fn refuses_a_directory_that_holds_something() {
        let outer = tempfile::tempdir().unwrap();
        fs::write(outer.path().join("region.toml"), "mine").unwrap();
        let error = Directory::prepare(Some(outer.path()), &SystemEntropy::default()).unwrap_err();
        assert!(matches!(error, FilesError::NotEmpty { .. }), "{error}");
        assert_eq!(fs::read_to_string(outer.path().join("region.toml")).unwrap(), "mine");
    }

    #[test]
    fn refuses_a_path_that_would_need_quoting() {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("a \"b\"");
        let error = Directory::prepare(Some(&path), &SystemEntropy::default()).unwrap_err();
        assert!(matches!(error, FilesError::Path { .. }), "{error}");
    }
}
