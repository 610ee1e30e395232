//! A key in a slot that signs: by the pool, guarded by a breaker, and never without a check of
//! what came back.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use cryptoki::{object::ObjectHandle, session::Session};
use exequatur_federation::jose::{Algorithm, KeyId, PublicKey, sha256};

use super::{
    super::{Outage, SignError, Signer, Signing},
    breaker::Breaker,
    context::{Access, LiveSession},
    device::{Connection, Device, DeviceError, Input, KeyReference},
    keys, mechanisms,
    session_pool::SessionPool,
    slot::OpenSlot,
};
use crate::clock::Clock;

/// What the signers of one key store share.
pub(super) struct Machinery {
    pub(super) pool: SessionPool,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) rejected: AtomicU64,
}

/// A private key in the HSM and its public half, pinned when the key was found.
pub(super) struct Pkcs11Signer {
    key: Arc<KeyReference>,
    key_id: KeyId,
    public_key: PublicKey,
    breaker: Breaker,
    machinery: Arc<Machinery>,
}

impl Pkcs11Signer {
    pub(super) fn new(key: KeyReference, public_key: PublicKey, machinery: Arc<Machinery>) -> Self {
        let key_id = public_key.thumbprint();
        Self { key: Arc::new(key), key_id, public_key, breaker: Breaker::default(), machinery }
    }

    /// The label and algorithm under which the key was found.
    pub(super) fn key(&self) -> &KeyReference {
        &self.key
    }

    /// Whether calls are let through.
    pub(super) fn is_available(&self) -> bool {
        self.breaker.is_closed()
    }

    async fn sign_guarded(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let Machinery { pool, clock, .. } = &*self.machinery;
        if !self.breaker.admits(clock.monotonic()) {
            return Err(SignError::Unavailable(Outage::BreakerOpen));
        }
        let input = input(self.key.algorithm, message);
        let outcome = match pool.sign(Arc::clone(&self.key), input).await {
            Ok(signature) => self.verified(message, signature),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(_) => self.breaker.succeeded(),
            // A full queue is load, not a fault of the device, and a defect is no outage.
            Err(SignError::Unavailable(Outage::QueueFull) | SignError::Unusable(_)) => {}
            Err(SignError::Unavailable(_) | SignError::Rejected) => {
                self.breaker.failed(clock.monotonic());
            }
        }
        outcome
    }

    fn verified(&self, message: &[u8], signature: Vec<u8>) -> Result<Vec<u8>, SignError> {
        if self.public_key.verify(self.key.algorithm, message, &signature) {
            return Ok(signature);
        }
        self.machinery.rejected.fetch_add(1, Ordering::Relaxed);
        tracing::error!(
            key = %self.key.label,
            kid = %self.key_id,
            "the HSM's signature does not verify and was withheld: the slot signs with another key"
        );
        Err(SignError::Rejected)
    }
}

impl Signer for Pkcs11Signer {
    fn key_id(&self) -> &KeyId {
        &self.key_id
    }

    fn algorithm(&self) -> Algorithm {
        self.key.algorithm
    }

    fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> Signing<'a> {
        Box::pin(self.sign_guarded(message))
    }
}

/// What the device is given to sign a message.
pub(super) fn input(algorithm: Algorithm, message: &[u8]) -> Input {
    match algorithm {
        Algorithm::EdDsa => Input::Message(message.to_vec()),
        Algorithm::Es256 | Algorithm::Ps256 | Algorithm::Rs256 => Input::Digest(sha256(message)),
    }
}

/// A slot as the pool sees it.
pub(super) struct SlotDevice(pub(super) Arc<OpenSlot>);

impl Device for SlotDevice {
    fn connect(&self) -> Result<Box<dyn Connection>, DeviceError> {
        let session = self.0.session(Access::Read)?;
        Ok(Box::new(SlotConnection { session, handles: Vec::new() }))
    }
}

/// A session and the handles that are valid in it.
struct SlotConnection {
    session: LiveSession,
    /// A region has a handful of keys, so a list is searched faster than a tree.
    handles: Vec<([u8; 32], ObjectHandle)>,
}

impl Connection for SlotConnection {
    fn sign(&mut self, key: &KeyReference, input: &Input) -> Result<Vec<u8>, DeviceError> {
        let session = self.session.enter()?;
        let handle = handle(&session, &mut self.handles, key)?;
        mechanisms::sign(&session, handle, key.algorithm, input)
    }
}

fn handle(
    session: &Session,
    handles: &mut Vec<([u8; 32], ObjectHandle)>,
    key: &KeyReference,
) -> Result<ObjectHandle, DeviceError> {
    if let Some((_, handle)) = handles.iter().find(|(id, _)| *id == key.id) {
        return Ok(*handle);
    }
    let handle = keys::find_again(session, key)?;
    handles.push((key.id, handle));
    Ok(handle)
}
