//! Tokens of a region: the access token that is issued (RFC 9068) and the same token when it comes
//! back to be introspected or revoked.

use std::fmt;

use serde_json::{Map, Value, json};

use crate::{
    claims::RegionalClaims,
    client::ClientId,
    jose::{Algorithm, JwkSet, PublicKey, UnverifiedJws, base64url},
    oauth::TYP_ACCESS_TOKEN,
    region::RegionNumber,
    revocation::{Revocable, StatusReference},
    seal::{OpenError, SEALED_CLAIM, SealKeys, TokenName, Trailer},
    time::UnixTime,
};

/// A token's `jti`: 128 random bits, so unique over regions and restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenId([u8; 16]);

impl TokenId {
    /// Takes 128 random bits.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url(&self.0))
    }
}

/// An access token before it is signed.
#[derive(Clone)]
pub struct AccessToken {
    /// The issuing region's issuer.
    pub issuer: String,
    /// A person's pseudonym for the resource's sector, or a service's name.
    pub subject: String,
    /// The one resource it is for.
    pub audience: String,
    /// The client that got it.
    pub client: ClientId,
    /// When it was issued.
    pub issued: UnixTime,
    /// When it expires.
    pub expires: UnixTime,
    /// Its `jti`.
    pub id: TokenId,
    /// Space-separated scopes; empty if the resource knows none.
    pub scope: String,
    /// Who acts for the subject (RFC 8693 section 4.1).
    pub actor: Option<Value>,
    /// The authentication context class and time, where the resource asks for them.
    pub authentication: Authentication,
    /// Whether it was issued although nobody knew whether the view of revocations was complete
    /// (`exq_stale`).
    pub stale: bool,
    /// Where its status stands.
    pub status: StatusReference,
    /// What is sealed for the regions: the claim `exq`.
    pub sealed: Value,
    /// Claims that the region lets through to this resource.
    pub claims: RegionalClaims,
}

/// How and when the user was authenticated (RFC 9068 section 2.2.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authentication {
    /// `acr`
    pub acr: Option<String>,
    /// `auth_time`
    pub time: Option<UnixTime>,
}

impl AccessToken {
    /// The payload.
    #[must_use]
    pub fn to_payload(&self) -> Map<String, Value> {
        let mut payload = self.claims.clone().into_token_members();
        let mut put = |name: &str, value: Value| payload.insert(name.to_owned(), value);
        put("iss", json!(self.issuer));
        put("sub", json!(self.subject));
        put("aud", json!(self.audience));
        put("client_id", json!(self.client));
        put("iat", json!(self.issued));
        put("exp", json!(self.expires));
        put("jti", json!(self.id.to_string()));
        put("status", self.status.to_claim(&self.issuer));
        put(SEALED_CLAIM, self.sealed.clone());
        if !self.scope.is_empty() {
            put("scope", json!(self.scope));
        }
        if let Some(actor) = &self.actor {
            put("act", actor.clone());
        }
        if self.stale {
            put("exq_stale", json!(true));
        }
        if let Some(acr) = &self.authentication.acr {
            put("acr", json!(acr));
        }
        if let Some(time) = self.authentication.time {
            put("auth_time", json!(time));
        }
        payload
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A token of this region that came back, verified under a key of this region.
#[derive(Clone)]
pub struct RegionalToken {
    payload: Map<String, Value>,
    issuer: String,
    client_id: String,
    audience: String,
    token_id: String,
    expires: UnixTime,
    status: StatusReference,
    sealed: Result<Trailer, OpenError>,
}

impl RegionalToken {
    /// Verifies a token that `issuer` should have issued. Anything else is `None`: to whoever
    /// asks, a token of unknown form and one of unknown origin are the same.
    #[must_use]
    pub fn verify(jws: &UnverifiedJws, keys: &JwkSet, issuer: &str) -> Option<Self> {
        let jwk = keys.select(Some(jws.kid()?))?;
        Self::verified(jws, (&jwk.key, jwk.declared?), issuer)
    }

    /// The same with the one key that can have signed it, under any algorithm that goes with it.
    pub(crate) fn verify_with(jws: &UnverifiedJws, key: &PublicKey, issuer: &str) -> Option<Self> {
        let claimed = jws.claimed_algorithm();
        let algorithm = key.algorithms().iter().find(|algorithm| **algorithm == claimed)?;
        Self::verified(jws, (key, *algorithm), issuer)
    }

    fn verified(
        jws: &UnverifiedJws,
        (key, algorithm): (&PublicKey, Algorithm),
        issuer: &str,
    ) -> Option<Self> {
        if jws.typ() != Some(TYP_ACCESS_TOKEN) || jws.issuer() != Some(issuer) {
            return None;
        }
        jws.verify(key, algorithm).ok()?;
        let payload = jws.payload();
        let text = |name: &str| payload.get(name)?.as_str().map(str::to_owned);
        Some(Self {
            issuer: issuer.to_owned(),
            client_id: text("client_id")?,
            audience: text("aud")?,
            token_id: text("jti")?,
            expires: UnixTime::from_seconds(payload.get("exp")?.as_u64()?),
            status: StatusReference::from_claim(payload.get("status")?, issuer)?,
            payload: payload.clone(),
            sealed: Err(OpenError::Untried),
        })
    }

    /// Opens what is sealed in it for this region; how that went, [`Self::sealed`] says.
    #[must_use]
    pub fn open(mut self, keys: &SealKeys) -> Self {
        let name = TokenName { issuer: &self.issuer, id: &self.token_id };
        self.sealed = keys.open(name, self.payload.get(SEALED_CLAIM));
        self
    }

    /// Opens what is sealed for this region in a token that region `source` issued.
    pub(crate) fn open_from(mut self, source: RegionNumber, keys: &SealKeys) -> Self {
        let name = TokenName { issuer: &self.issuer, id: &self.token_id };
        self.sealed = keys.open_from(source, name, self.payload.get(SEALED_CLAIM));
        self
    }

    /// The client that got it.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The resource it is for.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// Its `jti`.
    #[must_use]
    pub fn token_id(&self) -> &str {
        &self.token_id
    }

    /// Its `exp`.
    #[must_use]
    pub const fn expires(&self) -> UnixTime {
        self.expires
    }

    /// Where its status stands.
    #[must_use]
    pub const fn status(&self) -> StatusReference {
        self.status
    }

    /// What is sealed in it for this region.
    ///
    /// # Errors
    /// It did not open: then nothing tells whether the token is revoked, and it is not to be
    /// accepted.
    pub const fn sealed(&self) -> Result<&Trailer, OpenError> {
        match &self.sealed {
            Ok(trailer) => Ok(trailer),
            Err(error) => Err(*error),
        }
    }

    /// What a revocation can name of it.
    #[must_use]
    pub fn revocable(&self) -> Revocable<'_> {
        match &self.sealed {
            Ok(trailer) => Revocable::of_trailer(self.status, trailer),
            Err(_) => Revocable::of_status(self.status),
        }
    }

    /// The payload, for the resource that the token names.
    #[must_use]
    pub const fn payload(&self) -> &Map<String, Value> {
        &self.payload
    }
}

impl fmt::Debug for RegionalToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RegionalToken(redacted)")
    }
}
