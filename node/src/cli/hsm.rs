//! `exequatur hsm doctor`: whether the region's keys are there and sign, and how fast.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{CliError, Exit, Files, Output, run::system_seams};
use crate::{hsm::doctor::Check, node::examine_key_store};

/// Look after the key store.
#[derive(Debug, Subcommand)]
pub(super) enum Hsm {
    /// Examine the key store: changes nothing, may run beside the node.
    #[command(after_help = "Exit code 4 if one check fails.")]
    Doctor(Doctor),
}

/// Examine the key store.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    files: Files,
}

#[derive(Serialize)]
struct Examined<'a> {
    healthy: bool,
    checks: &'a [Check],
}

impl Hsm {
    pub(super) fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        match self {
            Self::Doctor(doctor) => doctor.run(output),
        }
    }
}

impl Doctor {
    fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        let configured = self.files.load()?;
        let compiled = &configured.compiled;
        let report = examine_key_store(
            &compiled.law.region,
            &compiled.settings,
            &configured.directory,
            &system_seams(),
        );
        let examined = Examined { healthy: report.is_healthy(), checks: &report.checks };
        output.result(&examined, |out| {
            for check in examined.checks {
                let mark = if check.ok { "ok  " } else { "FAIL" };
                writeln!(out, "{mark}  {}: {}", check.name, check.detail)?;
            }
            Ok(())
        })?;
        if examined.healthy {
            return Ok(());
        }
        let failed = report.checks.iter().filter(|check| !check.ok).count();
        let total = report.checks.len();
        let text =
            format_args!("the key store is not as it must be: {failed} of {total} checks failed");
        Err(CliError::new(Exit::Degraded, text))
    }
}
