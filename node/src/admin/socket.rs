//! The Unix socket: made by the node for itself alone, and only where nobody else can put one in its
//! place. Who connects is told by the kernel (`SO_PEERCRED`).

use std::{
    fs, io,
    os::unix::{
        fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
        net::UnixStream as StdUnixStream,
    },
    path::{Path, PathBuf},
};

use tokio::net::{UnixListener, UnixStream};

use crate::{
    entropy::{Entropy, EntropyError, draw},
    net::listener::{Listener, Origin},
};

/// Longest path: the system takes 108 bytes, and the name under which the socket is prepared may be
/// a little longer than its own.
const PATH_BYTES_MAX: usize = 90;

/// What everybody may write to a directory.
const WORLD_WRITABLE: u32 = 0o002;

/// Only the owner of an entry may remove it.
const STICKY: u32 = 0o1000;

/// A socket that listens; its file is removed with it.
#[derive(Debug)]
pub(super) struct OperatorSocket {
    listener: UnixListener,
    path: PathBuf,
    identity: Identity,
}

/// Why the socket is not made. Each says what is in the way.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Its directory is not there, or cannot be written.
    #[error("no socket can be made at `{}`", path.display())]
    Make {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others could put a socket of theirs in its place.
    #[error(
        "everybody may write to `{}`, and could put another socket in the place of the node's: \
         `chmod o-w` it, or name another directory",
        directory.display()
    )]
    OpenDirectory {
        /// The directory.
        directory: PathBuf,
    },
    /// Something else has its name.
    #[error("`{}` is there already and is no socket: remove it, or name another path", path.display())]
    NoSocket {
        /// Where.
        path: PathBuf,
    },
    /// A process listens there.
    #[error("another process listens on `{}`: is the node running already?", path.display())]
    InUse {
        /// Where.
        path: PathBuf,
    },
    /// The system takes no path of that length.
    #[error("the path `{}` has {} bytes, and at most {PATH_BYTES_MAX} fit", path.display(), path.as_os_str().len())]
    TooLong {
        /// The path.
        path: PathBuf,
    },
    /// No name can be drawn for its preparation.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

/// A file, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl OperatorSocket {
    /// Makes the socket, and takes the place of one that nobody listens on.
    ///
    /// It is made in a directory of its own that only this user can enter, and gets its name when
    /// its permissions are right: at no moment can another user connect.
    pub(super) fn bind(path: &Path, entropy: &dyn Entropy) -> Result<Self, SocketError> {
        let error = |source| SocketError::Make { path: path.to_owned(), source };
        if path.as_os_str().len() > PATH_BYTES_MAX {
            return Err(SocketError::TooLong { path: path.to_owned() });
        }
        let directory = directory_of(path);
        let mode = fs::metadata(directory).map_err(error)?.mode();
        if mode & WORLD_WRITABLE != 0 && mode & STICKY == 0 {
            return Err(SocketError::OpenDirectory { directory: directory.to_owned() });
        }
        let stale = stale(path)?;
        let preparation = Preparation::new(directory, entropy, &error)?;
        let prepared = preparation.0.join("s");
        let listener = UnixListener::bind(&prepared).map_err(error)?;
        fs::set_permissions(&prepared, fs::Permissions::from_mode(0o600)).map_err(error)?;
        let identity = Identity::of(&fs::symlink_metadata(&prepared).map_err(error)?);
        if let Some(stale) = stale {
            preparation.put_aside(path, stale)?;
        }
        // Unlike a renaming, a link fails if somebody was quicker.
        fs::hard_link(&prepared, path).map_err(|source| {
            if source.kind() == io::ErrorKind::AlreadyExists {
                return SocketError::InUse { path: path.to_owned() };
            }
            error(source)
        })?;
        Ok(Self { listener, path: path.to_owned(), identity })
    }
}

/// The socket that is there and that nobody listens on; `None` if nothing is there.
fn stale(path: &Path) -> Result<Option<Identity>, SocketError> {
    let error = |source| SocketError::Make { path: path.to_owned(), source };
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(other) => return Err(error(other)),
    };
    if !found.file_type().is_socket() {
        return Err(SocketError::NoSocket { path: path.to_owned() });
    }
    match StdUnixStream::connect(path) {
        Err(refused) if refused.kind() == io::ErrorKind::ConnectionRefused => {
            Ok(Some(Identity::of(&found)))
        }
        Err(denied) if denied.kind() == io::ErrorKind::PermissionDenied => Err(error(denied)),
        // Connected, or its queue is full: somebody is there.
        Ok(_) | Err(_) => Err(SocketError::InUse { path: path.to_owned() }),
    }
}

/// A directory that only this user can enter; removed with what is in it.
struct Preparation(PathBuf);

impl Preparation {
    fn new(
        directory: &Path,
        entropy: &dyn Entropy,
        error: &dyn Fn(io::Error) -> SocketError,
    ) -> Result<Self, SocketError> {
        let name = format!(".{:08x}", u32::from_be_bytes(draw(entropy)?));
        let path = directory.join(name);
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(error)?;
        Ok(Self(path))
    }

    /// Takes the stale socket away. If another came to its place meanwhile, that one is put back.
    fn put_aside(&self, path: &Path, stale: Identity) -> Result<(), SocketError> {
        let error = |source| SocketError::Make { path: path.to_owned(), source };
        let aside = self.0.join("old");
        match fs::rename(path, &aside) {
            Ok(()) => {}
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(other) => return Err(error(other)),
        }
        if Identity::of(&fs::symlink_metadata(&aside).map_err(error)?) == stale {
            return Ok(());
        }
        fs::hard_link(&aside, path).map_err(error)?;
        Err(SocketError::InUse { path: path.to_owned() })
    }
}

impl Drop for Preparation {
    fn drop(&mut self) {
        // Left-overs are harmless: an empty directory that nobody else can enter.
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "a directory could not be removed");
        }
    }
}

impl Identity {
    fn of(metadata: &fs::Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

impl Listener for OperatorSocket {
    type Io = UnixStream;

    async fn accept(&mut self) -> io::Result<(UnixStream, Origin)> {
        let (stream, _) = self.listener.accept().await?;
        let uid = stream.peer_cred()?.uid();
        Ok((stream, Origin::Local { uid }))
    }
}

impl Drop for OperatorSocket {
    /// The name is removed if it is still this socket's.
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| Identity::of(&found) == self.identity);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "the socket could not be removed");
        }
    }
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) | None => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;

    fn bind(path: &Path) -> Result<OperatorSocket, SocketError> {
        OperatorSocket::bind(path, &SystemEntropy::default())
    }

    fn entries(directory: &Path) -> usize {
        fs::read_dir(directory).unwrap().count()
    }

    #[tokio::test]
    async fn the_socket_is_the_owners_alone_and_goes_with_the_node() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        let mut socket = bind(&path).unwrap();
        let found = fs::symlink_metadata(&path).unwrap();
        assert!(found.file_type().is_socket());
        assert_eq!(found.mode() & 0o7777, 0o600);
        assert_eq!(entries(directory.path()), 1, "what it was prepared in is gone");
        let _client = UnixStream::connect(&path).await.unwrap();
        let (_, origin) = socket.accept().await.unwrap();
        assert_eq!(origin, Origin::Local { uid: rustix::process::getuid().as_raw() });
        drop(socket);
        assert_eq!(entries(directory.path()), 0);
    }

    #[tokio::test]
    async fn one_that_nobody_listens_on_is_replaced_and_one_in_use_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        // As a killed process leaves it.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let socket = bind(&path).unwrap();
        let error = bind(&path).unwrap_err();
        assert!(matches!(error, SocketError::InUse { .. }), "{error}");
        UnixStream::connect(&path).await.unwrap();
        drop(socket);
        bind(&path).unwrap();
    }

    #[tokio::test]
    async fn what_is_no_socket_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        let listening = directory.path().join("other.sock");
        let _other = std::os::unix::net::UnixListener::bind(&listening).unwrap();
        let put: [&dyn Fn(); 3] =
            [&|| fs::write(&path, "data").unwrap(), &|| fs::create_dir(&path).unwrap(), &|| {
                std::os::unix::fs::symlink(&listening, &path).unwrap();
            }];
        for put in put {
            put();
            let error = bind(&path).unwrap_err();
            assert!(matches!(error, SocketError::NoSocket { .. }), "{error}");
            assert!(path.symlink_metadata().is_ok());
            fs::remove_file(&path).or_else(|_| fs::remove_dir(&path)).unwrap();
        }
    }

    #[tokio::test]
    async fn a_directory_that_everybody_may_write_to_is_refused_unless_it_is_sticky() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        let mode = |mode| {
            fs::set_permissions(directory.path(), fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(0o777);
        let error = bind(&path).unwrap_err();
        assert!(matches!(error, SocketError::OpenDirectory { .. }), "{error}");
        mode(0o1777);
        bind(&path).unwrap();
    }

    #[tokio::test]
    async fn a_path_that_cannot_be_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("nowhere/admin.sock");
        let error = bind(&missing).unwrap_err();
        assert!(matches!(error, SocketError::Make { .. }), "{error}");
        let long = directory.path().join("x".repeat(PATH_BYTES_MAX));
        let error = bind(&long).unwrap_err();
        assert!(error.to_string().contains("at most 90 fit"), "{error}");
    }

    #[test]
    fn a_socket_that_came_meanwhile_is_put_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        let _live = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let fails = |source| SocketError::Make { path: PathBuf::new(), source };
        let preparation =
            Preparation::new(directory.path(), &SystemEntropy::default(), &fails).unwrap();
        let another = Identity { device: 0, inode: 0 };
        let error = preparation.put_aside(&path, another).unwrap_err();
        assert!(matches!(error, SocketError::InUse { .. }), "{error}");
        StdUnixStream::connect(&path).unwrap();
    }
}
