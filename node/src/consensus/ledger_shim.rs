//! Stand-in until `federation::ledger::Ledger` is there.
use aws_lc_rs::digest::{SHA256, digest};
use exequatur_federation::ledger::{
    Batch, Digest, EnvelopeError, Fixed, Kind, LogId, Membership, Outcome, envelope,
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotHead {
    pub last: Option<LogId>,
    pub membership_at: Option<LogId>,
    pub membership: Membership,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    digest: Digest,
}

pub type SnapshotError = EnvelopeError;

impl Ledger {
    pub fn new(genesis: Digest) -> Self {
        Self { digest: genesis }
    }
    pub fn apply(&mut self, index: u64, batch: &Batch) -> Vec<Outcome> {
        let mut bytes = self.digest.0.to_vec();
        bytes.extend_from_slice(&index.to_be_bytes());
        bytes.extend_from_slice(batch.sealed());
        self.digest = sha(&bytes);
        batch.proposals().map(|_| Outcome::Applied).collect()
    }
    pub fn digest(&self) -> Digest {
        self.digest
    }
    pub fn snapshot(&self, head: &SnapshotHead) -> Vec<u8> {
        let mut bytes = envelope::seal_value(Kind::SnapshotHead, head);
        bytes.extend(envelope::seal_value(Kind::SnapshotTable, &self.digest));
        let end = sha(&bytes);
        bytes.extend(envelope::seal_value(Kind::SnapshotEnd, &end));
        bytes
    }
    pub fn restore(bytes: &[u8], _genesis: Digest) -> Result<(SnapshotHead, Self), SnapshotError> {
        let max = envelope::BODY_BYTES_MAX;
        let (_, rest) = envelope::open(bytes, max)?;
        let head = envelope::open_value(Kind::SnapshotHead, cut(bytes, rest))?;
        let (_, after) = envelope::open(rest, max)?;
        let digest = envelope::open_value(Kind::SnapshotTable, cut(rest, after))?;
        let end: Digest = envelope::open_value(Kind::SnapshotEnd, after)?;
        if end != sha(cut(bytes, after)) {
            return Err(EnvelopeError::Checksum);
        }
        Ok((head, Self { digest }))
    }
}

fn cut<'a>(bytes: &'a [u8], rest: &[u8]) -> &'a [u8] {
    bytes.get(..bytes.len() - rest.len()).unwrap_or_default()
}

fn sha(bytes: &[u8]) -> Digest {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    Fixed(out)
}
