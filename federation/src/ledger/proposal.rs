//! A command with who proposes it: what travels to the leader and stands in the log.
//!
//! Body of its frame: the header, the command, and, unless the command needs none, the signature of
//! the proposing region's identity key. Each has one form; another spelling is refused.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    Command, EnvelopeError, Fixed, Kind, Signature,
    envelope::{self, Envelope, FORMAT},
};
use crate::{
    membership::{ClusterId, NodeId},
    region::RegionNumber,
    replicable,
    time::UnixTime,
};

/// Largest frame of one proposal: 128 entries of this size and their frames fit one message.
pub const PROPOSAL_BYTES_MAX: usize = 16 * 1024;

/// Says what is signed, so that no other document's signature is one of a proposal.
const DOMAIN: &[u8] = b"exequatur ledger proposal\0";

replicable! {
    /// Who proposes, and when.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Header {
        /// The region.
        pub region: RegionNumber,
        /// Its node.
        pub node: NodeId,
        /// Counts the node's proposals, so that one that is sent again is applied once. Not looked
        /// at for a revocation, which is idempotent by content, nor for a tick.
        pub serial: u64,
        /// Feature level whose rules the node goes by.
        pub level: u16,
        /// The node's clock.
        pub proposed_at: UnixTime,
    }
}

replicable! {
    /// A command of a region.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Proposal {
        /// Who proposes.
        pub header: Header,
        /// What.
        pub command: Command,
        /// By the region's identity key; `None` exactly where [`Command::is_signed`] says so.
        pub signature: Option<Signature>,
    }
}

/// Which ledger a signature is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LedgerId {
    /// The federation.
    pub cluster: ClusterId,
    /// Its epoch.
    pub epoch: u32,
}

impl Proposal {
    /// A proposal of a command that needs no signature; `None` for one that does.
    #[must_use]
    pub fn unsigned(header: Header, command: Command) -> Option<Self> {
        (!command.is_signed()).then_some(Self { header, command, signature: None })
    }

    /// What the region's identity key signs to propose `command`.
    #[must_use]
    pub fn signing_bytes(ledger: LedgerId, header: &Header, command: &Command) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(DOMAIN);
        bytes.push(FORMAT);
        bytes.extend_from_slice(ledger.cluster.bytes());
        bytes.extend_from_slice(&ledger.epoch.to_be_bytes());
        bytes.extend_from_slice(&command.kind().number().to_be_bytes());
        write(&mut bytes, header);
        write_command(&mut bytes, command);
        bytes
    }

    /// The frame.
    #[must_use]
    pub fn seal(&self) -> Vec<u8> {
        let mut frame = Vec::with_capacity(128);
        self.seal_into(&mut frame);
        frame
    }

    /// Appends the frame.
    pub fn seal_into(&self, out: &mut Vec<u8>) {
        let mut body = Vec::with_capacity(128);
        write(&mut body, &self.header);
        write_command(&mut body, &self.command);
        if let Some(signature) = &self.signature {
            body.extend_from_slice(signature.bytes());
        }
        envelope::seal_into(out, self.command.kind(), &body);
    }

    /// Takes the first proposal from `bytes` and gives what follows it.
    ///
    /// # Errors
    /// There is no frame, not one of a command, or its body is not in its one form.
    pub fn open(bytes: &[u8]) -> Result<(Self, &[u8]), EnvelopeError> {
        let (frame, rest) = envelope::open(bytes, PROPOSAL_BYTES_MAX)?;
        let proposal = Self::from_body(&frame)?;
        // One value has one text: a second spelling would be a second entry of the same meaning.
        let length = bytes.len().saturating_sub(rest.len());
        if Some(proposal.seal().as_slice()) != bytes.get(..length) {
            return Err(EnvelopeError::Body);
        }
        Ok((proposal, rest))
    }

    fn from_body(frame: &Envelope<'_>) -> Result<Self, EnvelopeError> {
        let (header, rest) = read::<Header>(frame.body)?;
        let (command, rest) = read_command(frame.kind, rest)?;
        let signature = if command.is_signed() {
            let bytes: [u8; 64] = rest.try_into().map_err(|_| EnvelopeError::Body)?;
            Some(Fixed(bytes))
        } else if rest.is_empty() {
            None
        } else {
            return Err(EnvelopeError::Body);
        };
        Ok(Self { header, command, signature })
    }
}

/// Appends the one form of a value.
pub(crate) fn write<T: Serialize>(out: &mut Vec<u8>, value: &T) {
    // Serialising into memory fails only for values that are no plain data; none here is.
    if let Ok(bytes) = postcard::to_stdvec(value) {
        out.extend_from_slice(&bytes);
    }
}

/// Reads a value and gives what follows it.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8]), EnvelopeError> {
    postcard::take_from_bytes(bytes).map_err(|_| EnvelopeError::Body)
}

fn write_command(out: &mut Vec<u8>, command: &Command) {
    match command {
        Command::Genesis(c) => write(out, c),
        Command::Revoke(c) => write(out, c),
        Command::Tick(c) => write(out, c),
        Command::PublishKey(c) => write(out, c),
        Command::AcknowledgeKey(c) => write(out, c),
        Command::ActivateKey(c) => write(out, c),
        Command::RetireKey(c) => write(out, c),
        Command::RevokeKey(c) => write(out, c),
        Command::AnchorCheckpoint(c) => write(out, c),
        Command::Cosign(c) => write(out, c),
        Command::AnnounceConfig(c) => write(out, c),
        Command::ActivateConfig(c) => write(out, c),
        Command::SetRegionState(c) => write(out, c),
        Command::RevokeRegion(c) => write(out, c),
        Command::Join(c) => write(out, c),
        Command::Leave(c) => write(out, c),
        Command::RaiseLevel(c) => write(out, c),
    }
}

fn read_command(kind: Kind, bytes: &[u8]) -> Result<(Command, &[u8]), EnvelopeError> {
    fn as_command<T: DeserializeOwned>(
        bytes: &[u8],
        command: impl FnOnce(T) -> Command,
    ) -> Result<(Command, &[u8]), EnvelopeError> {
        read(bytes).map(|(body, rest)| (command(body), rest))
    }
    match kind {
        Kind::Genesis => as_command(bytes, Command::Genesis),
        Kind::Revoke => as_command(bytes, Command::Revoke),
        Kind::Tick => as_command(bytes, Command::Tick),
        Kind::PublishKey => as_command(bytes, Command::PublishKey),
        Kind::AcknowledgeKey => as_command(bytes, Command::AcknowledgeKey),
        Kind::ActivateKey => as_command(bytes, Command::ActivateKey),
        Kind::RetireKey => as_command(bytes, Command::RetireKey),
        Kind::RevokeKey => as_command(bytes, Command::RevokeKey),
        Kind::AnchorCheckpoint => as_command(bytes, Command::AnchorCheckpoint),
        Kind::Cosign => as_command(bytes, Command::Cosign),
        Kind::AnnounceConfig => as_command(bytes, Command::AnnounceConfig),
        Kind::ActivateConfig => as_command(bytes, Command::ActivateConfig),
        Kind::SetRegionState => as_command(bytes, Command::SetRegionState),
        Kind::RevokeRegion => as_command(bytes, Command::RevokeRegion),
        Kind::Join => as_command(bytes, Command::Join),
        Kind::Leave => as_command(bytes, Command::Leave),
        Kind::RaiseLevel => as_command(bytes, Command::RaiseLevel),
        Kind::LogEntry
        | Kind::Vote
        | Kind::LogState
        | Kind::SnapshotHead
        | Kind::SnapshotTable
        | Kind::SnapshotEnd
        | Kind::NodeTicket
        | Kind::Invite
        | Kind::Anchor
        | Kind::Hello
        | Kind::HelloRefused
        | Kind::KeyOffer
        | Kind::KeyShare => Err(EnvelopeError::Kind { got: kind.number() }),
    }
}
