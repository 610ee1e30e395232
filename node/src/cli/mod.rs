//! The command line: arguments become calls, one file a noun.
//!
//! Exit codes: 0 done, 1 local error, 2 remote error, 3 refused by policy, 4 degraded. Secrets come
//! from files, never from arguments.

mod audit;
mod client;
mod cluster;
mod config;
mod demo;
mod explain;
pub mod files;
mod hsm;
mod init;
mod init_region;
mod keys;
mod manual;
mod output;
mod revoke;
mod run;
mod token;
mod try_token;

use std::{fmt, io::Write, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::causes::with_causes;

pub use files::Files;
pub use output::{Format, Output};

/// Gives global identity claims force in a region, under that region's law.
#[derive(Debug, Parser)]
#[command(
    name = "exequatur",
    version,
    max_term_width = 100,
    after_help = "\
Exit codes: 0 done, 1 error here, 2 error elsewhere, 3 refused by the law, 4 degraded.
Results go to standard output, errors and the log to standard error.

First steps:
  exequatur init region --from https://login.example.com/realms/global
  exequatur config check --config region.toml
  exequatur try TOKEN_FILE --config region.toml
  exequatur init --config region.toml
  exequatur run --config region.toml"
)]
pub struct Cli {
    /// How results are written to standard output.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    output: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read and verify the audit log.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Make credentials for clients.
    #[command(subcommand)]
    Client(client::Client),
    /// Found a federation, join one, look after its members.
    #[command(subcommand)]
    Cluster(cluster::Cluster),
    /// Write the completions of a shell to standard output.
    Completions(manual::Completions),
    /// Check the files, print their schema, explain their keys.
    #[command(subcommand)]
    Config(config::Config),
    /// Start a global issuer and a region on loopback and tell what they do.
    Demo(demo::Demo),
    /// Explain an error id.
    Explain(explain::Explain),
    /// Look after the key store.
    #[command(subcommand)]
    Hsm(hsm::Hsm),
    /// Make the keys, secrets and database of a region, or a region file.
    Init(init::Init),
    /// Replace secrets, and share keys with another region.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Write the man pages to a directory.
    Man(manual::Man),
    /// End tokens, sessions, people, clients, lists and regions, in every region.
    #[command(subcommand)]
    Revoke(revoke::Revoke),
    /// Run the region's node.
    Run(run::Run),
    /// Read and verify tokens.
    #[command(subcommand)]
    Token(token::Token),
    /// Show what the law would do to a real token, offline.
    Try(try_token::Try),
}

/// How a command failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Nothing is wrong: whoever reads the output has read enough.
    Unread = 0,
    /// Something here is wrong: arguments, files, keys, database.
    Local = 1,
    /// Something elsewhere is wrong: an issuer, a region.
    Remote = 2,
    /// The law says no.
    Refused = 3,
    /// It works, but not as it should.
    Degraded = 4,
}

/// Why a command failed: for the person who typed it.
#[derive(Debug)]
pub struct CliError {
    exit: Exit,
    message: String,
}

impl CliError {
    /// A failure with its text: what, where, and the way out.
    pub fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self { exit, message: message.to_string() }
    }

    /// A failure of something here, with everything that caused it.
    pub fn local(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::new(Exit::Local, with_causes(error))
    }

    /// A failure of something elsewhere, with everything that caused it.
    pub fn remote(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::new(Exit::Remote, with_causes(error))
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<std::io::Error> for CliError {
    /// Only for writing to standard output; everything else names its file.
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            // Whoever reads has read enough, as `head` does.
            return Self { exit: Exit::Unread, message: String::new() };
        }
        Self::new(Exit::Local, format_args!("standard output cannot be written: {error}"))
    }
}

/// Runs the command that the arguments name. Results go to `out`, errors to `err`.
pub fn main(out: &mut dyn Write, err: &mut dyn Write) -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(told) => return usage(&told, out, err),
    };
    let mut output = Output::new(cli.output, out);
    let result = match cli.command {
        Command::Audit(command) => command.run(&mut output),
        Command::Client(command) => command.run(&mut output),
        Command::Cluster(command) => command.run(&mut output),
        Command::Completions(command) => command.run(&mut output),
        Command::Config(command) => command.run(&mut output),
        Command::Demo(command) => command.run(&mut output),
        Command::Explain(command) => command.run(&mut output),
        Command::Hsm(command) => command.run(&mut output),
        Command::Init(command) => command.run(&mut output),
        Command::Keys(command) => command.run(&mut output),
        Command::Man(command) => command.run(),
        Command::Revoke(command) => command.run(&mut output),
        Command::Run(command) => command.run(),
        Command::Token(command) => command.run(&mut output),
        Command::Try(command) => command.run(&mut output),
    };
    match result {
        Ok(()) | Err(CliError { exit: Exit::Unread, .. }) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing more can be done if standard error is closed.
            let _unwritten = writeln!(err, "error: {error}").is_err();
            ExitCode::from(error.exit as u8)
        }
    }
}

/// Help and version go to standard output; a wrong argument is a local error, and clap's own exit
/// code for it would say "remote".
fn usage<'s>(told: &clap::Error, out: &'s mut dyn Write, err: &'s mut dyn Write) -> ExitCode {
    let is_error = told.use_stderr();
    let stream = if is_error { err } else { out };
    // Nothing more can be done if the stream is closed.
    let _unwritten = write!(stream, "{}", told.render()).is_err();
    if is_error { ExitCode::from(Exit::Local as u8) } else { ExitCode::SUCCESS }
}
