//! Tokens of other regions, judged here from what is replicated: their region's keys, what was
//! revoked anywhere, and the block that is sealed in them for this region. Nobody is called.

use std::fmt;

use crate::{
    jose::{UnverifiedJws, from_base64url},
    law::Law,
    ledger::{Fixed, KeyPurpose, KeyThumbprint, Ledger},
    region::RegionNumber,
    revocation::Revocable,
    seal::SealKeys,
    time::UnixTime,
    token::RegionalToken,
};

/// A token of another region whose signature was checked. It can be kept and presented again: every
/// use asks anew whether the region still answers for the key.
#[derive(Clone)]
pub struct ForeignToken {
    token: RegionalToken,
    source: RegionNumber,
    kid: KeyThumbprint,
}

/// Why a text is no such token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotForeign {
    /// It is of a region, but under a key of which this node has not heard: it may be too new.
    #[error(
        "the key of the token is none that its region has published, as far as this node knows"
    )]
    KeyUnknown,
    /// It is no token of another region of the federation, or none that can be valid.
    #[error("it is no token of another region")]
    NoToken,
}

impl ForeignToken {
    /// Verifies a token that another region of the federation should have issued.
    ///
    /// # Errors
    /// See [`NotForeign`].
    pub fn verify(
        jws: &UnverifiedJws,
        law: &Law,
        ledger: &Ledger,
        now: UnixTime,
    ) -> Result<Self, NotForeign> {
        let (source, issuer) = source(jws, law).ok_or(NotForeign::NoToken)?;
        let kid = jws.kid().and_then(from_base64url).and_then(|kid| kid.try_into().ok());
        let kid = Fixed(kid.ok_or(NotForeign::NoToken)?);
        ledger.key(source, kid).ok_or(NotForeign::KeyUnknown)?;
        let row = ledger.verifying_key(source, kid, now).ok_or(NotForeign::NoToken)?;
        if row.purpose != KeyPurpose::AccessToken {
            return Err(NotForeign::NoToken);
        }
        let key = row.key.to_public().map_err(|_| NotForeign::NoToken)?;
        let token = RegionalToken::verify_with(jws, &key, issuer).ok_or(NotForeign::NoToken)?;
        Ok(Self { token, source, kid })
    }

    /// Opens what is sealed in it for this region.
    #[must_use]
    pub fn open(self, keys: &SealKeys) -> Self {
        Self { token: self.token.open_from(self.source, keys), ..self }
    }

    /// Whether its region still answers for the key that signed it.
    #[must_use]
    pub fn is_vouched_for(&self, ledger: &Ledger, now: UnixTime) -> bool {
        ledger.verifying_key(self.source, self.kid, now).is_some()
    }

    /// The token.
    #[must_use]
    pub const fn token(&self) -> &RegionalToken {
        &self.token
    }

    /// What a revocation can name of it.
    #[must_use]
    pub fn revocable(&self) -> Revocable<'_> {
        Revocable { issuer: Some(self.source), ..self.token.revocable() }
    }
}

/// The region that a token claims, if it is another one of the federation.
fn source<'a>(jws: &UnverifiedJws, law: &'a Law) -> Option<(RegionNumber, &'a str)> {
    let claimed = jws.issuer()?;
    let others = law.region_issuers.iter().filter(|(id, _)| **id != law.region);
    let (id, issuer) = others.into_iter().find(|(_, issuer)| *issuer == claimed)?;
    Some((*law.region_numbers.get(id)?, issuer))
}

impl fmt::Debug for ForeignToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForeignToken").field("source", &self.source).finish_non_exhaustive()
    }
}
