//! `exequatur init region --from ISSUER`: a short, commented region file and federation file, from
//! what a global issuer says of itself. What is written passes `config check`, or nothing is.

mod draft;
mod product;

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use clap::Args;
use exequatur_federation::{
    client::SecretHash,
    config::{SourceFile, compile},
    region::{Jurisdiction, RegionId},
};
use serde::Serialize;

use super::{
    CliError, Exit, Output,
    files::refused,
    run::{runtime, system_seams},
};
use crate::{
    entropy::draw,
    upstream::{FetchLimits, HttpFetcher, IssuerMetadata, RemoteUrl, TrustRoots, discover},
};
use draft::Draft;

/// Names of the two files.
const FILES: [&str; 2] = ["region.toml", "federation.toml"];

/// Write a commented region file for a global issuer.
#[derive(Debug, Args)]
#[command(after_help = "\
Writes region.toml and federation.toml for development on this machine: software keys, SQLite, plain
HTTP on loopback. Existing files are never overwritten. Exit code 2 if the issuer does not answer.

Example:
  exequatur init region --from https://login.example.com/realms/global --to eu --name eu-central
  exequatur config check --config eu/region.toml
  exequatur init --config eu/region.toml
  exequatur run --config eu/region.toml")]
pub(super) struct Region {
    /// The global issuer, exactly as it stands in `iss` of its tokens.
    #[arg(long, value_name = "ISSUER")]
    from: String,
    /// Directory to write to; it is made if need be.
    #[arg(long, value_name = "DIR", default_value = ".")]
    to: PathBuf,
    /// Name of the region.
    #[arg(long, value_name = "REGION", default_value = "local", value_parser = RegionId::new)]
    name: RegionId,
    /// The legal unit that the region lies in.
    #[arg(long, value_name = "NAME", default_value = "local", value_parser = Jurisdiction::new)]
    jurisdiction: Jurisdiction,
    /// PEM file of the certificate authorities of the issuer's host; by default the system's.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

#[derive(Serialize)]
struct Written {
    files: [PathBuf; 2],
    issuer: String,
    preset: Option<&'static str>,
}

impl Region {
    pub(super) fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        let files = FILES.map(|name| self.to.join(name));
        if let Some(file) = files.iter().find(|file| file.exists()) {
            let way_out = "name another directory with --to";
            let text =
                format_args!("`{}` exists and is not overwritten: {way_out}", file.display());
            return Err(CliError::new(Exit::Local, text));
        }
        let ca_file = self.ca_file.as_deref().map(absolute).transpose()?;
        let metadata = self.ask(ca_file.as_deref())?;
        let entropy = system_seams().entropy;
        let salt = draw(entropy.as_ref()).map_err(|e| CliError::local(&e))?;
        let hash = draw(entropy.as_ref()).map_err(|e| CliError::local(&e))?;
        let draft = Draft {
            region: &self.name,
            jurisdiction: &self.jurisdiction,
            metadata: &metadata,
            preset: product::preset(&metadata),
            ca_file: ca_file.as_deref(),
            nobodys_secret: SecretHash { salt, hash },
        };
        let texts = [draft.region_file(), draft.federation_file()];
        check(&texts)?;
        std::fs::create_dir_all(&self.to).map_err(|e| not_written(&self.to, &e))?;
        for (file, text) in files.iter().zip(&texts) {
            write_new(file, text).map_err(|e| not_written(file, &e))?;
        }
        let issuer = metadata.issuer.to_string();
        let written = Written { files, issuer, preset: draft.preset };
        output.result(&written, |out| written.tell(out))?;
        Ok(())
    }

    /// Reads what the issuer says of itself.
    fn ask(&self, ca_file: Option<&Path>) -> Result<IssuerMetadata, CliError> {
        let issuer = RemoteUrl::issuer(&self.from).map_err(|e| CliError::local(&e))?;
        let mut roots = TrustRoots::system();
        if let Some(file) = ca_file {
            roots = roots.with_ca_file(file).map_err(|e| CliError::local(&e))?;
        }
        let connector = roots.connector(FetchLimits::STANDARD).map_err(|e| CliError::local(&e))?;
        let fetcher = HttpFetcher::new(connector, FetchLimits::STANDARD);
        runtime()?.block_on(discover(&fetcher, &issuer)).map_err(|error| CliError::remote(&error))
    }
}

impl Written {
    fn tell(&self, out: &mut dyn io::Write) -> io::Result<()> {
        for file in &self.files {
            writeln!(out, "wrote {}", file.display())?;
        }
        match self.preset {
            Some(preset) => writeln!(out, "the issuer looks like `{preset}`: that is its preset")?,
            None => writeln!(
                out,
                "no preset is known for this issuer: `profile` in region.toml says where its \
                 tokens say what; compare it with a real token"
            )?,
        }
        writeln!(out, "read both files, and what is marked CHANGE; then:")?;
        let [region, _] = &self.files;
        let config = region.display();
        writeln!(out, "  exequatur config check --config {config}")?;
        writeln!(out, "  exequatur try TOKEN_FILE --config {config}")?;
        writeln!(out, "  exequatur init --config {config}")?;
        writeln!(out, "  exequatur run --config {config}")
    }
}

/// What does not pass the check is not written: an issuer may say what no file may hold.
fn check([region, federation]: &[String; 2]) -> Result<(), CliError> {
    let source =
        |name: &str, text: &String| SourceFile { name: name.to_owned(), text: text.clone() };
    let [region_name, federation_name] = FILES;
    let no_file = |_: &str| Err("no file is named".to_owned());
    compile(&source(region_name, region), &source(federation_name, federation), &no_file)
        .map(|_| ())
        .map_err(|findings| {
            let findings = refused(&findings);
            CliError::new(Exit::Local, format_args!("nothing is written: {findings}"))
        })
}

fn absolute(path: &Path) -> Result<PathBuf, CliError> {
    path.canonicalize().map_err(|error| {
        CliError::new(Exit::Local, format_args!("`{}` cannot be read: {error}", path.display()))
    })
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())
}

fn not_written(path: &Path, error: &io::Error) -> CliError {
    CliError::new(Exit::Local, format_args!("`{}` cannot be written: {error}", path.display()))
}
