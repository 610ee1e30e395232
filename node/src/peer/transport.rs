//! The seam between nodes: how a connection comes to be, who is certified at its other end, and
//! what names it. Production has mutual TLS; a simulator may assert what TLS proves.

use std::io;

use exequatur_federation::{
    ledger::Fixed,
    membership::{Certified, NodeId},
};
use tokio::io::{AsyncRead, AsyncWrite};

/// A stream of bytes between two nodes.
pub trait PeerIo: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<Io: AsyncRead + AsyncWrite + Unpin + Send + 'static> PeerIo for Io {}

/// A connection whose other end is certified; it has not greeted yet.
#[derive(Debug)]
pub struct Secured<Io> {
    /// The stream.
    pub io: Io,
    /// Whom the other end's certificate names.
    pub certified: Certified,
    /// Names this connection and no other; both ends know it and nobody else.
    pub channel: Fixed<32>,
}

/// Makes connections to nodes.
pub trait PeerConnector: Send + Sync + 'static {
    /// One connection.
    type Io: PeerIo;

    /// Connects to `node`; whoever answers is certified to be it.
    ///
    /// # Errors
    /// It cannot be reached, or who answers is somebody else.
    fn connect(
        &self,
        node: NodeId,
    ) -> impl Future<Output = Result<Secured<Self::Io>, ConnectError>> + Send;
}

/// Secures connections that others make.
pub trait PeerAcceptor<Raw>: Send + Sync + 'static {
    /// One connection.
    type Io: PeerIo;

    /// Secures the connection; who made it is certified to be some node.
    ///
    /// # Errors
    /// It did not come to be, or who made it is no node.
    fn secure(&self, raw: Raw)
    -> impl Future<Output = Result<Secured<Self::Io>, io::Error>> + Send;
}

/// Why there is no connection to a node.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No address is known.
    #[error("node {node} has no address: `federation.toml` has no `[[region.node]]` of this id")]
    Unknown {
        /// The node.
        node: NodeId,
    },
    /// The address does not answer, or securing the connection failed.
    #[error("node {node} at `{address}` cannot be reached")]
    Io {
        /// The node.
        node: NodeId,
        /// Where.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// TLS could not be set up on this side.
    #[error("TLS towards node {node} cannot be set up")]
    Tls {
        /// The node.
        node: NodeId,
        /// Why.
        source: rustls::Error,
    },
}
