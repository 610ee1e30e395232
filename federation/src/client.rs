//! Clients of a region and how they prove who they are (RFC 6749 section 2.3, RFC 7523).

use std::{fmt, sync::Arc};

use serde::Serialize;

use crate::jose::{Algorithm, JwkSet, sha256};

/// The id of a client, unique in the federation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ClientId(Arc<str>);

impl ClientId {
    /// Takes the text of a `client_id`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The client's number, by which it is revoked: what is replicated holds no text. It follows
    /// from the id, so that nobody has to count clients, a client keeps it wherever its table
    /// stands, and no other id ever takes it over: the configuration refuses two that would share one.
    #[must_use]
    pub fn number(&self) -> u32 {
        let [a, b, c, d, ..] = sha256(self.0.as_bytes());
        u32::from_be_bytes([a, b, c, d])
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A registered client.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its id.
    pub id: ClientId,
    /// How it authenticates.
    pub auth: ClientAuth,
    /// Grants it may use; empty for a resource server that only asks about tokens.
    pub grants: Vec<Grant>,
    /// Resources it may get tokens for.
    pub resources: Vec<String>,
    /// Transfer rules it may use.
    pub transfers: Vec<String>,
    /// Its names in global tokens; one must be the token's audience or authorized party.
    pub upstream_ids: UpstreamIds,
    /// Whether tokens name it as actor.
    pub acts_as: ActsAs,
    /// The tenant it belongs to; it then gets tokens only for people of that tenant.
    pub tenant: Option<String>,
    /// Requests a second that it may make on average, and at once.
    pub rate: Rate,
}

/// How a client authenticates.
#[derive(Clone)]
pub enum ClientAuth {
    /// `private_key_jwt` (RFC 7523 section 2.2).
    PrivateKeyJwt {
        /// Its public keys.
        keys: JwkSet,
        /// Algorithms that are believed.
        algorithms: Vec<Algorithm>,
        /// Which `aud` its assertions may have.
        audience: AssertionAudience,
    },
    /// `client_secret_basic`, and `client_secret_post` where switched on.
    Secret {
        /// Salted hashes of its live secrets (at most two, so that it can rotate).
        hashes: Vec<SecretHash>,
        /// Whether the secret may also come in the body.
        post: bool,
    },
}

/// Which audience a client assertion may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssertionAudience {
    /// The issuer as sole value (RFC 7523bis).
    Issuer,
    /// The issuer or the token endpoint, for libraries that still send the endpoint.
    IssuerOrTokenEndpoint,
}

/// SHA-256 over salt and secret. A secret has 256 random bits, so a slow hash adds nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretHash {
    /// Random, one a secret.
    pub salt: [u8; 16],
    /// SHA-256 of salt followed by the secret's text.
    pub hash: [u8; 32],
}

/// A grant that a client may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grant {
    /// `urn:ietf:params:oauth:grant-type:jwt-bearer` (RFC 7523 section 2.1).
    JwtBearer,
    /// `urn:ietf:params:oauth:grant-type:token-exchange` (RFC 8693).
    TokenExchange,
}

/// Names of a client in global tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamIds {
    /// Any audience and any party is accepted.
    Any,
    /// One of these must be in the token's audience or be its authorized party.
    Listed(Vec<String>),
}

/// Whether tokens that a client gets by exchange name it as actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActsAs {
    /// The token carries `act` with the client (RFC 8693 section 4.1).
    Delegate,
    /// The token speaks of the subject alone.
    Subject,
}

/// A token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests a second, on average.
    pub per_second: u32,
    /// Requests at once.
    pub burst: u32,
}

impl fmt::Debug for ClientAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PrivateKeyJwt { .. } => "PrivateKeyJwt",
            Self::Secret { .. } => "Secret(redacted)",
        })
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(redacted)")
    }
}
