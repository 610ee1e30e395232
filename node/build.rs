//! Compiles the interfaces between nodes, without a `protoc`.

use std::error::Error;

/// Interfaces, by the name of their file.
const INTERFACES: [&str; 2] = ["admin", "peer"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let files = INTERFACES.map(|name| format!("proto/{name}.proto"));
    let descriptors = protox::compile(&files, ["proto"])?;
    tonic_prost_build::configure()
        .bytes(".")
        .emit_rerun_if_changed(false)
        .compile_fds(descriptors)?;
    Ok(())
}
