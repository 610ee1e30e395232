//! Jobs on one thread of the operating system.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc,
    thread,
};

use super::{DiskExecutor, Job};

/// One thread that runs jobs until its last owner is gone and the last job is done.
#[derive(Clone, Debug)]
pub struct DiskThread {
    // Not bounded here: whoever gives jobs has a limit on what it keeps waiting.
    jobs: mpsc::Sender<Job>,
}

impl DiskThread {
    /// Starts the thread.
    ///
    /// # Errors
    /// The operating system has no thread left.
    pub fn start(name: &str) -> io::Result<Self> {
        let (jobs, waiting) = mpsc::channel::<Job>();
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            for job in waiting {
                // A job that panics is its giver's to notice; the thread goes on for the others.
                if catch_unwind(AssertUnwindSafe(job)).is_err() {
                    tracing::error!("a disk job panicked");
                }
            }
        })?;
        Ok(Self { jobs })
    }
}

impl DiskExecutor for DiskThread {
    fn run(&self, job: Job) {
        // The thread ends only after every sender is gone, and this is one.
        if self.jobs.send(job).is_err() {
            tracing::error!("the disk thread is gone");
        }
    }
}
