//! How the parties of a token are named: people by pseudonyms, services and clients by name.

use crate::{
    client::ClientId,
    subject::{PairwiseKey, Subject},
    trust::Upstream,
    verified::{Admitted, Party},
};

/// How parties are named in tokens for one sector.
#[derive(Clone, Copy)]
pub(super) struct Pseudonyms<'a> {
    pub(super) pairwise: &'a PairwiseKey,
    pub(super) sector: &'a str,
}

impl Pseudonyms<'_> {
    /// A person's pseudonym, or the name of a service.
    pub(super) fn party(&self, admitted: &Admitted<'_>) -> String {
        match &admitted.party {
            Party::Person(_) => self.pairwise.subject(self.sector, &subject_of(admitted)),
            Party::Service(id) => service_subject(admitted.upstream, id),
        }
    }
}

/// Whose pseudonyms are derived: the person, or the service by its client id.
pub(super) fn subject_of<'s>(subject: &'s Admitted<'_>) -> Subject<'s> {
    Subject {
        issuer: &subject.upstream.issuer,
        tenant: subject.upstream.tenant.as_deref(),
        value: subject.party.value(),
    }
}

/// The name that a service of a provider has in tokens. Names of upstreams and tenants hold no
/// colon, so no two services share one.
fn service_subject(upstream: &Upstream, id: &str) -> String {
    match &upstream.tenant {
        Some(tenant) => format!("client:{}:{tenant}:{id}", upstream.name),
        None => format!("client:{}:{id}", upstream.name),
    }
}

/// The name that a client has in tokens. It is in no person's namespace: pseudonyms of people are
/// base64url and hold no colon. It is no service's: ids of clients hold none either.
pub(super) fn client_subject(client: &ClientId) -> String {
    format!("client:{client}")
}
