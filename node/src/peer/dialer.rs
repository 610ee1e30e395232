//! Dials a node: a connection that is secured and has greeted, or an error that says why not.

use std::{sync::Arc, time::Duration};

use exequatur_federation::membership::NodeId;

use super::{
    greeter::{GreetError, Greeter},
    limits::PeerLimits,
    transport::{ConnectError, PeerConnector},
};

/// Makes connections over which calls may go.
#[derive(Debug)]
pub struct Dialer<C> {
    /// How connections come to be.
    pub connector: C,
    /// Who greets.
    pub greeter: Arc<Greeter>,
    /// What is waited for at most.
    pub limits: PeerLimits,
}

/// Why a node cannot be spoken with.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The two do not speak.
    #[error("node {node} does not speak with this one")]
    Greet {
        /// The node.
        node: NodeId,
        /// Why.
        source: GreetError,
    },
    /// A node that spoke with itself would vote twice.
    #[error("node {node} is this node")]
    Itself {
        /// The node.
        node: NodeId,
    },
    /// It took too long.
    #[error("node {node} did not answer within {limit:?}")]
    Slow {
        /// The node.
        node: NodeId,
        /// How long was waited.
        limit: Duration,
    },
}

impl<C: PeerConnector> Dialer<C> {
    /// A new connection to `node`.
    ///
    /// # Errors
    /// There is none.
    pub async fn dial(&self, node: NodeId) -> Result<C::Io, DialError> {
        if self.greeter.standpoint.greeting(node).node == node {
            return Err(DialError::Itself { node });
        }
        let dial = async {
            let mut secured = self.connector.connect(node).await?;
            let greeted = self.greeter.initiate(&mut secured, node).await;
            greeted.map_err(|source| DialError::Greet { node, source })?;
            Ok(secured.io)
        };
        let limit = self.limits.handshake;
        tokio::time::timeout(limit, dial).await.map_err(|_| DialError::Slow { node, limit })?
    }
}
