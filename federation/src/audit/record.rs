//! What an audit record says. The public part holds no person's data; what names a person goes
//! into a part of its own, which can be erased while the tree stays verifiable.

use serde::Serialize;

use crate::{
    client::ClientId,
    exchange::Authorization,
    jose::{KeyId, base64url},
    law::Law,
    operator::Action,
    refusal::RefusalId,
    time::UnixTime,
};

/// A record before it is sealed into the log.
#[derive(Debug)]
pub struct AuditRecord {
    record: Record,
    personal: Option<Personal>,
}

/// The public part.
#[derive(Debug, Serialize)]
struct Record {
    at: UnixTime,
    request_id: Option<String>,
    #[serde(flatten)]
    event: Event,
}

/// What happened. Names are stable: auditors' queries depend on them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A token is about to be signed. Written before the signature.
    TokenAuthorized(Box<TokenAuthorized>),
    /// A recorded token could not be signed; nobody got it.
    SigningFailed {
        /// `jti` of the token.
        token_id: String,
        /// The signing key.
        kid: KeyId,
    },
    /// A recorded token was signed and not sent: the view of revocations had become stale
    /// meanwhile. Nobody got it.
    TokenWithheld {
        /// `jti` of the token.
        token_id: String,
        /// The reason.
        error_id: &'static str,
    },
    /// A request of an authenticated client was refused.
    Refused {
        /// The client.
        client: ClientId,
        /// The endpoint: `token`, `introspect` or `revoke`.
        endpoint: &'static str,
        /// The reason.
        error_id: &'static str,
    },
    /// A client proved who it is by a single-use assertion, and nothing else was recorded.
    ClientAuthenticated {
        /// The client.
        client: ClientId,
        /// The endpoint.
        endpoint: &'static str,
    },
    /// Requests were refused before a client was known, or above a client's rate: neither may buy
    /// disk writes. One record a reason and ten seconds.
    RefusedCounted {
        /// The reason.
        error_id: &'static str,
        /// How many.
        count: u64,
        /// When the first of them was refused.
        from: UnixTime,
    },
    /// A token was revoked by its client.
    TokenRevoked {
        /// `jti` of the token.
        token_id: String,
        /// The client.
        client: ClientId,
    },
    /// An operator revokes something. Written with the revocations that it takes; a person is in
    /// none of them but by digests, which are not recorded.
    OperatorRevoked {
        /// The SAN URI of a certificate, or `unix:<uid>`.
        operator: String,
        /// What kind of thing.
        kind: &'static str,
        /// Its name, where that is no person's.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// `cutoff`, `block` or `lift`.
        mode: &'static str,
        /// What the revocations are found by in the outbox.
        receipt: String,
    },
    /// An operator's action is about to take effect. Written before it.
    OperatorActing {
        /// The SAN URI of a certificate, or `unix:<uid>`.
        operator: String,
        /// What is done.
        action: Action,
        /// The node that it is done to, if it is done to one.
        #[serde(skip_serializing_if = "Option::is_none")]
        target: Option<String>,
        /// The voter whose place the target takes, if it takes one.
        #[serde(skip_serializing_if = "Option::is_none")]
        replaced: Option<String>,
        /// Whether the operator accepts that the loss of one region may stop the federation.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        accepts_reduced_survival: bool,
    },
    /// What became of an operator's action.
    OperatorActed {
        /// As in [`Self::OperatorActing`].
        operator: String,
        /// As in [`Self::OperatorActing`].
        action: Action,
        /// As in [`Self::OperatorActing`].
        #[serde(skip_serializing_if = "Option::is_none")]
        target: Option<String>,
        /// As in [`Self::OperatorActing`].
        #[serde(skip_serializing_if = "Option::is_none")]
        replaced: Option<String>,
        /// `done`, or the stable id of the cause why not.
        outcome: &'static str,
    },
    /// An action of an operator was refused before it could take effect.
    OperatorRefused {
        /// As in [`Self::OperatorActing`].
        operator: String,
        /// What was asked for.
        action: Action,
        /// As in [`Self::OperatorActing`].
        #[serde(skip_serializing_if = "Option::is_none")]
        target: Option<String>,
        /// As in [`Self::OperatorActing`].
        #[serde(skip_serializing_if = "Option::is_none")]
        replaced: Option<String>,
        /// The stable id of the cause.
        cause: &'static str,
    },
    /// A node of the region began to serve.
    NodeStarted {
        /// The product's version.
        version: &'static str,
        /// SHA-256 of the law, in base64url.
        law_sha256: String,
        /// The signing key.
        kid: KeyId,
    },
}

/// What is recorded of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TokenAuthorized {
    /// `jti`
    pub token_id: String,
    /// The client that asked.
    pub client: ClientId,
    /// The resource it is for.
    pub resource: String,
    /// The granted scopes.
    pub scope: String,
    /// The signing key.
    pub kid: KeyId,
    /// SHA-256 of what is signed, in base64url.
    pub signing_input_sha256: String,
    /// SHA-256 of the subject token, in base64url.
    pub parent_sha256: String,
    /// SHA-256 of the actor token, in base64url.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor_sha256: Option<String>,
    /// The upstream that issued the subject token.
    pub upstream: String,
    /// The tenant of that upstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Names of the claims that the token carries beside protocol claims.
    pub claims: Vec<String>,
    /// Positions of the rules that released these claims, from 0.
    pub rules: Vec<usize>,
    /// `exp`
    pub expires: UnixTime,
    /// Whether the view of revocations was stale, as the token says (`exq_stale`).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stale: bool,
    /// SHA-256 of the law, in base64url.
    pub law_sha256: String,
}

/// The part of a record that names a person.
#[derive(Serialize)]
struct Personal {
    issuer: String,
    subject: String,
    regional_subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<PersonalActor>,
}

/// Who acted for the person.
#[derive(Serialize)]
struct PersonalActor {
    issuer: String,
    subject: String,
}

impl std::fmt::Debug for Personal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Personal(redacted)")
    }
}

impl AuditRecord {
    /// A record that names nobody.
    #[must_use]
    pub const fn new(at: UnixTime, request_id: Option<String>, event: Event) -> Self {
        Self { record: Record { at, request_id, event }, personal: None }
    }

    /// The record of a token that is about to be signed.
    #[must_use]
    pub fn of_authorization(law: &Law, authorization: &Authorization, request_id: &str) -> Self {
        let token = &authorization.token;
        let effects = &authorization.projection.effects;
        let carried = |rule: usize| {
            law.rules.get(rule).is_some_and(|r| token.claims.members().contains_key(&r.to))
        };
        let released = effects.iter().filter(|e| e.cause.is_none() && carried(e.rule));
        let actor = authorization.actor.as_ref();
        let event = Event::TokenAuthorized(Box::new(TokenAuthorized {
            token_id: token.id.to_string(),
            client: token.client.clone(),
            resource: token.audience.clone(),
            scope: token.scope.clone(),
            kid: authorization.key.clone(),
            signing_input_sha256: base64url(&authorization.signing_input.digest()),
            parent_sha256: base64url(authorization.subject_token.digest()),
            actor_sha256: actor.map(|actor| base64url(actor.token.digest())),
            upstream: authorization.upstream.clone(),
            tenant: law
                .upstreams
                .get(authorization.subject_token.issuer())
                .and_then(|upstream| upstream.tenant.clone()),
            claims: token.claims.members().keys().cloned().collect(),
            rules: released.map(|effect| effect.rule).collect(),
            expires: token.expires,
            stale: token.stale,
            law_sha256: base64url(&law.digest),
        }));
        let personal = Personal {
            issuer: authorization.subject_token.issuer().to_owned(),
            subject: authorization.party.value().to_owned(),
            regional_subject: token.subject.clone(),
            actor: actor.map(|actor| PersonalActor {
                issuer: actor.token.issuer().to_owned(),
                subject: actor.party.value().to_owned(),
            }),
        };
        let record = Record { at: token.issued, request_id: Some(request_id.to_owned()), event };
        Self { record, personal: Some(personal) }
    }

    /// A refusal of an authenticated client's request.
    #[must_use]
    pub fn of_refusal(
        at: UnixTime,
        request_id: &str,
        (client, endpoint): (&ClientId, &'static str),
        id: RefusalId,
    ) -> Self {
        let event = Event::Refused { client: client.clone(), endpoint, error_id: id.as_str() };
        Self::new(at, Some(request_id.to_owned()), event)
    }

    /// When it happened.
    #[must_use]
    pub const fn at(&self) -> UnixTime {
        self.record.at
    }

    /// The public part as JSON.
    ///
    /// # Errors
    /// Never for the types of this module; the caller refuses if it happens all the same.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&self.record)
    }

    /// The part that names a person as JSON, if there is one.
    ///
    /// # Errors
    /// As [`Self::to_json`].
    pub fn personal_to_json(&self) -> Result<Option<Vec<u8>>, serde_json::Error> {
        self.personal.as_ref().map(serde_json::to_vec).transpose()
    }
}
