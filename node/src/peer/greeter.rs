//! The greeting of two nodes on a secured connection: one frame each way, the initiator's first.
//! On the wire `[length u16][frame]`, the length in network byte order.

use std::{io, sync::Arc};

use exequatur_federation::{
    ledger::EnvelopeError,
    membership::{End, HELLO_BYTES_MAX, Hello, HelloRefused, Judgement, NodeId},
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{
    standpoint::{NodeKey, NodeKeyError, Standpoint, Witness},
    transport::Secured,
};

/// Greets other nodes and judges their greetings.
pub struct Greeter {
    /// What this node knows.
    pub standpoint: Arc<dyn Standpoint>,
    /// Its key.
    pub key: Arc<dyn NodeKey>,
    /// What it has seen of others.
    pub witness: Arc<Witness>,
}

/// Why two nodes do not speak.
#[derive(Debug, thiserror::Error)]
pub enum GreetError {
    /// The connection ended.
    #[error("the connection ended during the greeting")]
    Io(#[from] io::Error),
    /// The other end sent no greeting.
    #[error("what came is no greeting: {0}")]
    Frame(EnvelopeError),
    /// The other end does not speak with this node.
    #[error("the other node refuses this one: {}", reason(*.0))]
    RefusedByPeer(HelloRefused),
    /// This node does not speak with the other end.
    #[error("this node refuses the other: {}", reason(*.0))]
    Refused(HelloRefused),
    /// This node cannot prove who it is.
    #[error(transparent)]
    Key(#[from] NodeKeyError),
}

/// What an operator can do about a refusal.
const fn reason(refused: HelloRefused) -> &'static str {
    match refused {
        HelloRefused::Certificate => {
            "its certificate names another node or region than it says; install the certificate \
             that belongs to its data directory"
        }
        HelloRefused::Cluster => "it belongs to another federation or epoch",
        HelloRefused::Genesis => "it has pinned another genesis",
        HelloRefused::Law => {
            "its `federation.toml` is another and was not announced; install the same file on both"
        }
        HelloRefused::Member => "it is not a member, or not any more",
        HelloRefused::Proof => "it does not hold the identity key of that member",
        HelloRefused::Level => "it does not know the feature level in force; upgrade it",
        HelloRefused::Recipient => "it was meant for another node; check the addresses",
        HelloRefused::RolledBack => {
            "it has forgotten what it had acknowledged; its data was restored from a backup or \
             another process runs under its id: rejoin as a new node"
        }
    }
}

impl Greeter {
    /// Greets as the end that connected to `node`.
    pub(super) async fn initiate<Io>(
        &self,
        secured: &mut Secured<Io>,
        node: NodeId,
    ) -> Result<(), GreetError>
    where
        Io: AsyncRead + AsyncWrite + Unpin,
    {
        let hello = self.hello(End::Initiator, secured, node)?;
        write(&mut secured.io, &hello.seal()).await?;
        let frame = read(&mut secured.io).await?;
        if let Ok(refused) = HelloRefused::open(&frame) {
            return Err(GreetError::RefusedByPeer(refused));
        }
        let theirs = Hello::open(&frame).map_err(GreetError::Frame)?;
        self.judge(&theirs, End::Responder, secured, &hello).map_err(GreetError::Refused)
    }

    /// Greets as the end that accepted a connection of whoever is certified.
    pub(super) async fn respond<Io>(&self, secured: &mut Secured<Io>) -> Result<(), GreetError>
    where
        Io: AsyncRead + AsyncWrite + Unpin,
    {
        let frame = read(&mut secured.io).await?;
        let theirs = Hello::open(&frame).map_err(GreetError::Frame)?;
        let hello = self.hello(End::Responder, secured, secured.certified.node)?;
        let judged = self.judge(&theirs, End::Initiator, secured, &hello);
        let answer = judged.map_or_else(|refused| refused.seal(), |()| hello.seal());
        write(&mut secured.io, &answer).await?;
        judged.map_err(GreetError::Refused)
    }

    fn hello<Io>(&self, end: End, at: &Secured<Io>, to: NodeId) -> Result<Hello, NodeKeyError> {
        let greeting = self.standpoint.greeting(to);
        let signature = self.key.sign(&greeting.signing_bytes(end, &at.channel))?;
        Ok(Hello { greeting, key: self.key.identity(), signature })
    }

    fn judge<Io>(
        &self,
        theirs: &Hello,
        end: End,
        at: &Secured<Io>,
        own: &Hello,
    ) -> Result<(), HelloRefused> {
        let node = at.certified.node;
        let judgement = Judgement {
            own: &own.greeting,
            level: self.standpoint.level(),
            certified: at.certified,
            standing: self.standpoint.standing(node),
            law_announced: self.standpoint.is_announced(&theirs.greeting.law),
            witnessed: self.witness.of(node),
        };
        judgement.of(theirs, end, &at.channel)?;
        self.witness.started(node, theirs.greeting.starts);
        Ok(())
    }
}

async fn write<Io: AsyncWrite + Unpin>(io: &mut Io, frame: &[u8]) -> io::Result<()> {
    let length = u16::try_from(frame.len()).map_err(io::Error::other)?;
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend_from_slice(frame);
    io.write_all(&bytes).await?;
    io.flush().await
}

async fn read<Io: AsyncRead + Unpin>(io: &mut Io) -> Result<Vec<u8>, GreetError> {
    let length = usize::from(io.read_u16().await?);
    if length > HELLO_BYTES_MAX {
        let error = EnvelopeError::Size { got: length, max: HELLO_BYTES_MAX };
        return Err(GreetError::Frame(error));
    }
    let mut frame = vec![0; length];
    io.read_exact(&mut frame).await?;
    Ok(frame)
}

impl std::fmt::Debug for Greeter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Greeter").field("witness", &self.witness).finish_non_exhaustive()
    }
}
