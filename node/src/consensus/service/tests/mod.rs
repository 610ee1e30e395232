//! Three nodes on loopback with real TLS and real consensus, and what must not disturb them.

mod cluster;
mod federation;
mod identity;
mod messages;
mod paths;
mod probes;
mod proxy;
mod raw;
mod snapshots;
mod store;
mod streams;
