//! What an operator revokes: read from its message, and the seam behind which it is done.
//!
//! Nothing waits here for other actions: whoever logs a person out must not stand behind a change of
//! voters. A value of a person is in nothing that is printed, logged or kept.

use std::{future::Future, pin::Pin};

use exequatur_federation::{
    client::ClientId,
    ledger::Objection,
    operator::Operator,
    revocation::{ListId, Measure, OrderError},
    time::Ttl,
};
use zeroize::Zeroizing;

use super::{
    RequestId,
    cause::{Cause, Unmet},
    wire::{self, revoke_request::Target},
};
use crate::{audit::RecordError, consensus::control::ControlError, entropy::EntropyError};

/// What is revoked, and how. It has no `Debug`: a value may be a person's.
#[derive(Clone)]
pub struct Revocation {
    /// What.
    pub what: What,
    /// How.
    pub measure: Measure,
}

/// What is revoked.
#[derive(Clone)]
pub enum What {
    /// A client of the region.
    Client(ClientId),
    /// A status list of the region.
    List(ListId),
    /// A region, by its name.
    Region(String),
    /// A login session.
    Session(Party),
    /// A person, or a service.
    Subject(Party),
    /// A token of the region, as text.
    Token(Zeroizing<String>),
}

/// A value of a global provider.
#[derive(Clone)]
pub struct Party {
    /// Name of the `[[upstream]]`.
    pub upstream: String,
    /// Its tenant.
    pub tenant: Option<String>,
    /// The value.
    pub value: Zeroizing<String>,
    /// Whether it is a service's.
    pub service: bool,
}

/// A revocation that is in force in the region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// What the region finds it by; empty for a region.
    pub receipt: String,
    /// Whether the federation holds it already.
    pub agreed: bool,
    /// Whether the provider may give out tokens of the same login again.
    pub may_return: bool,
}

/// Why nothing is revoked.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// It cannot be asked for.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// The text is no token of the region.
    #[error("this is no token that the region issued: ask the region that `iss` names")]
    UnknownToken,
    /// The federation has no region of this name.
    #[error("the federation has no such region: `federation.toml` lists them")]
    UnknownRegion,
    /// The ledger refuses.
    #[error("the ledger refuses it: {0}")]
    Refused(Objection),
    /// It cannot be recorded.
    #[error("nothing was done, as it cannot be recorded: {0}")]
    Record(#[from] RecordError),
    /// The record cannot be written.
    #[error("nothing was done, as its record cannot be written")]
    Json(#[from] serde_json::Error),
    /// No receipt can be drawn.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The federation did not take it.
    #[error(transparent)]
    Control(#[from] ControlError),
}

/// The answer, still to come.
pub type Revoking<'a> = Pin<Box<dyn Future<Output = Result<Revoked, RevokeError>> + Send + 'a>>;

/// Carries out what an operator revokes: recorded, durable, proposed.
pub trait Revoker: Send + Sync {
    /// Does it in the name of `operator`.
    fn revoke<'a>(
        &'a self,
        operator: &'a Operator,
        id: RequestId,
        revocation: &'a Revocation,
    ) -> Revoking<'a>;
}

/// Reads a message.
pub(super) fn read(message: wire::RevokeRequest) -> Result<(RequestId, Revocation), Unmet> {
    let malformed = |why: &str| Unmet::new(Cause::Malformed, why);
    let id = RequestId::from_bytes(&message.request_id)
        .ok_or_else(|| malformed("the request id must have 16 bytes"))?;
    let measure = match (message.mode(), message.seconds) {
        (wire::RevokeMode::Cutoff, None) => Measure::Cutoff,
        (wire::RevokeMode::Block, Some(seconds)) => Measure::Block(Ttl::from_seconds(seconds)),
        (wire::RevokeMode::Lift, None) => Measure::Lift,
        _ => return Err(malformed("the mode and its length do not go together")),
    };
    let what = match message.target.ok_or_else(|| malformed("the request names nothing"))? {
        Target::Token(text) => What::Token(text.into()),
        Target::Session(party) => What::Session(self::party(party)),
        Target::Subject(party) => What::Subject(self::party(party)),
        Target::Client(id) => What::Client(ClientId::new(&id)),
        Target::List(bits) => What::List(ListId::new(bits)),
        Target::Region(name) => What::Region(name),
    };
    Ok((id, Revocation { what, measure }))
}

fn party(message: wire::Party) -> Party {
    let wire::Party { upstream, tenant, value, service } = message;
    Party { upstream, tenant, value: value.into(), service }
}

impl Revocation {
    /// The message, for the client.
    pub(super) fn to_message(&self, id: RequestId) -> wire::RevokeRequest {
        let party = |party: &Party| wire::Party {
            upstream: party.upstream.clone(),
            tenant: party.tenant.clone(),
            value: party.value.to_string(),
            service: party.service,
        };
        let (mode, seconds) = match self.measure {
            Measure::Cutoff => (wire::RevokeMode::Cutoff, None),
            Measure::Block(length) => (wire::RevokeMode::Block, Some(length.seconds())),
            Measure::Lift => (wire::RevokeMode::Lift, None),
        };
        let target = match &self.what {
            What::Client(id) => Target::Client(id.to_string()),
            What::List(list) => Target::List(list.bits()),
            What::Region(name) => Target::Region(name.clone()),
            What::Session(session) => Target::Session(party(session)),
            What::Subject(subject) => Target::Subject(party(subject)),
            What::Token(text) => Target::Token(text.to_string()),
        };
        wire::RevokeRequest {
            request_id: id.to_bytes(),
            mode: mode.into(),
            seconds,
            target: Some(target),
        }
    }
}

impl From<RevokeError> for Unmet {
    fn from(error: RevokeError) -> Self {
        let cause = match error {
            RevokeError::Control(error) => return error.into(),
            RevokeError::Order(_) | RevokeError::UnknownToken | RevokeError::UnknownRegion => {
                Cause::NotRevocable
            }
            RevokeError::Refused(_) => Cause::Refused,
            RevokeError::Record(_) | RevokeError::Json(_) => Cause::AuditUnavailable,
            RevokeError::Entropy(_) => Cause::Local,
        };
        Self::new(cause, error)
    }
}
