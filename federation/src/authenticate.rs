//! Client authentication (RFC 6749 section 2.3, RFC 7523 section 2.2 with RFC 7523bis).
//!
//! One gate for every endpoint. A client assertion is accepted once: the caller gets the replay
//! entry that must be saved durably before anything is done on the assertion's strength.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::{
    client::{AssertionAudience, Client, ClientAuth, ClientId, SecretHash},
    jose::{Algorithm, JwkSet, UnverifiedJws, sha256},
    law::Law,
    oauth::CLIENT_ASSERTION_JWT_BEARER,
    refusal::{self, RefusalId},
    time::{Ttl, UnixTime},
    trust::{TimeFault, check_times},
};

/// Characters of a client secret: letters and digits, drawn at random, which makes 256 bits. A
/// secret of another form never authenticates, so a weak one cannot be registered by its hash.
pub const SECRET_CHARS: usize = 43;
/// Longest life of a client assertion. Minutes would do, but Authlib gives each of them an hour;
/// single use bounds what a longer life is worth to a thief.
const ASSERTION_LIFETIME_MAX: Ttl = Ttl::from_seconds(3_600);
/// How far a client's clock may be ahead (FAPI 2.0 asks to accept 10 s and to refuse 60 s).
const ASSERTION_SLACK: Ttl = Ttl::from_seconds(30);
/// Longest `jti` of an assertion.
const JTI_BYTES_MAX: usize = 128;
/// `typ` of an assertion; absent is accepted as well (RFC 7523bis section 3).
const ASSERTION_TYP: [&str; 2] = ["client-authentication+jwt", "jwt"];
/// Hashed when a client is unknown, so that its absence costs what its presence costs.
const NO_SECRET: SecretHash = SecretHash { salt: [0; 16], hash: [0; 32] };

/// What a request brings to prove who sent it.
#[derive(Clone)]
pub enum Credentials {
    /// Nothing.
    Absent,
    /// `client_assertion` and its type, and the `client_id` parameter if sent.
    Assertion {
        /// `client_assertion_type`
        kind: String,
        /// `client_assertion`
        assertion: Zeroizing<String>,
        /// `client_id`
        client_id: Option<String>,
    },
    /// A secret, by the Authorization header or in the body.
    Secret {
        /// `client_id`
        client_id: String,
        /// `client_secret`
        secret: Zeroizing<String>,
        /// Whether it came in the body.
        in_body: bool,
    },
    /// More than one of these at once.
    Several,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "Absent",
            Self::Assertion { .. } => "Assertion(redacted)",
            Self::Secret { .. } => "Secret(redacted)",
            Self::Several => "Several",
        })
    }
}

/// Something that may be used once. Its key is a digest: nothing of the original is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replay {
    /// SHA-256 over the kind, the issuer and the id of the thing.
    pub key: [u8; 32],
    /// From when on it is refused for its age anyway.
    pub expires: UnixTime,
}

/// A client that proved who it is. Only [`authenticate`] makes one, and a rehearsal, which issues
/// nothing.
#[derive(Clone, Copy, Debug)]
pub struct AuthenticatedClient<'law> {
    client: &'law Client,
    replay: Option<Replay>,
}

impl<'law> AuthenticatedClient<'law> {
    /// A client that is taken to have proved who it is.
    pub(crate) const fn rehearsed(client: &'law Client) -> Self {
        Self { client, replay: None }
    }

    /// The registered client.
    #[must_use]
    pub const fn client(&self) -> &'law Client {
        self.client
    }

    /// What must be saved before acting, so that the proof cannot be used again.
    #[must_use]
    pub const fn replay(&self) -> Option<Replay> {
        self.replay
    }
}

/// Checks a client's credentials.
///
/// # Errors
/// The refusal; ids do not tell an unknown client from a wrong secret.
pub fn authenticate<'law>(
    law: &'law Law,
    credentials: &Credentials,
    now: UnixTime,
) -> Result<AuthenticatedClient<'law>, RefusalId> {
    match credentials {
        Credentials::Absent => Err(refusal::CLIENT_AUTHENTICATION_MISSING),
        Credentials::Several => Err(refusal::CLIENT_AUTHENTICATION_REPEATED),
        Credentials::Secret { client_id, secret, in_body } => {
            by_secret(law, client_id, secret, *in_body)
        }
        Credentials::Assertion { kind, assertion, client_id } => {
            if kind != CLIENT_ASSERTION_JWT_BEARER {
                return Err(refusal::CLIENT_AUTHENTICATION_FAILED);
            }
            by_assertion(law, assertion, client_id.as_deref(), now)
        }
    }
}

fn by_secret<'law>(
    law: &'law Law,
    client_id: &str,
    secret: &str,
    in_body: bool,
) -> Result<AuthenticatedClient<'law>, RefusalId> {
    let client = law.clients.get(&ClientId::new(client_id));
    let (hashes, method_fits) = match client.map(|c| &c.auth) {
        Some(ClientAuth::Secret { hashes, post }) => (hashes.as_slice(), *post || !in_body),
        Some(ClientAuth::PrivateKeyJwt { .. }) | None => ([NO_SECRET].as_slice(), false),
    };
    let strong = secret.len() == SECRET_CHARS && secret.bytes().all(|b| b.is_ascii_alphanumeric());
    // Every hash is compared, whichever matches first.
    let matches = hashes.iter().filter(|hash| hash.matches(secret)).count();
    match client {
        Some(client) if method_fits && strong && matches > 0 => {
            Ok(AuthenticatedClient { client, replay: None })
        }
        _ => Err(refusal::CLIENT_AUTHENTICATION_FAILED),
    }
}

impl SecretHash {
    /// The hash of a secret under a salt.
    #[must_use]
    pub fn of(salt: [u8; 16], secret: &str) -> Self {
        let mut input = Zeroizing::new(salt.to_vec());
        input.extend_from_slice(secret.as_bytes());
        Self { salt, hash: sha256(&input) }
    }

    fn matches(&self, secret: &str) -> bool {
        let presented = Self::of(self.salt, secret);
        verify_slices_are_equal(&presented.hash, &self.hash).is_ok()
    }
}

fn by_assertion<'law>(
    law: &'law Law,
    assertion: &str,
    client_id: Option<&str>,
    now: UnixTime,
) -> Result<AuthenticatedClient<'law>, RefusalId> {
    const FAILED: RefusalId = refusal::CLIENT_AUTHENTICATION_FAILED;
    let jws = UnverifiedJws::parse(assertion).map_err(|_| FAILED)?;
    let text = |name| jws.payload().get(name).and_then(Value::as_str);
    let (Some(iss), Some(sub)) = (text("iss"), text("sub")) else { return Err(FAILED) };
    if iss != sub || client_id.is_some_and(|id| id != iss) {
        return Err(FAILED);
    }
    // That an unknown id is refused sooner than a bad signature tells who is registered; ids of
    // clients are no secret (RFC 6749 section 2.2).
    let client = law.clients.get(&ClientId::new(iss)).ok_or(FAILED)?;
    let ClientAuth::PrivateKeyJwt { keys, algorithms, audience } = &client.auth else {
        return Err(FAILED);
    };
    if !signed_by_client(&jws, keys, algorithms) || !typ_fits(&jws) {
        return Err(FAILED);
    }
    if !audience_fits(&jws, law, *audience) {
        return Err(refusal::CLIENT_ASSERTION_AUDIENCE);
    }
    let times = check_times(jws.payload(), now, ASSERTION_SLACK, ASSERTION_LIFETIME_MAX);
    let expires = times.map_err(|fault| match fault {
        TimeFault::Malformed => FAILED,
        TimeFault::Expired | TimeFault::NotYetValid | TimeFault::TooLong => {
            refusal::CLIENT_ASSERTION_TIME
        }
    })?;
    if expires > now.plus(ASSERTION_LIFETIME_MAX).plus(ASSERTION_SLACK) {
        return Err(refusal::CLIENT_ASSERTION_TIME);
    }
    let jti = text("jti").filter(|j| !j.is_empty() && j.len() <= JTI_BYTES_MAX).ok_or(FAILED)?;
    let replay = Replay { key: replay_key("client_assertion", iss, jti), expires };
    Ok(AuthenticatedClient { client, replay: Some(replay) })
}

fn signed_by_client(jws: &UnverifiedJws, keys: &JwkSet, algorithms: &[Algorithm]) -> bool {
    keys.select(jws.kid()).is_some_and(|jwk| {
        jwk.algorithm(algorithms).is_some_and(|a| jws.verify(&jwk.key, a).is_ok())
    })
}

fn typ_fits(jws: &UnverifiedJws) -> bool {
    jws.short_typ().is_none_or(|typ| ASSERTION_TYP.contains(&typ.as_str()))
}

fn audience_fits(jws: &UnverifiedJws, law: &Law, rule: AssertionAudience) -> bool {
    let sole = match jws.payload().get("aud") {
        Some(Value::String(one)) => one.as_str(),
        // A one-member array is what several libraries send for a single value.
        Some(Value::Array(many)) => match many.as_slice() {
            [Value::String(one)] => one.as_str(),
            _ => return false,
        },
        _ => return false,
    };
    sole == law.issuer
        || (rule == AssertionAudience::IssuerOrTokenEndpoint && sole == law.token_endpoint())
}

/// The key under which one use of a thing is remembered.
fn replay_key(kind: &str, issuer: &str, id: &str) -> [u8; 32] {
    let mut input = Vec::with_capacity(kind.len() + issuer.len() + id.len() + 16);
    for part in [kind, issuer, id] {
        input.extend_from_slice(&(part.len() as u64).to_be_bytes());
        input.extend_from_slice(part.as_bytes());
    }
    sha256(&input)
}
