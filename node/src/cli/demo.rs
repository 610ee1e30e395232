//! `exequatur demo`: a global issuer and three regions on loopback, and the story of one token.

use std::{
    io::{IsTerminal as _, stderr, stdout},
    path::PathBuf,
};

use clap::Args;

use super::{
    CliError, Format, Output,
    run::{runtime, system_seams},
};
use crate::demo::{DemoOptions, Streams, run};

/// Start a global issuer and three regions on loopback and tell what they do.
#[derive(Debug, Args)]
#[command(after_help = "\
Without --dir the files go when the demo ends, except with --output json, which names one of them.

Examples:
  exequatur demo
  exequatur demo --once --output json | jq .exchange.rules
  exequatur demo --dir eu                   (then read eu/eu-central/region.toml)")]
pub(super) struct Demo {
    /// End after the story instead of staying up until Ctrl-C.
    #[arg(long)]
    once: bool,
    /// Keep the regions' keys in SoftHSM2 instead of a file.
    #[arg(long)]
    hsm: bool,
    /// Serve the regions without TLS.
    #[arg(long)]
    plain_http: bool,
    /// Write the files to this directory, which must be new or empty, and leave them there.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Demo {
    pub(super) fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        let options = DemoOptions {
            once: self.once,
            output_json: output.format() == Format::Json,
            hsm: self.hsm,
            plain_http: self.plain_http,
            dir: self.dir.clone(),
            // https://no-color.org: any value that is not empty means no colour.
            colour: stdout().is_terminal()
                && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        };
        let streams = Streams { out: output.stream(), progress: &mut stderr() };
        runtime()?
            .block_on(run(&options, &system_seams(), streams))
            .map_err(|error| CliError::local(&error))
    }
}
