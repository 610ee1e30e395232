//! The service as operators and strangers meet it: a real Unix socket and real mutual TLS on
//! loopback, with a real audit log, and a cluster in memory.

mod audit;
mod authorities;
mod cluster;
mod hostile;
mod lab;
mod roles;
