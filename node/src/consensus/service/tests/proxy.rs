//! A path between two nodes that can go silent, be slow, or break.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Path {
    /// Everything passes.
    Open,
    /// Connections stay and nothing passes.
    Silent,
    /// So many bytes a second pass, each way.
    Slow(usize),
}

pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    path: watch::Sender<Path>,
    /// Counts up to break all connections.
    broken: watch::Sender<u64>,
    /// Bytes that passed towards the target.
    pub(super) passed: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    pub(super) async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (path, paths) = watch::channel(Path::Open);
        let (broken, breaks) = watch::channel(0);
        let passed = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&passed);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let (paths, mut breaks) = (paths.clone(), breaks.clone());
                let count = Arc::clone(&count);
                breaks.borrow_and_update();
                connections.spawn(async move {
                    let Ok(far) = TcpStream::connect(target).await else { return };
                    let (near_read, near_write) = near.into_split();
                    let (far_read, far_write) = far.into_split();
                    let none = Arc::new(AtomicU64::new(0));
                    tokio::select! {
                        _ = breaks.changed() => {}
                        () = pass(near_read, far_write, paths.clone(), count) => {}
                        () = pass(far_read, near_write, paths, none) => {}
                    }
                });
            }
        });
        Self { address, path, broken, passed, _tasks: tasks }
    }

    pub(super) fn set(&self, path: Path) {
        self.path.send_replace(path);
    }

    pub(super) fn cut(&self) {
        self.broken.send_modify(|count| *count += 1);
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut paths: watch::Receiver<Path>,
    count: Arc<AtomicU64>,
) {
    let mut buffer = vec![0; 4_096];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let Ok(path) = paths.wait_for(|path| *path != Path::Silent).await.map(|path| *path) else {
            return;
        };
        if let Path::Slow(rate) = path {
            let pause = Duration::from_secs(1) * u32::try_from(read).unwrap();
            tokio::time::sleep(pause / u32::try_from(rate).unwrap()).await;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
        count.fetch_add(read as u64, Ordering::Relaxed);
    }
}
