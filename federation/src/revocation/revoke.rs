//! The decision about a revocation request (RFC 7009).

use super::StatusReference;
use crate::{
    authenticate::AuthenticatedClient,
    jose::UnverifiedJws,
    law::Law,
    refusal::{self, RefusalId},
    time::UnixTime,
    token::RegionalToken,
};

/// One revoked token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Its place.
    pub status: StatusReference,
    /// When it expires anyway.
    pub expires: UnixTime,
}

/// What to do about a revocation request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevokeDecision {
    /// Revoke this token.
    Revoke {
        /// Its place and expiry.
        revocation: Revocation,
        /// Its `jti`.
        token_id: String,
    },
    /// The token is unknown or expired: there is nothing to do, and the answer is 200
    /// (RFC 7009 section 2.2).
    Nothing,
    /// The request is refused.
    Refused(RefusalId),
}

/// Decides about a revocation request. `token` is the token, if its signature verified under a
/// key of this region; `read` is what the text says without that.
#[must_use]
pub fn revoke(
    law: &Law,
    caller: &AuthenticatedClient<'_>,
    token: Option<&RegionalToken>,
    read: Option<&UnverifiedJws>,
    now: UnixTime,
) -> RevokeDecision {
    let Some(token) = token else {
        let foreign = read.and_then(UnverifiedJws::issuer);
        return match foreign {
            // Told plainly, since 200 would let the client believe that the token is dead.
            Some(issuer) if law.upstreams.contains_key(issuer) || is_other_region(law, issuer) => {
                RevokeDecision::Refused(refusal::TOKEN_TYPE_NOT_REVOCABLE)
            }
            _ => RevokeDecision::Nothing,
        };
    };
    if token.client_id() != caller.client().id.as_str() {
        return RevokeDecision::Refused(refusal::TOKEN_OF_ANOTHER_CLIENT);
    }
    if token.expires() <= now {
        return RevokeDecision::Nothing;
    }
    RevokeDecision::Revoke {
        revocation: Revocation { status: token.status(), expires: token.expires() },
        token_id: token.token_id().to_owned(),
    }
}

/// Whether it is the issuer of another region of the federation, which alone revokes its tokens.
fn is_other_region(law: &Law, issuer: &str) -> bool {
    issuer != law.issuer && law.region_issuers.values().any(|region| region == issuer)
}
