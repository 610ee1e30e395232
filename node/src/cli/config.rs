//! `exequatur config check|schema|explain`: everything that can be said of the files without
//! running a node.

use clap::{Args, Subcommand, ValueEnum};
use exequatur_federation::{
    config::{
        Compiled, ConfigFile, Diagnostic, KeyDoc, Severity, compile, explain, federation_schema,
        keys, region_schema,
    },
    jose::base64url,
};
use serde::Serialize;

use super::{CliError, Exit, Files, Output};

/// Check the files, print their schema, explain their keys.
#[derive(Debug, Subcommand)]
pub(super) enum Config {
    /// Show every error and warning of both files at once.
    #[command(after_help = "\
Examples:
  exequatur config check --config eu-central.toml
  exequatur config check --config eu-central.toml --output json | jq .errors")]
    Check(Check),
    /// Say what a key means, its type and its default; without KEY, list them all.
    #[command(after_help = "\
Examples:
  exequatur config explain listen.public
  exequatur config explain client.auth      (and all keys below it)")]
    Explain(Explain),
    /// Print the JSON Schema of a file, for editors.
    Schema(Schema),
}

/// Show every error and warning of both files at once.
#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    files: Files,
}

/// Say what a key means.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The key, as in `listen.public` or `client.auth`.
    key: Option<String>,
}

/// Print the JSON Schema of a file.
#[derive(Debug, Args)]
pub(super) struct Schema {
    /// Which file.
    #[arg(value_enum, default_value_t = File::Region)]
    file: File,
}

/// A kind of configuration file.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum File {
    /// The file that all regions share.
    Federation,
    /// The file of one region.
    Region,
}

#[derive(Serialize)]
struct Checked<'a> {
    errors: Vec<Finding<'a>>,
    warnings: Vec<Finding<'a>>,
    /// As in audit records; null if there are errors.
    law_sha256: Option<String>,
    /// What nodes compare of federation.toml; null if there are errors.
    federation_law_sha256: Option<String>,
}

#[derive(Serialize)]
struct Finding<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    key: &'a str,
    message: &'a str,
    hint: Option<&'a str>,
}

#[derive(Serialize)]
struct Key<'a> {
    key: &'a str,
    file: &'static str,
    r#type: &'a str,
    required: bool,
    default: Option<&'a str>,
    meaning: &'a str,
}

impl Config {
    pub(super) fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        match self {
            Self::Check(check) => check.run(output),
            Self::Explain(explain) => explain.run(output),
            Self::Schema(schema) => schema.run(output),
        }
    }
}

impl Check {
    fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        let sources = self.files.read()?;
        let compiled =
            compile(&sources.region, &sources.federation, &|path| sources.named_file(path));
        let findings = match &compiled {
            Ok(compiled) => &compiled.warnings,
            Err(findings) => findings,
        };
        let of = |severity| findings.iter().filter(move |f| f.severity == severity);
        let checked = Checked {
            errors: of(Severity::Error).map(finding).collect(),
            warnings: of(Severity::Warning).map(finding).collect(),
            law_sha256: compiled.as_ref().ok().map(|c| base64url(&c.law.digest)),
            federation_law_sha256: compiled
                .as_ref()
                .ok()
                .map(|c| c.federation.law.digest.to_string()),
        };
        output.result(&checked, |out| {
            for finding in findings {
                writeln!(out, "{finding}\n")?;
            }
            match &compiled {
                Ok(compiled) => writeln!(out, "{}", summary(compiled)),
                Err(_) => Ok(()),
            }
        })?;
        match checked.errors.len() {
            0 => Ok(()),
            errors => {
                let text =
                    format_args!("the configuration cannot be used: {}", counted(errors, "error"));
                Err(CliError::new(Exit::Local, text))
            }
        }
    }
}

impl Explain {
    fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        let Some(key) = &self.key else { return list(&keys(), output) };
        let docs = explain(key).map_err(|near| {
            let hint = near.map_or_else(
                || "`exequatur config explain` lists every key".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            CliError::new(Exit::Local, format_args!("`{key}` is no key of a file: {hint}"))
        })?;
        let keys: Vec<Key<'_>> = docs.iter().map(described).collect();
        output.result(&keys, |out| {
            for (index, key) in keys.iter().enumerate() {
                if index > 0 {
                    writeln!(out)?;
                }
                writeln!(out, "{}", key.key)?;
                writeln!(out, "  file     {}", key.file)?;
                writeln!(out, "  type     {}", key.r#type)?;
                writeln!(out, "  default  {}", key.default.unwrap_or("none: it must be there"))?;
                writeln!(out, "  meaning  {}", key.meaning)?;
            }
            Ok(())
        })?;
        Ok(())
    }
}

impl Schema {
    fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        let schema = match self.file {
            File::Federation => federation_schema(),
            File::Region => region_schema(),
        };
        // A schema is JSON in either format.
        let text = serde_json::to_string_pretty(&schema)
            .map_err(|e| CliError::new(Exit::Local, format_args!("the schema: {e}")))?;
        writeln!(output.stream(), "{text}")?;
        Ok(())
    }
}

fn list(docs: &[KeyDoc], output: &mut Output<'_>) -> Result<(), CliError> {
    let keys: Vec<Key<'_>> = docs.iter().map(described).collect();
    output.result(&keys, |out| {
        for file in ["region", "federation"] {
            writeln!(out, "{file} file")?;
            for key in keys.iter().filter(|key| key.file == file) {
                let first = key.meaning.split_inclusive(". ").next().unwrap_or_default();
                writeln!(out, "  {:<42} {}", key.key, first.trim_end())?;
            }
        }
        Ok(())
    })?;
    Ok(())
}

fn described(doc: &KeyDoc) -> Key<'_> {
    Key {
        key: &doc.path,
        file: match doc.file {
            ConfigFile::Federation => "federation",
            ConfigFile::Region => "region",
        },
        r#type: &doc.kind,
        required: doc.absent.is_none(),
        default: doc.absent.as_deref(),
        meaning: doc.meaning,
    }
}

fn finding(diagnostic: &Diagnostic) -> Finding<'_> {
    Finding {
        file: &diagnostic.file,
        line: diagnostic.line,
        column: diagnostic.column,
        key: &diagnostic.path,
        message: &diagnostic.message,
        hint: diagnostic.hint.as_deref(),
    }
}

fn summary(compiled: &Compiled) -> String {
    let law = &compiled.law;
    let mut text = format!(
        "ok: region `{}` of federation `{}`: {}, {}, {}, {}",
        law.region,
        compiled.federation.name,
        counted(law.upstreams.len(), "upstream issuer"),
        counted(law.rules.len(), "claim rule"),
        counted(law.resources.len(), "resource"),
        counted(law.clients.len(), "client"),
    );
    if !law.transfers.is_empty() {
        let transfers = counted(law.transfers.len(), "transfer rule");
        text.push_str(&format!("\n{transfers} read and checked; border grants are not served yet"));
    }
    text
}

fn counted(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
