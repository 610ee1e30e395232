//! `exequatur demo`: a small global issuer and three regions on loopback that tell the story of one
//! token, and of the federation that keeps it revoked.
//!
//! Each region is this very program, run as a child with files that the demo writes, and everything
//! that is told is read from their answers. The demo holds no rule of its own and imitates nothing.

mod certificate;
mod commands;
mod configuration;
mod directory;
mod federation;
mod files;
mod founding;
mod http;
mod issuer;
mod journey;
mod page;
mod program;
mod region;
mod report;
mod requests;
mod rules;
mod signals;
mod softhsm;
mod stage;
mod story;
#[cfg(test)]
mod testing;

use std::{
    io::{self, Write},
    path::PathBuf,
};

pub use self::{
    directory::FilesError, federation::FederationError, founding::FoundingError, http::HttpError,
    issuer::IssuerError, journey::JourneyError, program::ProgramError, region::RegionError,
    rules::RulesError, softhsm::SoftHsmError,
};
use self::{issuer::GlobalIssuer, signals::Signals, stage::Stage};
use crate::node::Seams;

/// What was asked for on the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DemoOptions {
    /// End after the story instead of staying up.
    pub once: bool,
    /// Write one JSON object instead of the story.
    pub output_json: bool,
    /// Keep the regions' keys in SoftHSM2.
    pub hsm: bool,
    /// Serve the regions without TLS.
    pub plain_http: bool,
    /// Where the files go, and stay; `None` for a temporary directory.
    pub dir: Option<PathBuf>,
    /// Whether the output is a terminal that shows colours.
    pub colour: bool,
}

/// Where the demo writes.
pub struct Streams<'o> {
    /// The story, or the JSON object and nothing else.
    pub out: &'o mut dyn Write,
    /// What happens meanwhile, when the result is JSON.
    pub progress: &'o mut dyn Write,
}

/// Why the demo failed.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The regions together.
    #[error(transparent)]
    Federation(#[from] FederationError),
    /// Files.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The federation was not founded.
    #[error(transparent)]
    Founding(#[from] FoundingError),
    /// The client that asks the region.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// A signal came before the story was told.
    #[error("interrupted")]
    Interrupted,
    /// The global issuer.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// A step of the journey.
    #[error(transparent)]
    Journey(#[from] JourneyError),
    /// The report could not be written as JSON.
    #[error("the report cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// There is no region to tell of.
    #[error("the demo has no region")]
    NoRegion,
    /// Standard output or error cannot be written, or signals cannot be received.
    #[error("the demo cannot write its output or receive signals")]
    Output(#[from] io::Error),
    /// A command of this program.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// SoftHSM2.
    #[error(transparent)]
    SoftHsm(#[from] SoftHsmError),
}

/// Runs the demo: to the end of the story with `once`, else until SIGINT, SIGTERM or SIGHUP. The
/// regions' processes have ended, and a temporary directory is gone, when this returns; with JSON the
/// directory stays, for the object names files in it.
///
/// # Errors
/// See [`DemoError`].
pub async fn run(
    options: &DemoOptions,
    seams: &Seams,
    streams: Streams<'_>,
) -> Result<(), DemoError> {
    let mut signals = Signals::listen()?;
    let issuer = GlobalIssuer::bind(seams).await?;
    let stage =
        Stage { options, seams, issuer: issuer.url().to_owned(), mint_url: issuer.mint_url() };
    // The issuer serves as long as, and only while, the demo runs.
    tokio::select! {
        never = issuer.serve() => match never {},
        result = Box::pin(stage.run(streams, &mut signals)) => result,
    }
}
