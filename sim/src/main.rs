//! The command line of the simulator: what can go wrong with real regions, and how fast they are.
//!
//! Only benchmarks exist so far. A result is the last line of standard output, as JSON; everything
//! for people goes to standard error.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line answers on its standard streams"
)]

mod bench;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use bench::exchange::{Plan, Row};

/// Most connections of the load generator: half of what the node accepts by default.
const CONNECTIONS_MAX: u16 = 2_048;
/// Longest window: tokens are minted before one, and an hour of them would fill the memory.
const SECONDS_MAX: u16 = 60;

/// Most tokens of one call: what a call may hold.
const TOKENS_MAX: u16 = 8_192;

/// Drives real regions: load, faults and drills.
#[derive(Parser)]
#[command(name = "exequatur-sim", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure how fast a region is.
    #[command(subcommand)]
    Bench(Bench),
}

#[derive(Subcommand)]
enum Bench {
    /// Exchanges a second, beside the floor: what the cryptography alone costs.
    Exchange(ExchangeArguments),
    /// The ledger: three nodes on loopback, and what their leader takes.
    Raft(RaftArguments),
    /// The floor alone, as a server; `exchange` starts it.
    #[command(hide = true)]
    Floor(FloorArguments),
}

#[derive(clap::Args)]
struct ExchangeArguments {
    /// Length of one measured window, in seconds; most rows have three.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=i64::from(SECONDS_MAX)))]
    seconds: u16,
    /// Keep-alive connections of the load generator.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=i64::from(CONNECTIONS_MAX)))]
    connections: u16,
    /// Measure this row alone; the others are null.
    #[arg(long, value_enum, value_name = "ROW")]
    only: Option<Row>,
    /// Leave the region's files where they are, under target/bench.
    #[arg(long)]
    keep_dir: bool,
    /// Set by the program itself when it has moved to its core.
    #[arg(long, hide = true)]
    pinned: bool,
}

#[derive(clap::Args)]
struct RaftArguments {
    /// Length of the window with many callers, in seconds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=i64::from(SECONDS_MAX)))]
    seconds: u16,
    /// Tokens that one of its calls revokes.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=i64::from(TOKENS_MAX)))]
    tokens: u16,
    /// Leave the files where they are, under target/bench.
    #[arg(long)]
    keep_dir: bool,
}

#[derive(clap::Args)]
struct FloorArguments {
    /// Address and port to listen at.
    #[arg(long)]
    listen: SocketAddr,
    /// File with the keys and names that `exchange` wrote.
    #[arg(long)]
    settings: PathBuf,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Bench(Bench::Exchange(arguments)) => exchange(&arguments),
        Command::Bench(Bench::Raft(arguments)) => raft(&arguments),
        Command::Bench(Bench::Floor(arguments)) => {
            bench::floor::run(arguments.listen, &arguments.settings).map_err(|e| e.to_string())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn exchange(arguments: &ExchangeArguments) -> Result<(), String> {
    bench::pin::to_load_core(arguments.pinned).map_err(|e| e.to_string())?;
    let plan = Plan {
        seconds: arguments.seconds,
        connections: usize::from(arguments.connections),
        only: arguments.only,
        keep_directory: arguments.keep_dir,
    };
    let report = bench::exchange::run(&plan).map_err(|e| e.to_string())?;
    eprint!("{}", report.table());
    println!("{}", report.json().map_err(|e| e.to_string())?);
    Ok(())
}

fn raft(arguments: &RaftArguments) -> Result<(), String> {
    let plan = bench::raft::Plan {
        seconds: arguments.seconds,
        tokens: arguments.tokens,
        keep_directory: arguments.keep_dir,
    };
    let report = bench::raft::run(&plan).map_err(|e| e.to_string())?;
    println!("{}", report.json().map_err(|e| e.to_string())?);
    Ok(())
}
