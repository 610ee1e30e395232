//! Global tokens on their way from text to trust: parsed, verified, admitted.
//!
//! [`UnverifiedJws`] becomes [`VerifiedToken`] only by a signature check with a key of the exact
//! issuer, and [`Admitted`] only when it is of the declared kind, in time, meant for this
//! federation, and its subject is at home here. Home comes before everything else that reads a
//! person's claims: a token of somebody from elsewhere is not unpacked.

mod home;
mod refusals;

use std::sync::Arc;

use serde_json::Value;

use self::{
    home::{at_home, is_service},
    refusals::Ids,
};
use crate::{
    claims::{GlobalClaims, Pointer},
    jose::{Algorithm, JwkSet, JwsError, PublicKey, UnverifiedJws},
    law::Law,
    oauth::TokenType,
    refusal::{self, Refusal},
    time::UnixTime,
    trust::{Upstream, check_expiry, check_times},
};

/// Longest subject that is read (OpenID Connect Core section 2 allows 255 characters).
pub(crate) const SUBJECT_BYTES_MAX: usize = 255;

/// A global token whose signature was checked. It can be kept and presented again: every use
/// checks anew that the issuer still publishes the key and that the token is in time.
#[derive(Clone, Debug)]
pub struct VerifiedToken {
    digest: [u8; 32],
    issuer: String,
    kid: Option<String>,
    /// The key that verified it; `None` in a rehearsal without keys, and then nothing vouches for
    /// it again.
    verified_by: Option<(PublicKey, Algorithm)>,
    typ: Option<String>,
    claims: GlobalClaims,
}

impl VerifiedToken {
    /// SHA-256 of the token's text.
    #[must_use]
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The exact issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The payload.
    #[must_use]
    pub const fn claims(&self) -> &GlobalClaims {
        &self.claims
    }

    fn read(
        jws: UnverifiedJws,
        upstream: &Upstream,
        verified_by: Option<(PublicKey, Algorithm)>,
    ) -> Self {
        Self {
            digest: jws.digest(),
            issuer: upstream.issuer.clone(),
            kid: jws.kid().map(str::to_owned),
            verified_by,
            typ: jws.short_typ(),
            claims: GlobalClaims::new(jws.into_payload()),
        }
    }

    fn still_vouched_for(&self, upstream: &Upstream, keys: &JwkSet) -> bool {
        let Some((key, algorithm)) = &self.verified_by else { return false };
        keys.select(self.kid.as_deref()).is_some_and(|jwk| {
            jwk.key == *key && jwk.algorithm(&upstream.algorithms) == Some(*algorithm)
        })
    }
}

/// A token as a request presents it.
#[derive(Clone, Debug)]
pub enum Presented {
    /// Read from the request, or what was wrong with it.
    Read(Result<UnverifiedJws, JwsError>),
    /// The same text was verified before.
    Known(Arc<VerifiedToken>),
}

impl Presented {
    /// The issuer that the token claims, for looking up keys.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        match self {
            Self::Read(read) => read.as_ref().ok()?.issuer(),
            Self::Known(token) => Some(token.issuer()),
        }
    }

    /// The `kid` that the token claims, for looking up keys.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        match self {
            Self::Read(read) => read.as_ref().ok()?.kid(),
            Self::Known(token) => token.kid.as_deref(),
        }
    }
}

/// The keys of the issuer that a presented token claims.
#[derive(Clone, Debug)]
pub enum IssuerKeys {
    /// The issuer's current set.
    Available(Arc<JwkSet>),
    /// The set cannot be had now.
    Unavailable,
}

/// Which part a token plays in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `subject_token`
    Subject,
    /// `actor_token`
    Actor,
}

/// A verified token that may be acted on in this region.
#[derive(Clone, Debug)]
pub struct Admitted<'law> {
    /// Whose token it is.
    pub upstream: &'law Upstream,
    /// The token.
    pub token: Arc<VerifiedToken>,
    /// Its `exp`.
    pub expires: UnixTime,
    /// For whom or what it speaks.
    pub party: Party,
    /// Whether it was presented as an ID token.
    pub kind: TokenType,
}

/// For whom or what a token speaks.
#[derive(Clone, PartialEq, Eq)]
pub enum Party {
    /// A person, by the subject's value at the issuer.
    Person(String),
    /// A service, by its client id at the issuer.
    Service(String),
}

impl Party {
    /// The party's value at the issuer: personal, if it is a person's.
    #[must_use]
    pub fn value(&self) -> &str {
        let (Self::Person(value) | Self::Service(value)) = self;
        value
    }
}

impl std::fmt::Debug for Party {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Person(_) => "Person(redacted)",
            Self::Service(_) => "Service(redacted)",
        })
    }
}

impl Admitted<'_> {
    /// The token's audience, wherever the provider puts it.
    pub fn audience(&self) -> impl Iterator<Item = &str> {
        audience_of(self.upstream, self.kind, self.token.claims())
    }

    /// The client that got the token from the provider.
    #[must_use]
    pub fn authorized_party(&self) -> Option<&str> {
        self.token.claims().first_text(&self.upstream.profile.client)
    }

    /// The login session at the provider, if it names one.
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        let session = self.token.claims().first_text(&self.upstream.profile.session);
        session.filter(|session| !session.is_empty())
    }

    /// The scopes of the token.
    #[must_use]
    pub fn scopes(&self) -> Vec<&str> {
        match self.token.claims().first(&self.upstream.profile.scope) {
            Some(Value::String(list)) => list.split(' ').filter(|s| !s.is_empty()).collect(),
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }
}

/// Verifies and admits a presented token.
///
/// INVARIANT: before `at_home` has said yes, nothing is read but `iss`, `aud`, `exp`, the home
/// member, and the protocol members by which the profile tells kinds of tokens and services apart.
///
/// # Errors
/// The refusal for the first check that fails; its id names the role.
pub fn admit<'law>(
    law: &'law Law,
    role: Role,
    kind: TokenType,
    (presented, keys): (Presented, Option<&IssuerKeys>),
    now: UnixTime,
) -> Result<Admitted<'law>, Refusal> {
    let ids = Ids::of(role);
    let (upstream, token) = verify(law, presented, keys, &ids)?;
    admit_verified(law, &ids, kind, (upstream, token), now)
}

/// Admits a subject token whose signature nobody checked, as if it had been. For rehearsals, which
/// issue nothing.
pub(crate) fn admit_unsigned(
    law: &Law,
    kind: TokenType,
    read: Result<UnverifiedJws, JwsError>,
    now: UnixTime,
) -> Result<Admitted<'_>, Refusal> {
    let ids = Ids::of(Role::Subject);
    let jws = read.map_err(|_| ids.malformed)?;
    let upstream = law.upstreams.get(jws.issuer().unwrap_or_default()).ok_or(ids.untrusted)?;
    let token = VerifiedToken::read(jws, upstream, None);
    admit_verified(law, &ids, kind, (upstream, Arc::new(token)), now)
}

fn admit_verified<'law>(
    law: &'law Law,
    ids: &Ids,
    kind: TokenType,
    (upstream, token): (&'law Upstream, Arc<VerifiedToken>),
    now: UnixTime,
) -> Result<Admitted<'law>, Refusal> {
    let claims = token.claims();
    if !is_kind(upstream, kind, token.typ.as_deref(), claims) {
        return Err(ids.kind.into());
    }
    check_expiry(claims.members(), now).map_err(|fault| ids.of_time(fault))?;
    let ours =
        audience_of(upstream, kind, claims).any(|a| upstream.audience.iter().any(|o| o == a));
    if !ours {
        return Err(ids.audience.into());
    }
    let service = is_service(upstream, claims);
    at_home(law, upstream, claims, service)?;
    // RFC 9068 section 2.2 and OpenID Connect Core section 2 both require `iat`; without it nobody
    // could tell how long the token lives.
    if !claims.members().contains_key("iat") {
        return Err(ids.malformed.into());
    }
    let expires = check_times(claims.members(), now, upstream.clock_slack, upstream.lifetime_max)
        .map_err(|fault| ids.of_time(fault))?;
    if claims.members().contains_key("cnf") {
        return Err(ids.bound.into());
    }
    let party = party(upstream, claims, service).ok_or(ids.claims)?;
    Ok(Admitted { upstream, token, expires, party, kind })
}

fn verify<'law>(
    law: &'law Law,
    presented: Presented,
    keys: Option<&IssuerKeys>,
    ids: &Ids,
) -> Result<(&'law Upstream, Arc<VerifiedToken>), Refusal> {
    if let Presented::Read(Err(_)) = &presented {
        return Err(ids.malformed.into());
    }
    let issuer = presented.issuer().unwrap_or_default();
    let upstream = law.upstreams.get(issuer).ok_or(ids.untrusted)?;
    let keys = match keys {
        Some(IssuerKeys::Available(keys)) => keys,
        Some(IssuerKeys::Unavailable) | None => {
            return Err(refusal::ISSUER_KEYS_UNAVAILABLE.into());
        }
    };
    match presented {
        Presented::Known(token) if token.still_vouched_for(upstream, keys) => Ok((upstream, token)),
        Presented::Known(_) => Err(ids.untrusted.into()),
        Presented::Read(read) => {
            let jws = read.map_err(|_| ids.malformed)?;
            let token = signed_by(jws, upstream, keys).ok_or(ids.untrusted)?;
            Ok((upstream, Arc::new(token)))
        }
    }
}

fn signed_by(jws: UnverifiedJws, upstream: &Upstream, keys: &JwkSet) -> Option<VerifiedToken> {
    let jwk = keys.select(jws.kid())?;
    let algorithm = jwk.algorithm(&upstream.algorithms)?;
    jws.verify(&jwk.key, algorithm).ok()?;
    let verified_by = (jwk.key.clone(), algorithm);
    Some(VerifiedToken::read(jws, upstream, Some(verified_by)))
}

fn is_kind(upstream: &Upstream, kind: TokenType, typ: Option<&str>, claims: &GlobalClaims) -> bool {
    let profile = &upstream.profile;
    let (typs, absent, markers) = match kind {
        TokenType::AccessToken | TokenType::Jwt => {
            (&profile.access_typ, profile.access_typ_absent, &profile.access_markers)
        }
        TokenType::IdToken => (&profile.id_typ, true, &profile.id_markers),
    };
    let typ_fits = match typ {
        None => absent,
        Some(typ) => typs.iter().any(|t| t == typ),
    };
    // A logout token may come without `typ` and look like an ID token in all but `events`, which
    // no other token has (OpenID Connect Back-Channel Logout section 2.4, RFC 8417 section 2.2).
    let is_event = claims.members().contains_key("events");
    typ_fits && !is_event && markers.iter().all(|m| m.holds(claims.members()))
}

fn audience_of<'c>(
    upstream: &Upstream,
    kind: TokenType,
    claims: &'c GlobalClaims,
) -> impl Iterator<Item = &'c str> + use<'c> {
    let found = match kind {
        TokenType::AccessToken | TokenType::Jwt => claims.first(&upstream.profile.audience),
        TokenType::IdToken => claims.members().get("aud"),
    };
    let (one, many) = match found {
        Some(Value::String(one)) => (Some(one.as_str()), None),
        // RFC 7519 section 4.1.3: strings. With anything else in it, it is no audience.
        Some(Value::Array(many)) if many.iter().all(Value::is_string) => (None, Some(many)),
        _ => (None, None),
    };
    one.into_iter().chain(many.into_iter().flatten().filter_map(Value::as_str))
}

fn party(upstream: &Upstream, claims: &GlobalClaims, service: bool) -> Option<Party> {
    let text = |pointers: &[Pointer]| {
        claims
            .first_text(pointers)
            .filter(|t| !t.is_empty() && t.len() <= SUBJECT_BYTES_MAX)
            .map(str::to_owned)
    };
    let profile = &upstream.profile;
    if let (Some(at), Some(tenant)) = (&profile.tenant, &upstream.tenant)
        && claims.at(at).and_then(Value::as_str) != Some(tenant)
    {
        return None;
    }
    if service {
        text(&profile.client).map(Party::Service)
    } else {
        text(&profile.subject).map(Party::Person)
    }
}
