//! The operator's service of a node: gRPC over a Unix socket or over mutual TLS, and its client,
//! which the command line uses.
//!
//! Who may do what is decided by [`exequatur_federation::operator`]; what an action does is behind
//! [`Cluster`](crate::consensus::control::Cluster). This module proves who asks, records every
//! action before it takes effect, and carries actions out one at a time. There is no reflection and
//! no compression, and the port between nodes does not know these methods.

mod action;
mod caller;
mod cause;
mod client;
mod clients;
mod connect;
mod convert;
mod listen;
mod request;
mod revoke;
mod service;
mod socket;
#[cfg(test)]
mod tests;
mod worker;

pub use cause::Cause;
pub use client::{AdminClient, CallError, Done, Invited};
pub use clients::ClientsError;
pub use connect::{ConnectError, Credentials, Target};
pub use listen::{AdminEndpoint, AdminListenError, AdminListener};
pub use request::RequestId;
pub use revoke::{Party, Revocation, RevokeError, Revoked, Revoker, Revoking, What};
pub use service::{AdminParts, AdminService};
pub use socket::SocketError;
pub use worker::AdminWorker;

/// Messages and stubs, made from `proto/admin.proto`.
#[expect(
    unreachable_pub,
    unnameable_types,
    unused_qualifications,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated code; the protocol file documents it"
)]
mod wire {
    tonic::include_proto!("exequatur.admin.v1");
}
