//! The signals that end the demo.

use std::{future::pending, io};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGINT (Ctrl-C), SIGTERM and SIGHUP (the terminal went away).
pub(super) struct Signals([Signal; 3]);

impl Signals {
    /// Catches the signals from now on.
    ///
    /// # Errors
    /// The system refused.
    pub(super) fn listen() -> io::Result<Self> {
        let on = |kind| signal(kind);
        Ok(Self([
            on(SignalKind::interrupt())?,
            on(SignalKind::terminate())?,
            on(SignalKind::hangup())?,
        ]))
    }

    /// Resolves when one of them arrives.
    pub(super) async fn any(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            Some(()) = interrupt.recv() => {}
            Some(()) = terminate.recv() => {}
            Some(()) = hangup.recv() => {}
            else => pending().await,
        }
    }
}
