//! The transport seam and the serve loop: TLS, deadlines, limits, graceful stop.
//!
//! Every listener of a node runs the one loop of [`serve`]; what differs is the listener's kind,
//! the limits, and the router that answers. It knows no endpoint and renders no OAuth error.
//! Protocol errors are answered by the HTTP library or by closing.

mod activity;
pub mod body;
pub mod certificate;
mod connection;
pub mod limits;
pub mod listener;
mod protocol;
pub mod serve;
mod streaming;
pub mod target;
#[cfg(test)]
mod tests;
pub mod tls;

pub use body::{BodyError, read_body};
pub use streaming::LongLived;
pub use target::authority;
