//! Real TLS on loopback: who is let in, who is not, and what stays when certificates change.

mod asserted;
mod greeting;
mod reload;
mod tls;
mod wire;
