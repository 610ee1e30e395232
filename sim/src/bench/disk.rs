//! What one durable write costs here: a row that waits for the disk cannot be faster.

use std::{
    fs::File,
    io::{self, Write as _},
    path::Path,
    time::Instant,
};

use super::histogram::Histogram;

/// A page: about what one record with its index entries dirties.
const BLOCK: [u8; 4096] = [0x5a; 4096];

/// Appends a block to a file in `directory` and waits until it is on the disk, `times` times.
pub(crate) fn durable_writes(directory: &Path, times: u32) -> io::Result<Histogram> {
    let mut file = File::options().create(true).append(true).open(directory.join("fsync"))?;
    let mut latencies = Histogram::new();
    for _ in 0..times {
        let started = Instant::now();
        file.write_all(&BLOCK)?;
        file.sync_data()?;
        latencies.record(started.elapsed());
    }
    Ok(latencies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_write_is_counted_and_done() {
        let directory = tempfile::tempdir().unwrap();
        let latencies = durable_writes(directory.path(), 5).unwrap();
        assert_eq!(latencies.total(), 5);
        assert_eq!(directory.path().join("fsync").metadata().unwrap().len(), 5 * 4096);
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        assert!(durable_writes(&directory.path().join("gone"), 1).is_err());
    }
}
