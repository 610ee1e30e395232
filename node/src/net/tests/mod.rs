//! The serve loop on real loopback sockets, mostly with raw bytes.

mod drain;
mod harness;
mod http2;
mod malformed;
mod slow;
mod streaming;
mod tls;
