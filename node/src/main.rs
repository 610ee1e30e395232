//! The `exequatur` program. Everything is in the library; here are only the two streams.

use std::process::ExitCode;

fn main() -> ExitCode {
    exequatur_node::cli::main(&mut std::io::stdout(), &mut std::io::stderr())
}
