//! One run of `bench exchange`: a global issuer, a floor, a region with software keys and one with
//! SoftHSM2, and the rows that are measured on them. Everything that is started ends with the run,
//! also when it is interrupted.

use std::{
    io,
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use tokio::signal::unix::{SignalKind, signal};

use super::{
    issuer::{GlobalIssuer, IssuerError},
    key::KeyError,
    load::LoadError,
    program::{Program, ProgramError},
    region::{Keys, Parties, Region, RegionError},
    report::{Report, number, rounded},
    request::{KeyClient, SecretClient},
    rows::{Generator, Method, Server},
    site::{Binaries, run_directory, start_floor, subdirectory, warn_if_busy, write_region},
    softhsm::{Slot, SlotError},
};

/// Starts of which the fastest counts.
const STARTS: usize = 5;
/// A disk that claims to be faster than this is none.
const DURABLE_US_MIN: u32 = 15;

/// What is measured, and how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Length of one window.
    pub(crate) seconds: u16,
    /// Connections of the load generator.
    pub(crate) connections: usize,
    /// The only row, or all of them.
    pub(crate) only: Option<Row>,
    /// Whether files stay.
    pub(crate) keep_directory: bool,
}

/// What can be measured by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Row {
    /// One subject token, again and again.
    CachedSubject,
    /// New subject tokens, beside the floor; latencies, and memory afterwards.
    Exchange,
    /// The floor, without the node.
    Floor,
    /// Introspection.
    Introspection,
    /// `private_key_jwt`, beside its floor.
    PrivateKeyJwt,
    /// One connection, beside durable writes.
    Single,
    /// The signing key in SoftHSM2.
    Softhsm,
    /// Time to readiness and memory before the first request.
    Start,
}

/// Why a run found nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// Nothing could be written where the durable writes are timed.
    #[error("a durable write failed: {0}")]
    Disk(io::Error),
    /// The directory of the run.
    #[error("`{}` could not be made: {cause}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// SIGINT or SIGTERM came.
    #[error("interrupted")]
    Interrupted,
    /// The global issuer.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// A key or a token.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The node's binary is not beside this one.
    #[error("`{}` is missing: `make bench-exchange` builds it", path.display())]
    NodeMissing {
        /// Where it is looked for.
        path: PathBuf,
    },
    /// A program.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// A region's files.
    #[error(transparent)]
    Region(#[from] RegionError),
    /// The runtime, or its signal handlers.
    #[error("the runtime could not be started: {0}")]
    Runtime(io::Error),
    /// SoftHSM2.
    #[error(transparent)]
    Slot(#[from] SlotError),
    /// The server did not answer as it should.
    #[error("row {row}: {cause}\n{said}")]
    Window {
        /// Which row.
        row: &'static str,
        /// What came instead.
        cause: LoadError,
        /// The end of the server's output.
        said: String,
    },
}

impl RunError {
    /// A window that failed, with what the server wrote.
    pub(crate) fn window(row: &'static str, cause: LoadError, server: &Program) -> Self {
        Self::Window { row, cause, said: server.said() }
    }
}

/// Runs the plan. Progress goes to standard error.
pub(crate) fn run(plan: &Plan) -> Result<Report, RunError> {
    if cfg!(debug_assertions) {
        eprintln!("warning: built without optimisation; the numbers mean nothing");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(RunError::Runtime)?.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Runtime)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Runtime)?;
        tokio::select! {
            report = Box::pin(measure(plan)) => report,
            _ = interrupt.recv() => Err(RunError::Interrupted),
            _ = terminate.recv() => Err(RunError::Interrupted),
        }
    })
}

async fn measure(plan: &Plan) -> Result<Report, RunError> {
    warn_if_busy().await;
    let binaries = Binaries::find(plan)?;
    let directory = run_directory(plan, &binaries)?;
    let issuer = GlobalIssuer::start()?;
    let by_secret = SecretClient::generate("bench-secret")?;
    let by_key = KeyClient::generate("bench-key")?;
    let resource_server = SecretClient::generate("bench-api")?;
    let parties = Parties {
        upstream: issuer.issuer(),
        by_secret: &by_secret,
        by_key: &by_key,
        resource_server: &resource_server,
    };
    let region = write_region(directory.path(), "software", Keys::Software, parties)?;
    let (floor_program, address) =
        start_floor(&binaries, directory.path(), &region, (&issuer, parties)).await?;
    let floor = Server { address, target: region.target(), program: &floor_program };
    let generator = Generator::new(plan, parties, &issuer, &floor).await?;
    let mut run = Run { plan, binaries, report: Report::default() };

    if run.only(Row::Floor) {
        let series = generator.floor_alone(&floor).await?;
        run.report.floor_per_s = Some(series.per_second());
        run.report.floor_core_us = Some(series.core_us());
        return Ok(run.report);
    }
    if !run.only(Row::Softhsm) {
        region.init(&run.binaries.node)?;
        run.on_software(&region, &generator, &floor).await?;
    }
    if run.wants(Row::Softhsm) {
        let slot = Slot::make(&subdirectory(directory.path(), "slot")?)?;
        let region = write_region(directory.path(), "softhsm", Keys::Slot(slot), parties)?;
        region.init(&run.binaries.node)?;
        run.on_softhsm(&region, &generator).await?;
    }
    Ok(run.report)
}

struct Run<'a> {
    plan: &'a Plan,
    binaries: Binaries,
    report: Report,
}

impl Run<'_> {
    fn wants(&self, row: Row) -> bool {
        self.plan.only.is_none_or(|only| only == row)
    }

    fn only(&self, row: Row) -> bool {
        self.plan.only == Some(row)
    }

    async fn on_software(
        &mut self,
        region: &Region,
        generator: &Generator<'_>,
        floor: &Server<'_>,
    ) -> Result<(), RunError> {
        let program = self.start(region).await?;
        let node = Server::node(region, &program);
        if self.wants(Row::Exchange) {
            self.exchange(generator, floor, &node).await?;
        }
        if self.wants(Row::CachedSubject) {
            let series = generator.cached(&node).await?;
            self.report.cached_subject_per_s = Some(series.per_second());
        }
        if self.wants(Row::PrivateKeyJwt) {
            let method = Method::Assertion;
            let row = generator.beside_floor("private_key_jwt", method, floor, &node).await?;
            let (floors, nodes) = row;
            self.report.private_key_jwt_floor_per_s = Some(floors.per_second());
            self.report.private_key_jwt_per_s = Some(nodes.per_second());
        }
        if self.wants(Row::Introspection) {
            let series = generator.introspection(&node).await?;
            self.report.introspection_per_s = Some(series.per_second());
        }
        if self.wants(Row::Single) {
            self.single(generator, &node, region.directory()).await?;
        }
        Ok(())
    }

    async fn on_softhsm(
        &mut self,
        region: &Region,
        generator: &Generator<'_>,
    ) -> Result<(), RunError> {
        let mut program = region.start(&self.binaries.node)?;
        program.ready(region.operations()).await?;
        let series = generator.alone("softhsm", &Server::node(region, &program)).await?;
        self.report.softhsm_per_s = Some(series.per_second());
        Ok(())
    }

    /// Starts the node, several times if that is measured, and leaves the last one running.
    async fn start(&mut self, region: &Region) -> Result<Program, RunError> {
        let starts = if self.wants(Row::Start) { STARTS } else { 1 };
        let mut fastest = None;
        loop {
            let mut program = region.start(&self.binaries.node)?;
            let took = program.ready(region.operations()).await?;
            let times: &mut (usize, _) = fastest.get_or_insert((0, took));
            *times = (times.0 + 1, times.1.min(took));
            if times.0 < starts {
                continue;
            }
            if self.wants(Row::Start) {
                let milliseconds = times.1.as_secs_f64() * 1_000.0;
                self.report.ready_ms = Some(rounded(milliseconds));
                self.report.idle_rss_mib = Some(mib(program.resident_kib()?));
            }
            return Ok(program);
        }
    }

    async fn exchange(
        &mut self,
        generator: &Generator<'_>,
        floor: &Server<'_>,
        node: &Server<'_>,
    ) -> Result<(), RunError> {
        let row = generator.beside_floor("exchange", Method::Secret, floor, node).await?;
        let (floors, nodes) = row;
        let report = &mut self.report;
        report.floor_per_s = Some(floors.per_second());
        report.exchange_per_s = Some(nodes.per_second());
        report.floor_core_us = Some(floors.core_us());
        report.exchange_core_us = Some(nodes.core_us());
        let ratio = number(nodes.per_second()) / number(floors.per_second().max(1));
        report.ratio = Some(rounded(ratio));
        report.p50_us = Some(nodes.percentile(50));
        report.p99_us = Some(nodes.percentile(99));
        report.rss_mib = Some(mib(node.program.resident_kib()?));
        Ok(())
    }

    async fn single(
        &mut self,
        generator: &Generator<'_>,
        node: &Server<'_>,
        directory: &Path,
    ) -> Result<(), RunError> {
        let (series, writes) = generator.single(node, directory).await?;
        let write = writes.percentile(50);
        if write < DURABLE_US_MIN {
            eprintln!(
                "warning: a durable write takes {write} µs: {} is on no disk",
                directory.display()
            );
        }
        self.report.single_p50_us = Some(series.percentile(50));
        self.report.fsync_p50_us = Some(write);
        Ok(())
    }
}

/// KiB in MiB.
fn mib(kib: u64) -> f64 {
    rounded(number(kib) / 1_024.0)
}
