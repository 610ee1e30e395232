//! What would happen to a request, for whoever writes the law: the same checks in the same order
//! as [`decide`](super::decide), without a client's credentials and, where no keys are given,
//! without a signature. A rehearsal issues nothing: what it returns cannot be recorded or signed.

use std::sync::Arc;

use super::{
    Asked, ExchangeRequest, Surroundings, actor, narrow, precheck, projection_input, requester,
};
use crate::{
    authenticate::AuthenticatedClient,
    client::Client,
    freshness::{Moment, ViewFacts},
    jose::{Algorithm, JwkSet, JwsError, KeyId, UnverifiedJws},
    law::Law,
    oauth::TokenType,
    refusal::{self, Refusal},
    residency::{Explanation, explain},
    revocation::{ListId, StatusReference},
    subject::PairwiseKey,
    time::UnixTime,
    token::{AccessToken, TokenId},
    verified::{Admitted, IssuerKeys, Party, Presented, Role, admit, admit_unsigned},
};

/// What a rehearsal goes by.
#[derive(Clone, Debug)]
pub struct RehearsalFacts<'a> {
    /// The time that it is taken to be.
    pub now: UnixTime,
    /// The subject token.
    pub subject: Result<UnverifiedJws, JwsError>,
    /// The keys of its issuer; without them its signature is not checked.
    pub keys: Option<Arc<JwkSet>>,
    /// A key for pseudonyms. Unless it is the region's own, they are examples.
    pub pairwise: &'a PairwiseKey,
}

/// What would happen.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    /// The token that would be issued, or the refusal that the client would see. `jti`, `status` and
    /// `exq` of the token are made up.
    pub outcome: Result<AccessToken, Refusal>,
    /// The provider, for whom the token speaks, and what every rule does, if the token is admitted
    /// at all. A person at home elsewhere is not unpacked here either.
    pub admitted: Option<AdmittedSubject>,
}

/// An admitted token, explained.
#[derive(Clone, Debug)]
pub struct AdmittedSubject {
    /// Name of the upstream.
    pub upstream: String,
    /// Whether it speaks for a service rather than a person.
    pub is_service: bool,
    /// What every rule does.
    pub explanation: Explanation,
}

/// Rehearses a request as if `client` had authenticated. Of actor tokens nothing is rehearsed.
#[must_use]
pub fn rehearse(
    law: &Law,
    client: &Client,
    request: &ExchangeRequest,
    facts: RehearsalFacts<'_>,
) -> Rehearsal {
    let RehearsalFacts { now, subject, keys, pairwise } = facts;
    let client = AuthenticatedClient::rehearsed(client);
    let asked = precheck(law, &client, request).and_then(without_actor);
    // The rules are explained even where the request itself cannot succeed.
    let kind = TokenType::from_urn(&request.subject_token_type);
    let admitted = match kind {
        None => Err(refusal::SUBJECT_TOKEN_TYPE_UNSUPPORTED.into()),
        Some(kind) => admit_subject(law, kind, (subject, keys), now),
    };
    let explained = admitted.as_ref().ok().map(|subject| AdmittedSubject {
        upstream: subject.upstream.name.clone(),
        is_service: matches!(subject.party, Party::Service(_)),
        explanation: explain(
            &law.rules,
            subject.token.claims(),
            &projection_input(subject, pairwise, now),
        ),
    });
    let outcome = asked.and_then(|asked| {
        let subject = admitted?;
        requester::check(&client, &subject)?;
        actor::check_may_act(client.client(), &subject, None)?;
        requester::check_tenants(&client, asked.resource, &subject)?;
        // What a node would draw or load is made up: nothing of it leaves but with the token.
        let surroundings = Surroundings {
            now,
            token_id: TokenId::new([0; 16]),
            status: StatusReference { list: ListId::new(0), index: 0 },
            view: ViewFacts::alone(Moment::default()),
            key: &KeyId::new("rehearsal"),
            algorithm: Algorithm::Es256,
            pairwise,
            sealing: None,
        };
        let target = (asked.resource, request.scope.as_deref());
        narrow(law, &client, target, (subject, None), surroundings).map(|a| a.token)
    });
    Rehearsal { outcome, admitted: explained }
}

fn without_actor(asked: Asked<'_>) -> Result<Asked<'_>, Refusal> {
    match asked.actor_type {
        None => Ok(asked),
        Some(_) => Err(refusal::ACTOR_TOKEN_TYPE_UNSUPPORTED.into()),
    }
}

fn admit_subject(
    law: &Law,
    kind: TokenType,
    (subject, keys): (Result<UnverifiedJws, JwsError>, Option<Arc<JwkSet>>),
    now: UnixTime,
) -> Result<Admitted<'_>, Refusal> {
    match keys {
        None => admit_unsigned(law, kind, subject, now),
        Some(keys) => {
            let keys = IssuerKeys::Available(keys);
            admit(law, Role::Subject, kind, (Presented::Read(subject), Some(&keys)), now)
        }
    }
}

#[cfg(test)]
#[path = "rehearsal_test.rs"]
mod tests;
