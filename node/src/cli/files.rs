//! The two files that most commands start from, and what they say.

use std::path::{Path, PathBuf};

use clap::Args;
use exequatur_federation::config::{Diagnostic, Severity, SourceFile, compile};

use super::{CliError, Exit};
use crate::node::Configured;

/// Largest file that a configuration may name: a JWK set of a hundred keys stays far below.
const NAMED_FILE_BYTES_MAX: u64 = 256 * 1024;

/// Which configuration files to read.
#[derive(Clone, Debug, Args)]
pub struct Files {
    /// The region's file.
    #[arg(long, value_name = "FILE", default_value = "/etc/exequatur/region.toml")]
    pub config: PathBuf,
    /// The federation's file; `federation.toml` beside the region's file if left out.
    #[arg(long, value_name = "FILE")]
    pub federation: Option<PathBuf>,
}

/// Both files, read.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The region's file.
    pub region: SourceFile,
    /// The federation's file.
    pub federation: SourceFile,
    /// Directory of the region's file: relative paths start from it.
    pub directory: PathBuf,
    /// Directory of the federation's file: its relative paths start from it.
    pub federation_directory: PathBuf,
}

impl Files {
    /// Reads both files.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn read(&self) -> Result<Sources, CliError> {
        let directory = self.config.parent().unwrap_or_else(|| Path::new("")).to_owned();
        let beside = || directory.join("federation.toml");
        let federation = self.federation.clone().unwrap_or_else(beside);
        let federation_directory = federation.parent().unwrap_or_else(|| Path::new("")).to_owned();
        let (region, federation) = (read(&self.config)?, read(&federation)?);
        Ok(Sources { region, federation, directory, federation_directory })
    }

    /// Reads and compiles both files; warnings come with the result.
    ///
    /// # Errors
    /// Every finding, if one of them is an error.
    pub fn load(&self) -> Result<Configured, CliError> {
        self.read()?.compile()
    }
}

impl Sources {
    /// Compiles both files.
    ///
    /// # Errors
    /// Every finding, if one of them is an error.
    pub fn compile(self) -> Result<Configured, CliError> {
        let compiled = compile(&self.region, &self.federation, &|path| self.named_file(path));
        match compiled {
            Ok(compiled) => Ok(Configured {
                compiled,
                directory: self.directory,
                federation_directory: self.federation_directory,
            }),
            Err(findings) => Err(CliError::new(Exit::Local, refused(&findings))),
        }
    }

    /// The bytes of a file that the region's file names.
    ///
    /// # Errors
    /// It cannot be read, or is too large.
    pub fn named_file(&self, path: &str) -> Result<Vec<u8>, String> {
        let path = self.directory.join(path);
        let size = std::fs::metadata(&path).map_err(|e| e.to_string())?.len();
        if size > NAMED_FILE_BYTES_MAX {
            return Err(format!("larger than {NAMED_FILE_BYTES_MAX} bytes"));
        }
        std::fs::read(&path).map_err(|e| e.to_string())
    }
}

fn read(path: &Path) -> Result<SourceFile, CliError> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(SourceFile { name, text }),
        Err(error) => {
            let way_out =
                "name it with --config or --federation, or write one with `exequatur init region`";
            let text = format_args!("`{name}` cannot be read: {error}\n{way_out}");
            Err(CliError::new(Exit::Local, text))
        }
    }
}

/// All findings as text, errors counted.
pub(super) fn refused(findings: &[Diagnostic]) -> String {
    let errors = findings.iter().filter(|f| f.severity == Severity::Error).count();
    let mut text = format!("the configuration has {errors} error(s)\n");
    for finding in findings {
        text.push('\n');
        text.push_str(&finding.to_string());
    }
    text
}
