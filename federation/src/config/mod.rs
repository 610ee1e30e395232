//! Configuration: TOML text to the compiled [`Law`] and the node's settings, with every error of a
//! file at once.
//!
//! A file is parsed with the place of every value, compared with its `shape` (unknown keys, missing
//! keys, types), then compiled table by table, then checked across tables. The shape is also the
//! source of the JSON Schema and of `config explain`. Nothing here opens a file: texts come as
//! arguments, and files that the configuration names are read through a closure of the caller.

mod action;
mod canonical;
mod check;
mod claim;
mod client;
mod cluster;
mod diagnostic;
mod explain;
mod federation;
mod federation_settings;
mod freshness;
mod keys;
mod node;
mod nodes;
mod preset;
mod profile;
mod quasi;
mod references;
mod region;
mod resource;
mod schema;
mod secret;
mod settings;
mod shape;
mod table;
mod transfer;
mod upstream;
mod uri;

use std::cell::RefCell;

use toml::de::DeTable;

pub use diagnostic::{Diagnostic, Severity};
pub use explain::{ConfigFile, KeyDoc, explain, keys};
pub use federation_settings::{
    FederationNode, FederationRegion, FederationSettings, RegionsTableError,
};
pub use preset::preset_for_issuer;
pub use schema::{federation_schema, region_schema};
pub use secret::{SecretHashError, parse_secret_hash, secret_hash_text};
pub use settings::{
    Admin, AdminAddress, Audit, AuditExport, Cluster, ExportFormat, KeyProvider, Keys, Limits,
    Listen, NodeSettings, StatusLists, Store, StoreEngine, TlsFiles, Transport, UpstreamFetch,
};

use self::{
    diagnostic::{Place, Report},
    federation::Federation,
    keys::{FEDERATION, REGION},
    shape::Shape,
    table::Table,
};
use crate::{jose::sha256, law::Law, region::RegionId};

/// Largest configuration file: a region with a thousand clients stays under this.
const FILE_BYTES_MAX: usize = 1024 * 1024;

/// A configuration file that was read.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Its name, for messages.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// What two configuration files say.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The law of the region.
    pub law: Law,
    /// Settings of its nodes.
    pub settings: NodeSettings,
    /// What all regions share about the ledger.
    pub federation: FederationSettings,
    /// Findings that do not stop anything.
    pub warnings: Vec<Diagnostic>,
}

/// Files that a configuration names, as far as they are part of the law: clients' keys and hashes.
struct Files<'r> {
    read: &'r dyn Fn(&str) -> Result<Vec<u8>, String>,
    /// What was read, so that the law's digest covers it.
    seen: RefCell<Vec<[u8; 32]>>,
}

/// Reads the files of a region and of its federation. `read` gives the bytes of a file that the
/// region's file names, or says why it cannot; it resolves paths.
///
/// # Errors
/// Every finding of both files, if one of them is an error.
pub fn compile(
    region: &SourceFile,
    federation: &SourceFile,
    read: &dyn Fn(&str) -> Result<Vec<u8>, String>,
) -> Result<Compiled, Vec<Diagnostic>> {
    let mut federation_report = Report::new(federation);
    let shared = document(federation, &FEDERATION, &mut federation_report, |table, report| {
        federation::compile(&table, report)
    });
    let files = Files { read, seen: RefCell::new(Vec::new()) };
    let mut report = Report::new(region);
    // Without a readable federation every reference to it would be a finding of its own.
    let compiled = document(region, &REGION, &mut report, |table, report| {
        let shared = shared.as_ref()?;
        region::compile(&table, shared, &files, report)
    });
    let failed = federation_report.has_errors() || report.has_errors();
    let mut findings = federation_report.into_diagnostics();
    findings.extend(report.into_diagnostics());
    let shared = shared.and_then(|shared| shared.settings);
    let (Some((mut law, settings)), Some(shared), false) = (compiled.flatten(), shared, failed)
    else {
        return Err(findings);
    };
    let number = |(id, region): (&RegionId, &FederationRegion)| Some((id.clone(), region.number?));
    law.region_numbers = shared.regions.iter().filter_map(number).collect();
    law.digest = digest(region, federation, &files.seen.into_inner());
    Ok(Compiled { law, settings, federation: shared, warnings: findings })
}

/// Parses and checks one file, then compiles it as far as it is readable.
fn document<T>(
    source: &SourceFile,
    shape: &'static Shape,
    report: &mut Report<'_>,
    compile: impl FnOnce(Table<'_>, &mut Report<'_>) -> T,
) -> Option<T> {
    let start = Place { span: 0..0, path: String::new() };
    if source.text.len() > FILE_BYTES_MAX {
        report.error(&start, format!("the file is larger than {FILE_BYTES_MAX} bytes"), None);
        return None;
    }
    let (parsed, errors) = DeTable::parse_recoverable(&source.text);
    for error in &errors {
        let place = Place { span: error.span().unwrap_or(0..0), path: String::new() };
        report.error(&place, error.message(), None);
    }
    if !errors.is_empty() {
        return None;
    }
    check::check_table(parsed.get_ref(), shape, &start, report);
    Some(compile(Table::root(parsed.get_ref(), shape), report))
}

impl Files<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let bytes = (self.read)(path)?;
        self.seen.borrow_mut().push(sha256(&bytes));
        Ok(bytes)
    }
}

fn digest(region: &SourceFile, federation: &SourceFile, files: &[[u8; 32]]) -> [u8; 32] {
    let texts = [sha256(region.text.as_bytes()), sha256(federation.text.as_bytes())];
    let parts: Vec<u8> = texts.iter().chain(files).flatten().copied().collect();
    sha256(&parts)
}

/// What a federation's file says about the ledger, for whoever has no region's file.
///
/// # Errors
/// Every finding of the file, if one of them is an error.
pub fn compile_federation(source: &SourceFile) -> Result<FederationSettings, Vec<Diagnostic>> {
    let mut report = Report::new(source);
    let shared: Option<Federation> = document(source, &FEDERATION, &mut report, |table, report| {
        federation::compile(&table, report)
    });
    match shared.and_then(|shared| shared.settings).filter(|_| !report.has_errors()) {
        Some(settings) => Ok(settings),
        None => Err(report.into_diagnostics()),
    }
}

#[cfg(test)]
#[path = "compile_test.rs"]
mod tests;
