//! OAuth over HTTP: parses requests, gathers facts, lets the federation crate decide, has the
//! decision recorded and carried out, renders the answer. It holds no rule, no key and no SQL.
//!
//! One pipeline serves the three endpoints, so that none can forget a shared step: read the form,
//! authenticate the client, keep its rate, then what the endpoint does.

mod cache;
mod credentials;
pub mod form;
#[cfg(test)]
mod freshness_test;
mod introspect;
mod metadata;
mod pipeline;
pub mod rate;
mod refusal;
pub mod request_id;
mod revocations;
mod revoke;
mod router;
pub mod stack;
mod status_list;
mod token;

use std::sync::Arc;

use exequatur_federation::{
    foreign::ForeignToken, law::Law, seal::SealKeys, subject::PairwiseKey, token::RegionalToken,
    verified::VerifiedToken,
};

use crate::{
    audit::{AuditLog, CountedRefusals},
    clock::Clock,
    entropy::Entropy,
    issuer::Issuer,
    revocation::{Feed, IssuedAt, Outbox, PublishedLists, SharedView, StatusIndexes, ViewAge},
    telemetry::metrics::Metrics,
    upstream::IssuerKeys,
};

pub use cache::TokenCache;
pub(crate) use introspect::find as find_token;
pub use metadata::{Documents, DocumentsError};
pub use rate::ClientRateLimiter;
pub(crate) use refusal::ErrorBody;
pub use router::{router, unserved};

/// Everything that the endpoints of a region work with.
pub struct Facade {
    /// The region's law.
    pub law: Arc<Law>,
    /// Signs tokens and answers.
    pub issuer: Issuer,
    /// Where everything is recorded first.
    pub audit: AuditLog,
    /// Refusals of strangers, recorded as counts.
    pub counted: Arc<CountedRefusals>,
    /// Keys of global issuers.
    pub keys: Arc<IssuerKeys>,
    /// The key for pseudonyms.
    pub pairwise: PairwiseKey,
    /// The keys of what is sealed in tokens.
    pub seal: SealKeys,
    /// What new tokens say of the moment at which they are issued.
    pub issued_at: IssuedAt,
    /// What is revoked.
    pub revocations: Arc<SharedView>,
    /// How old that is.
    pub view_age: Arc<ViewAge>,
    /// The way of revocations to the federation; `None` in a region alone.
    pub outbox: Option<Outbox>,
    /// Places in status lists for new tokens.
    pub indexes: Arc<StatusIndexes>,
    /// Status lists as they are published.
    pub lists: Arc<PublishedLists>,
    /// What was revoked, for those who follow.
    pub feed: Arc<Feed>,
    /// Global tokens that were verified before.
    pub subjects: TokenCache<VerifiedToken>,
    /// Tokens of this region that were verified before.
    pub tokens: TokenCache<RegionalToken>,
    /// Tokens of other regions that were verified before.
    pub foreign: TokenCache<ForeignToken>,
    /// Requests that each client may make.
    pub rates: ClientRateLimiter,
    /// Documents that anyone may read.
    pub documents: Documents,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}
