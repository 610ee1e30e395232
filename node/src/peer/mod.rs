//! Connections between nodes: who is at the other end is proved before anything else is said.
//!
//! A connection is secured by a [`transport`] (mutual TLS in production), then each end greets the
//! other with a proof of its identity key on this very connection, then HTTP/2 begins. What is
//! decided about a greeting stands in `exequatur_federation::membership`; what is said over HTTP/2
//! this module does not know.

mod credentials;
mod dialer;
mod directory;
mod greeter;
pub mod limits;
mod listener;
mod name;
mod standpoint;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod tls;
pub mod transport;
mod verifier;

pub use credentials::{
    CredentialError, CredentialFiles, CredentialWatch, Credentials, CurrentCredentials,
};
pub use dialer::{DialError, Dialer};
pub use directory::{Directory, NodeEntry};
pub use greeter::{GreetError, Greeter};
pub use listener::{Answers, PeerServer};
pub use name::{NameError, PeerName};
pub use standpoint::{NodeKey, NodeKeyError, Standpoint, Witness};
pub use tls::{TlsAcceptor, TlsConnector};
