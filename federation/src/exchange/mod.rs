//! The one gate of every grant: what a client asked, the facts, and what the region decides.
//!
//! The order is fixed: the client is authenticated before anything of a token is looked at; the
//! subject token is verified and admitted, its home region first; then requester, actor, target,
//! authentication context, residency, scope and lifetime, each of which can only narrow. What
//! comes out is a token to be recorded and signed, or a refusal. Both are values.

mod actor;
mod authentication;
mod party;
mod rehearsal;
mod requester;
mod scope;
mod sealing;
mod standing;
mod target;

use std::sync::Arc;

use crate::{
    authenticate::{AuthenticatedClient, Replay},
    client::{ActsAs, Grant},
    freshness::{self, Freshness, Traffic, ViewFacts},
    jose::{Algorithm, KeyId, SigningInput},
    law::{Law, Resource},
    oauth::{GRANT_TOKEN_EXCHANGE, TYP_ACCESS_TOKEN, TokenType},
    refusal::{self, Refusal},
    residency::{Projection, ProjectionInput, project},
    revocation::{RevocationView, StatusReference},
    seal::SealKeys,
    subject::PairwiseKey,
    time::UnixTime,
    token::{AccessToken, TokenId},
    verified::{Admitted, IssuerKeys, Party, Presented, Role, VerifiedToken, admit},
};

pub use sealing::Sealing;

pub use rehearsal::{AdmittedSubject, Rehearsal, RehearsalFacts, rehearse};

/// Largest token that is issued: it travels in a header of every request to a resource.
const ACCESS_TOKEN_BYTES_MAX: usize = 2 * 1024;

/// The parameters of a token request (RFC 8693 section 2.1) that a decision reads, parsed once.
/// Client credentials and the tokens themselves come separately.
#[derive(Clone, Debug, Default)]
pub struct ExchangeRequest {
    /// `grant_type`
    pub grant_type: String,
    /// `subject_token_type`
    pub subject_token_type: String,
    /// `actor_token_type`
    pub actor_token_type: Option<String>,
    /// `resource`, each time it was sent.
    pub resource: Vec<String>,
    /// `audience`, each time it was sent.
    pub audience: Vec<String>,
    /// `scope`
    pub scope: Option<String>,
    /// `requested_token_type`
    pub requested_token_type: Option<String>,
}

/// A presented token with its issuer's keys; `None` if the issuer is not trusted here.
#[derive(Clone, Debug)]
pub struct TokenFacts {
    /// The token.
    pub presented: Presented,
    /// The keys of the issuer that it claims.
    pub keys: Option<IssuerKeys>,
}

/// Everything else that was read before deciding.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The time of the decision.
    pub now: UnixTime,
    /// `jti` of the token, should one be issued.
    pub token_id: TokenId,
    /// Its place in a status list.
    pub status: StatusReference,
    /// How old the view of revocations is.
    pub view: ViewFacts,
    /// The subject token.
    pub subject: TokenFacts,
    /// The actor token.
    pub actor: Option<TokenFacts>,
    /// The key that will sign.
    pub key: &'a KeyId,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// The key for pseudonyms.
    pub pairwise: &'a PairwiseKey,
    /// What the token is sealed with.
    pub sealing: Sealing<'a>,
    /// What is revoked; read after the `lix` that the token is sealed with.
    pub revocations: &'a RevocationView,
}

/// What is asked whether something may be issued at all.
#[derive(Clone, Copy)]
struct RevocationFacts<'a> {
    now: UnixTime,
    status: StatusReference,
    keys: &'a SealKeys,
    revocations: &'a RevocationView,
}

/// What the region decides.
#[derive(Clone, Debug)]
pub enum Decision {
    /// The token is to be recorded, signed and sent.
    Authorized(Box<Authorization>),
    /// The request is refused.
    Refused(Refusal),
}

/// A token that may be issued, once it is recorded.
#[derive(Clone)]
pub struct Authorization {
    /// The token.
    pub token: AccessToken,
    /// What is to be signed.
    pub signing_input: SigningInput,
    /// What the view of revocations was good for.
    pub freshness: Freshness,
    /// The key that is to sign it.
    pub key: KeyId,
    /// The client assertion that must not be used again.
    pub replay: Option<Replay>,
    /// The subject token, now verified: worth keeping.
    pub subject_token: Arc<VerifiedToken>,
    /// Name of the upstream that issued the subject token.
    pub upstream: String,
    /// The subject's value at the upstream: personal, for the sealed part of the record.
    pub party: Party,
    /// Who acts for the subject, if an actor token said so.
    pub actor: Option<Actor>,
    /// What the rules did to the claims, for the record and for explanations.
    pub projection: Projection,
}

/// The party of an actor token, for the record.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The actor token, verified.
    pub token: Arc<VerifiedToken>,
    /// The actor's value at the upstream: personal.
    pub party: Party,
}

impl Authorization {
    /// Whether the token, once signed, may leave now that the view of revocations is this old. It
    /// may have waited for its signature for long.
    ///
    /// # Errors
    /// It may not.
    pub fn permit_to_leave(&self, law: &Law, view: &ViewFacts) -> Result<(), Refusal> {
        let resource = law.resources.get(&self.token.audience);
        let bounds = resource.map_or(&law.freshness, |resource| &resource.freshness);
        let now = freshness::judge(bounds, Traffic::Resident, view);
        Ok(self.freshness.permit_token(now)?)
    }
}

impl std::fmt::Debug for Authorization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authorization").field("token", &self.token).finish_non_exhaustive()
    }
}

/// Checks what can be checked without a token: the grant, its types and the target. Doing so
/// first spares the caller a fetch of keys for a request that cannot succeed.
///
/// # Errors
/// The refusal.
pub fn precheck<'law>(
    law: &'law Law,
    client: &AuthenticatedClient<'law>,
    request: &ExchangeRequest,
) -> Result<Asked<'law>, Refusal> {
    if request.grant_type != GRANT_TOKEN_EXCHANGE {
        return Err(refusal::GRANT_TYPE_UNSUPPORTED.into());
    }
    if !client.client().grants.contains(&Grant::TokenExchange) {
        return Err(refusal::GRANT_NOT_ALLOWED.into());
    }
    let subject_type = TokenType::from_urn(&request.subject_token_type)
        .ok_or(refusal::SUBJECT_TOKEN_TYPE_UNSUPPORTED)?;
    let actor_type = match request.actor_token_type.as_deref().map(TokenType::from_urn) {
        None => None,
        Some(Some(kind @ (TokenType::AccessToken | TokenType::Jwt))) => Some(kind),
        Some(Some(TokenType::IdToken) | None) => {
            return Err(refusal::ACTOR_TOKEN_TYPE_UNSUPPORTED.into());
        }
    };
    let resource = target::resolve(law, client.client(), request)?;
    let requested = request.requested_token_type.as_deref().map(TokenType::from_urn);
    if !matches!(requested, None | Some(Some(TokenType::AccessToken))) {
        return Err(refusal::REQUESTED_TOKEN_TYPE_UNSUPPORTED.into());
    }
    scope::parse(request.scope.as_deref()).ok_or(refusal::SCOPE_MALFORMED)?;
    Ok(Asked { subject_type, actor_type, resource })
}

/// What a request asks for, as far as it can be understood without its tokens.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'law> {
    /// Declared kind of the subject token.
    pub subject_type: TokenType,
    /// Declared kind of the actor token.
    pub actor_type: Option<TokenType>,
    /// The target.
    pub resource: &'law Resource,
}

impl Asked<'_> {
    /// What a view of revocations is good for where this target is concerned.
    #[must_use]
    pub fn freshness(&self, view: &ViewFacts) -> Freshness {
        freshness::judge(&self.resource.freshness, Traffic::Resident, view)
    }
}

/// Decides about a token request of an authenticated client.
#[must_use]
pub fn decide<'law>(
    law: &'law Law,
    client: &AuthenticatedClient<'law>,
    request: &ExchangeRequest,
    facts: Facts<'_>,
) -> Decision {
    match authorize(law, client, request, facts) {
        Ok(authorization) => Decision::Authorized(Box::new(authorization)),
        Err(refusal) => Decision::Refused(refusal),
    }
}

/// What is read beside the tokens.
#[derive(Clone, Copy)]
struct Surroundings<'a> {
    now: UnixTime,
    token_id: TokenId,
    status: StatusReference,
    view: ViewFacts,
    key: &'a KeyId,
    algorithm: Algorithm,
    pairwise: &'a PairwiseKey,
    /// `None` in a rehearsal.
    sealing: Option<Sealing<'a>>,
}

fn authorize<'law>(
    law: &'law Law,
    client: &AuthenticatedClient<'law>,
    request: &ExchangeRequest,
    facts: Facts<'_>,
) -> Result<Authorization, Refusal> {
    let asked = precheck(law, client, request)?;
    let Facts {
        now, token_id, status, view, key, algorithm, pairwise, sealing, revocations, ..
    } = facts;
    let tokens = admitted(law, client, &asked, (facts.subject, facts.actor), now)?;
    let revoked = RevocationFacts { now, status, keys: sealing.keys, revocations };
    standing::check(law, client, [Some(&tokens.0), tokens.1.as_ref()], revoked)?;
    let sealing = Some(sealing);
    let surroundings =
        Surroundings { now, token_id, status, view, key, algorithm, pairwise, sealing };
    let scope = request.scope.as_deref();
    narrow(law, client, (asked.resource, scope), tokens, surroundings)
}

/// Everything after the tokens are admitted: each step can only narrow.
fn narrow<'law>(
    law: &'law Law,
    client: &AuthenticatedClient<'law>,
    (resource, scope): (&'law Resource, Option<&str>),
    (subject, actor): (Admitted<'law>, Option<Admitted<'law>>),
    facts: Surroundings<'_>,
) -> Result<Authorization, Refusal> {
    let freshness = freshness::judge(&resource.freshness, Traffic::Resident, &facts.view);
    freshness.permit()?;
    let authentication = authentication::check(resource, &subject, facts.now)?;
    let input = projection_input(&subject, facts.pairwise, facts.now);
    let projection = project(&law.rules, subject.token.claims(), &input)
        .map_err(|_| refusal::SUBJECT_TOKEN_CLAIMS)?;
    let scope = scope::narrow(scope, resource, &subject)?;
    let pseudonyms = party::Pseudonyms { pairwise: facts.pairwise, sector: &resource.sector };
    let acting_client = match client.client().acts_as {
        ActsAs::Delegate => Some(&client.client().id),
        ActsAs::Subject => None,
    };
    let token = AccessToken {
        issuer: law.issuer.clone(),
        subject: pseudonyms.party(&subject),
        audience: resource.id.clone(),
        client: client.client().id.clone(),
        issued: facts.now,
        expires: expiry((law, resource, freshness), &subject, actor.as_ref(), facts.now),
        id: facts.token_id,
        scope,
        actor: actor::claim(&pseudonyms, &subject, actor.as_ref(), acting_client)?,
        authentication,
        stale: freshness.is_stale(),
        status: facts.status,
        sealed: sealing::claim(law, (client.client(), resource, &subject), facts)?,
        claims: projection.claims.only(&resource.claims),
    };
    Ok(Authorization {
        signing_input: laid_out(&token, facts.key, facts.algorithm)?,
        token,
        freshness,
        key: facts.key.clone(),
        replay: client.replay(),
        upstream: subject.upstream.name.clone(),
        party: subject.party,
        actor: actor.map(|actor| Actor { token: actor.token, party: actor.party }),
        subject_token: subject.token,
        projection,
    })
}

fn projection_input<'a>(
    subject: &'a Admitted<'_>,
    pairwise: &'a PairwiseKey,
    now: UnixTime,
) -> ProjectionInput<'a> {
    ProjectionInput {
        upstream: &subject.upstream.name,
        subject: party::subject_of(subject),
        pairwise,
        now,
    }
}

/// The subject and who acts for it, each admitted, allowed to this client and to each other.
fn admitted<'law>(
    law: &'law Law,
    client: &AuthenticatedClient<'law>,
    asked: &Asked<'law>,
    (subject, actor): (TokenFacts, Option<TokenFacts>),
    now: UnixTime,
) -> Result<(Admitted<'law>, Option<Admitted<'law>>), Refusal> {
    let actor = match (asked.actor_type, actor) {
        (None, None) => None,
        (Some(kind), Some(token)) => Some((kind, token)),
        _ => return Err(refusal::ACTOR_TOKEN_TYPE_UNSUPPORTED.into()),
    };
    let one = |role, kind, TokenFacts { presented, keys }| {
        let admitted = admit(law, role, kind, (presented, keys.as_ref()), now)?;
        requester::check(client, &admitted)?;
        Ok::<_, Refusal>(admitted)
    };
    let subject = one(Role::Subject, asked.subject_type, subject)?;
    let actor = actor.map(|(kind, token)| one(Role::Actor, kind, token)).transpose()?;
    actor::check_may_act(client.client(), &subject, actor.as_ref())?;
    requester::check_tenants(client, asked.resource, &subject)?;
    Ok((subject, actor))
}

/// What is to be signed. A token that would be too large is refused, for its size comes from the
/// person's claims.
fn laid_out(
    token: &AccessToken,
    key: &KeyId,
    algorithm: Algorithm,
) -> Result<SigningInput, Refusal> {
    let input = SigningInput::new(algorithm, TYP_ACCESS_TOKEN, key, &token.to_payload())
        .map_err(|_| refusal::INTERNAL_FAULT)?;
    // A dot and the signature in base64url; RSA keys of a region have at most 3072 bits.
    let signature_bytes = match algorithm {
        Algorithm::EdDsa | Algorithm::Es256 => 87,
        Algorithm::Ps256 | Algorithm::Rs256 => 513,
    };
    if input.as_bytes().len() + signature_bytes > ACCESS_TOKEN_BYTES_MAX {
        return Err(refusal::SUBJECT_TOKEN_CLAIMS.into());
    }
    Ok(input)
}

/// Never after the subject token's or the actor token's own expiry, and soon if the view of
/// revocations is stale.
fn expiry(
    (law, resource, freshness): (&Law, &Resource, Freshness),
    subject: &Admitted<'_>,
    actor: Option<&Admitted<'_>>,
    now: UnixTime,
) -> UnixTime {
    let ttl = resource.ttl.unwrap_or(law.access_token_ttl);
    let by_policy = now.plus(freshness.ttl_max().map_or(ttl, |ttl_max| ttl.min(ttl_max)));
    let by_tokens = actor.map_or(subject.expires, |actor| subject.expires.min(actor.expires));
    by_policy.min(by_tokens)
}
