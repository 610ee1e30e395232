//! `exequatur run`: the node.

use std::{sync::Arc, time::Duration};

use clap::{Args, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;

use super::{CliError, Exit, Files};
use crate::{
    clock::SystemClock,
    entropy::SystemEntropy,
    node::{Node, Seams},
    telemetry::logs::{LogFormat, install},
};

/// How long calls that block may still take when everything else has ended.
const STUCK_MAX: Duration = Duration::from_secs(1);

/// Run the region's node.
#[derive(Debug, Args)]
#[command(after_help = "\
Refuses to start without what `exequatur init` makes. Ends on SIGTERM or Ctrl-C, after the answers
that are under way. Health and metrics are at `listen.operations`.")]
pub(super) struct Run {
    #[command(flatten)]
    files: Files,
    /// Form of the log on standard error.
    #[arg(long, value_enum, default_value_t = Log::Text)]
    log: Log,
    /// Least severity that is logged: error, warn, info, debug or trace.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: LevelFilter,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Log {
    /// One JSON object a line.
    Json,
    /// Text for people.
    Text,
}

impl Run {
    pub(super) fn run(&self) -> Result<(), CliError> {
        let format = match self.log {
            Log::Json => LogFormat::Json,
            Log::Text => LogFormat::Text,
        };
        install(format, self.log_level).map_err(|e| CliError::local(&e))?;
        let configured = self.files.load()?;
        for warning in &configured.compiled.warnings {
            tracing::warn!("{warning}");
        }
        let seams = system_seams();
        let runtime = runtime()?;
        let outcome = runtime.block_on(async {
            let mut stop = Box::pin(told_to_stop()?);
            let node = tokio::select! {
                started = Node::start(configured, seams) => {
                    started.map_err(|e| CliError::local(&e))?
                }
                // Nothing was served yet, so nothing has to be finished.
                () = &mut stop => return Ok(()),
            };
            tracing::info!(
                public = %node.public_address(),
                operations = %node.operations_address(),
                "serving"
            );
            node.serve(stop).await.map_err(|e| CliError::local(&e))
        });
        // What is stuck in the library of an HSM must not keep the process.
        runtime.shutdown_timeout(STUCK_MAX);
        outcome
    }
}

/// The machine's clock and randomness.
pub(super) fn system_seams() -> Seams {
    Seams { clock: Arc::new(SystemClock::start()), entropy: Arc::new(SystemEntropy::default()) }
}

/// The runtime that commands run on.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| CliError::new(Exit::Local, format_args!("no runtime: {e}")))
}

/// Resolves at the first SIGTERM or SIGINT.
pub(super) fn told_to_stop() -> Result<impl Future<Output = ()> + Send, CliError> {
    let listen = |kind| {
        signal(kind).map_err(|e| CliError::new(Exit::Local, format_args!("no signals: {e}")))
    };
    let (mut terminate, mut interrupt) =
        (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
