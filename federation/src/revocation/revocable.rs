//! What a revocation can name: of a token that is judged, and of a login that asks for one.

use super::StatusReference;
use crate::{
    ledger::{Fixed, Lix, Target},
    region::RegionNumber,
    seal::{Ancestor, Trailer},
    time::{Ttl, UnixTime},
};

/// How long the cut-off of a person is kept, and so how long after it an old login is still known
/// to be one: as long as the ledger keeps anything, but for an hour by which its time may be behind.
///
/// A row of the ledger has no time of its cut-off. Every cut-off of a person is proposed with an end
/// that is this far away, so that its time is known: see [`cutoff_time`].
pub const PERSON_CUTOFF_LIFETIME: Ttl = Ttl::from_seconds(400 * 24 * 3_600 - 3_600);

/// The region that owns something, and its digest there.
pub type OwnedDigest = (RegionNumber, Fixed<16>);

/// Everything of a token that a revocation can name. What is not known of a token is `None` or
/// empty, and an unknown `lix` is the default one, which every cut-off covers.
#[derive(Clone, Copy, Debug)]
pub struct Revocable<'a> {
    /// The region that issued it; `None` means this one.
    pub issuer: Option<RegionNumber>,
    /// Its place in a status list.
    pub status: StatusReference,
    /// What its node had applied when it was issued.
    pub lix: Lix,
    /// The client that got it: the region that registered it, and its number there.
    pub client: Option<(RegionNumber, u32)>,
    /// The person, by the digest that the home region made for this reader.
    pub subject: Option<OwnedDigest>,
    /// The login session, likewise.
    pub session: Option<OwnedDigest>,
    /// The transfer rule that it was issued under: the region that made the rule, and its number.
    pub rule: Option<(RegionNumber, u32)>,
    /// The tokens that it was derived from.
    pub ancestors: &'a [Ancestor],
}

impl<'a> Revocable<'a> {
    /// A token of this region of which nothing but its place is known.
    #[must_use]
    pub const fn of_status(status: StatusReference) -> Self {
        Self {
            issuer: None,
            status,
            lix: Lix { epoch: 0, index: 0 },
            client: None,
            subject: None,
            session: None,
            rule: None,
            ancestors: &[],
        }
    }

    /// A token of this region with what is sealed in it.
    #[must_use]
    pub fn of_trailer(status: StatusReference, trailer: &'a Trailer) -> Self {
        let owned = |digest: Option<Fixed<16>>| trailer.home.zip(digest);
        Self {
            issuer: None,
            status,
            lix: trailer.lix,
            client: trailer.client.region.map(|region| (region, trailer.client.number)),
            subject: owned(trailer.subject.map(|digest| digest.fixed())),
            session: owned(trailer.session.map(|digest| digest.fixed())),
            rule: trailer.rule.map(|rule| (rule.region, rule.number)),
            ancestors: trailer.ancestors.items(),
        }
    }

    /// What a cut-off can name of it, but for lists.
    pub(super) fn targets(&self) -> impl Iterator<Item = (RegionNumber, Target)> {
        let subject = self.subject.map(|(owner, digest)| (owner, Target::Subject(digest)));
        let session = self.session.map(|(owner, digest)| (owner, Target::Session(digest)));
        let client = self.client.map(|(owner, number)| (owner, Target::Client(number)));
        let rule = self.rule.map(|(owner, number)| (owner, Target::TransferRule(number)));
        [subject, session, client, rule].into_iter().flatten()
    }
}

/// A person's login at a global provider, as far as revocations name it.
#[derive(Clone, Copy, Debug)]
pub struct Login {
    /// The person, by the digest that the home region made for this reader.
    pub subject: Option<OwnedDigest>,
    /// The session, likewise; `None` if the provider sends none.
    pub session: Option<OwnedDigest>,
    /// When the person logged in (`auth_time`), or, where the provider does not tell, when the
    /// global token was issued.
    pub authenticated: UnixTime,
    /// By how much the provider's clock may be ahead of the federation's.
    pub clock_slack: Ttl,
}

/// Whether something may be issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Nothing is in the way.
    Free,
    /// The login was before a cut-off: a new one is needed.
    LoggedOut,
    /// Nothing is issued until a block is lifted or ends.
    Blocked,
    /// A revocation is proposed and not yet applied here: what is issued now might be dead at once,
    /// or be alive although somebody was told that it is not.
    Undecided,
}

/// When the cut-off of a person was made, by the clock of who proposed it.
#[must_use]
pub const fn cutoff_time(expires_at: UnixTime) -> UnixTime {
    expires_at.minus(PERSON_CUTOFF_LIFETIME)
}

impl Login {
    /// Whether a cut-off with this end covers the login.
    #[must_use]
    pub fn is_before(&self, expires_at: UnixTime) -> bool {
        self.authenticated <= cutoff_time(expires_at).plus(self.clock_slack)
    }
}
