//! The only holder of the signers of tokens and answers.
//!
//! A token is signed only for a [`Recorded`] authorization, and only a durable write makes one:
//! issuing without a record does not compile.

use std::sync::Arc;

use exequatur_federation::{
    exchange::Authorization,
    introspection::Introspection,
    jose::{Algorithm, JwkSet, KeyId, SignedToken, SigningInput},
    law::Law,
    ledger::{KeyPurpose, OwnKey},
    oauth::TYP_INTROSPECTION,
    time::UnixTime,
};

use prometheus_client::metrics::gauge::Gauge;

use crate::{
    audit::Recorded,
    clock::Clock,
    hsm::{SignError, Signer, Signing},
    telemetry::metrics::SignerMeters,
};

/// Signs access tokens and introspection answers.
pub struct Issuer {
    access_token: Arc<dyn Signer>,
    response: Arc<dyn Signer>,
    published: JwkSet,
    meters: SignerMeters,
    clock: Arc<dyn Clock>,
}

/// One signature in the gauge, also when nobody waits for it any more.
struct Pending<'m>(&'m Gauge);

impl<'m> Pending<'m> {
    fn begin(gauge: &'m Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Why nothing was signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// The authorization is for a key that is not the one that signs now.
    #[error("the token was recorded for key {expected}, and key {got} signs")]
    KeyChanged {
        /// The key of the record.
        expected: KeyId,
        /// The key that signs.
        got: KeyId,
    },
    /// The payload could not be written.
    #[error("the payload could not be written as JSON")]
    Payload,
    /// The key store gave no signature.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// A token that may be sent, with what the answer says of it.
#[derive(Debug)]
pub struct Issued {
    /// The token.
    pub token: SignedToken,
    /// The authorization that it carries out.
    pub authorization: Box<Authorization>,
}

impl Issuer {
    /// An issuer with its two keys: of access tokens, and of introspection answers.
    #[must_use]
    pub fn new(
        [access_token, response]: [Arc<dyn Signer>; 2],
        meters: SignerMeters,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let public = |signer: &Arc<dyn Signer>| (signer.algorithm(), signer.public_key().clone());
        let published = JwkSet::from_keys([public(&access_token), public(&response)]);
        Self { access_token, response, published, meters, clock }
    }

    /// Id of the key that signs access tokens.
    #[must_use]
    pub fn key(&self) -> &KeyId {
        self.access_token.key_id()
    }

    /// Algorithm of the key that signs access tokens.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.access_token.algorithm()
    }

    /// Algorithm of the key that signs introspection answers.
    #[must_use]
    pub fn response_algorithm(&self) -> Algorithm {
        self.response.algorithm()
    }

    /// The public keys that verify what is signed here.
    #[must_use]
    pub const fn published(&self) -> &JwkSet {
        &self.published
    }

    /// The keys that this region signs with, as the ledger holds keys.
    #[must_use]
    pub fn own_keys(&self) -> Vec<OwnKey> {
        let keys =
            [(KeyPurpose::AccessToken, &self.access_token), (KeyPurpose::Response, &self.response)];
        let own = |(purpose, signer): (_, &Arc<dyn Signer>)| {
            let own = OwnKey::new(purpose, signer.public_key());
            if own.is_none() {
                let kid = signer.key_id();
                tracing::error!(%kid, "the ledger holds no key of this kind: other regions cannot judge what it signs");
            }
            own
        };
        keys.into_iter().filter_map(own).collect()
    }

    /// Signs a recorded token.
    ///
    /// # Errors
    /// See [`IssueError`]; the record stands, and the caller records the failure.
    pub async fn issue(
        &self,
        recorded: Recorded<Box<Authorization>>,
    ) -> Result<Issued, (Box<Authorization>, IssueError)> {
        let authorization = recorded.into_inner();
        match self.sign(&authorization).await {
            Ok(token) => Ok(Issued { token, authorization }),
            Err(error) => Err((authorization, error)),
        }
    }

    async fn sign(&self, authorization: &Authorization) -> Result<SignedToken, IssueError> {
        let (expected, got) = (&authorization.key, self.key());
        if expected != got {
            return Err(IssueError::KeyChanged { expected: expected.clone(), got: got.clone() });
        }
        let input = &authorization.signing_input;
        let signature = self.measured(self.access_token.sign(input.as_bytes())).await?;
        Ok(input.with_signature(&signature))
    }

    /// Signs an introspection answer for `caller` (RFC 9701 section 5); `times` are now, and since
    /// when everything that was revoked is known.
    ///
    /// # Errors
    /// See [`IssueError`].
    pub async fn sign_introspection(
        &self,
        law: &Law,
        (caller, answer): (&str, &Introspection),
        times: (UnixTime, UnixTime),
    ) -> Result<SignedToken, IssueError> {
        let payload = answer.to_signed_payload(law, caller, times);
        let (algorithm, key) = (self.response.algorithm(), self.response.key_id());
        let input = SigningInput::new(algorithm, TYP_INTROSPECTION, key, &payload)
            .map_err(|_| IssueError::Payload)?;
        let signature = self.measured(self.response.sign(input.as_bytes())).await?;
        Ok(input.with_signature(&signature))
    }

    async fn measured(&self, signing: Signing<'_>) -> Result<Vec<u8>, SignError> {
        let started = self.clock.monotonic();
        let pending = Pending::begin(&self.meters.pending);
        let signed = signing.await;
        drop(pending);
        match &signed {
            Ok(_) => {
                let took = self.clock.monotonic().saturating_sub(started);
                self.meters.sign_seconds.observe(took.as_secs_f64());
            }
            Err(_) => {
                self.meters.failures.inc();
            }
        }
        signed
    }
}
