//! A real node in this process: started like the program starts it, on a thread with a runtime of
//! its own, over plain HTTP on loopback.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, mpsc},
    thread::JoinHandle,
};

use exequatur_node::{
    cli::Files,
    clock::Clock,
    entropy::SystemEntropy,
    node::{
        Configured, NewPairwise, Node, Seams, StartError, initialise_key_store, location,
        log_binding,
    },
    store::{Location, create},
};
use tokio::{runtime::Runtime, sync::oneshot};

/// A node that serves; it stops when it is told to, or dropped.
pub(crate) struct RunningNode {
    pub(crate) public: SocketAddr,
    pub(crate) operations: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What a node gets from outside in a lab.
pub(crate) fn seams(clock: Arc<dyn Clock>) -> Seams {
    Seams { clock, entropy: Arc::new(SystemEntropy::default()) }
}

/// A runtime for what a test itself awaits.
pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Reads the configuration of a directory.
pub(crate) fn configuration(directory: &Path) -> Configured {
    let file = |name| directory.join(name);
    let files = Files { config: file("region.toml"), federation: Some(file("federation.toml")) };
    files.load().unwrap_or_else(|error| panic!("{error}"))
}

/// Where the configuration says that the database is.
pub(crate) fn database(directory: &Path) -> Location {
    location(&configuration(directory).compiled.settings, directory)
}

/// Makes keys and database, as `exequatur init` does.
pub(crate) fn initialise(directory: &Path, seams: &Seams) {
    let Configured { compiled, directory, .. } = configuration(directory);
    let (region, settings) = (&compiled.law.region, &compiled.settings);
    let new = NewPairwise::WithNewDatabase { database_exists: false };
    initialise_key_store(region, (settings, &directory), new, seams).unwrap();
    let place = location(settings, &directory);
    runtime().block_on(create(&place, &log_binding(region))).unwrap();
}

impl RunningNode {
    pub(crate) fn start(directory: &Path, seams: &Seams) -> Result<Self, StartError> {
        let configured = configuration(directory);
        let seams = seams.clone();
        let (told, started) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("node".to_owned())
            .spawn(move || {
                runtime().block_on(async {
                    let node = match Node::start(configured, seams).await {
                        Ok(node) => node,
                        Err(error) => return told.send(Err(error)).unwrap(),
                    };
                    let addresses = (node.public_address(), node.operations_address());
                    told.send(Ok(addresses)).unwrap();
                    // A sender that is gone tells the node to stop as well.
                    node.serve(async { drop(stopped.await) }).await.unwrap();
                });
            })
            .unwrap();
        let (public, operations) = started.recv().unwrap()?;
        Ok(Self { public, operations, stop: Some(stop), thread: Some(thread) })
    }

    /// Stops the node in order; it writes its last records.
    pub(crate) fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join().is_ok();
            assert!(ended || std::thread::panicking(), "the node did not stop in order");
        }
    }
}

impl Drop for RunningNode {
    fn drop(&mut self) {
        self.end();
    }
}
