//! What `peer.proto` compiles to.
#![expect(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::wildcard_enum_match_arm,
    clippy::str_to_string,
    clippy::use_self,
    clippy::semicolon_if_nothing_returned,
    clippy::too_many_lines,
    reason = "generated code"
)]

tonic::include_proto!("exequatur.peer.v1");
