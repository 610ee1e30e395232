//! What `peer.proto` compiles to.
#![expect(
    unreachable_pub,
    unused_qualifications,
    unnameable_types,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated code"
)]

tonic::include_proto!("exequatur.peer.v1");
