//! The vectors of the draft: sections 4.1 and 4.2, and appendix C.1 (2^20 statuses). Compressors
//! differ, so texts are read and not written.

use super::{ARRAY_BYTES_MAX, StatusArray};

fn statuses(bits: u64, text: &str) -> Vec<u8> {
    let array = StatusArray::decode(bits, text, ARRAY_BYTES_MAX).unwrap();
    (0..).map_while(|index| array.status(index)).collect()
}

#[test]
fn one_bit() {
    let array = StatusArray::decode(1, "eNrbuRgAAhcBXQ", 2).unwrap();
    assert_eq!(array.bytes(), [0xb9, 0xa3]);
    let expected = [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1];
    assert_eq!(statuses(1, "eNrbuRgAAhcBXQ"), expected);
}

#[test]
fn two_bits() {
    let array = StatusArray::decode(2, "eNo76fITAAPfAgc", 3).unwrap();
    assert_eq!(array.bytes(), [0xc9, 0x44, 0xf9]);
    assert_eq!(statuses(2, "eNo76fITAAPfAgc"), [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]);
}

#[test]
fn a_million_statuses() {
    let text = concat!(
        "eNrt3AENwCAMAEGogklACtKQPg9LugC9k_ACvreiogEAAKkeCQAAAAAAAAAAAAAAAAAAAIBylgQAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAXG9IAAAAAAAAAPwsJAAAAAAAAAAAAAAAvhsSAAAA",
        "AAAAAAAA7KpLAAAAAAAAAAAAAAAAAAAAAJsLCQAAAAAAAAAAADjelAAAAAAAAAAAKjDMAQAAAACAZC8L2AEb",
    );
    let statuses = statuses(1, text);
    assert_eq!(statuses.len(), 1 << 20);
    let invalid: Vec<usize> = (0..statuses.len()).filter(|at| statuses[*at] == 1).collect();
    let expected = [
        0, 1_993, 25_460, 159_495, 495_669, 554_353, 645_645, 723_232, 854_545, 934_534, 1_000_345,
    ];
    assert_eq!(invalid, expected);
}
