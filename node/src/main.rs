//! The `exequatur` program. Everything is in the library; here are only the two streams and the
//! allocator.

use std::process::ExitCode;

/// A decision parses, projects and writes several small JSON objects; with the system's allocator
/// a sixth of an exchange's time went into it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    exequatur_node::memory::use_small_pages();
    exequatur_node::cli::main(&mut std::io::stdout(), &mut std::io::stderr())
}
