//! What an operator revokes: one thing, named as people name it, and the revocations that it takes.
//!
//! Personal values come in as arguments and leave as digests. One person is many targets: one for
//! each region that reads digests of this region's people, under each version of the digest key.

use std::{collections::BTreeSet, fmt};

use super::{ListId, PERSON_CUTOFF_LIFETIME, StatusReference};
use crate::{
    client::ClientId,
    law::Law,
    ledger::{Mode, Revoke, StatusTarget, Target},
    region::RegionNumber,
    seal::{DigestKey, SealKeys},
    subject::Subject,
    time::{Ttl, UnixTime},
    token::RegionalToken,
    trust::Upstream,
};

/// Longest block: as long as the ledger keeps anything; it can be renewed.
pub const BLOCK_MAX: Ttl = Ttl::from_seconds(400 * 24 * 3_600);
/// How long a session's cut-off is kept: longer than providers keep a login alive.
pub const SESSION_CUTOFF_LIFETIME: Ttl = Ttl::from_seconds(60 * 24 * 3_600);
/// How long the cut-off of a client or list is kept: longer than any token of a region lives.
pub const TOKENS_CUTOFF_LIFETIME: Ttl = Ttl::from_seconds(24 * 3_600);
/// How long the end of a block is kept by itself; what it leaves behind was there before.
const LIFT_LIFETIME: Ttl = Ttl::from_seconds(3_600);

/// What is revoked.
#[derive(Clone, Copy)]
pub enum Named<'a> {
    /// A client of the region.
    Client(&'a ClientId),
    /// Every token of a list of the region.
    List(ListId),
    /// A login session at a provider.
    Session(Party<'a>),
    /// A person, or a service, of a provider.
    Subject(Party<'a>),
    /// A token of the region.
    Token(&'a RegionalToken),
}

/// A value of a provider. Personal: it is neither logged nor recorded.
#[derive(Clone, Copy)]
pub struct Party<'a> {
    /// Name of the `[[upstream]]`.
    pub upstream: &'a str,
    /// Its tenant, where it has several.
    pub tenant: Option<&'a str>,
    /// The subject's value, or the session's.
    pub value: &'a str,
    /// Whether the subject is a service and no person.
    pub service: bool,
}

/// How it is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// What was issued or begun before is dead.
    Cutoff,
    /// As a cut-off, and nothing is issued for so long.
    Block(Ttl),
    /// A block ends.
    Lift,
}

/// Why nothing is revoked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// The region has no number in the ledger.
    #[error("the region has no `number` in federation.toml: only single tokens are revoked here")]
    Alone,
    /// The block is longer than it may be.
    #[error("a block lasts 1 s to {} days: renew it before it ends", BLOCK_MAX.seconds() / 86_400)]
    BlockLength,
    /// The token has expired.
    #[error("the token has expired: there is nothing to revoke")]
    Expired,
    /// Tokens and lists have no block.
    #[error("a token or a list is cut off for ever: it is neither blocked nor lifted")]
    NotBlockable,
    /// The region has no such client.
    #[error("the region has no such client: `[[client]]` of the region file lists them")]
    UnknownClient,
    /// The region has no such provider.
    #[error("the region has no such upstream, or not this tenant: see `[[upstream]]`")]
    UnknownUpstream,
}

impl fmt::Debug for Party<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Party").field("upstream", &self.upstream).finish_non_exhaustive()
    }
}

impl Named<'_> {
    /// The kind of thing, for records.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Client(_) => "client",
            Self::List(_) => "list",
            Self::Session(_) => "session",
            Self::Subject(_) => "subject",
            Self::Token(_) => "token",
        }
    }

    /// Its name, where that is no person's.
    #[must_use]
    pub fn public_name(&self) -> Option<String> {
        match self {
            Self::Client(id) => Some(id.to_string()),
            Self::List(list) => Some(list.to_string()),
            Self::Token(token) => Some(token.token_id().to_owned()),
            Self::Session(_) | Self::Subject(_) => None,
        }
    }
}

/// The revocations that it takes, to be proposed at once.
///
/// # Errors
/// See [`OrderError`].
pub fn order(
    law: &Law,
    keys: &SealKeys,
    (named, measure): (Named<'_>, Measure),
    now: UnixTime,
) -> Result<Vec<Revoke>, OrderError> {
    let owner = law.region_number().ok_or(OrderError::Alone)?;
    if let Measure::Block(length) = measure
        && !(1..=BLOCK_MAX.seconds()).contains(&length.seconds())
    {
        return Err(OrderError::BlockLength);
    }
    let cutoff_only = matches!(named, Named::Token(_) | Named::List(_));
    if cutoff_only && measure != Measure::Cutoff {
        return Err(OrderError::NotBlockable);
    }
    let (targets, kept) = match named {
        Named::Token(token) => {
            let StatusReference { list, index } = token.status();
            if token.expires() <= now {
                return Err(OrderError::Expired);
            }
            let target = Target::Status(StatusTarget { list, index });
            return Ok(vec![cutoff(owner, target, token.expires())]);
        }
        Named::List(list) => (vec![Target::List(list)], TOKENS_CUTOFF_LIFETIME),
        Named::Client(id) => {
            law.clients.get(id).ok_or(OrderError::UnknownClient)?;
            (vec![Target::Client(id.number())], TOKENS_CUTOFF_LIFETIME)
        }
        Named::Session(party) => {
            let session = subject(law, party)?;
            let of = |reader, key: &DigestKey| key.session(reader, &session).target();
            (for_all_readers(law, keys, owner, of), SESSION_CUTOFF_LIFETIME)
        }
        Named::Subject(party) => {
            let subject = subject(law, party)?;
            let of = |reader, key: &DigestKey| {
                let digest = if party.service {
                    key.service(reader, &subject)
                } else {
                    key.subject(reader, &subject)
                };
                digest.target()
            };
            (for_all_readers(law, keys, owner, of), PERSON_CUTOFF_LIFETIME)
        }
    };
    Ok(targets
        .into_iter()
        .flat_map(|target| measured(owner, target, (measure, kept), now))
        .collect())
}

/// Whether a provider's login can come back after a cut-off: it names no session, and where its
/// tokens have no `auth_time` either, those of an old login look like those of a new one.
#[must_use]
pub fn may_return(law: &Law, named: &Named<'_>) -> bool {
    let Named::Subject(party) = named else { return false };
    upstream(law, *party).is_some_and(|upstream| upstream.profile.session.is_empty())
}

/// A block is a cut-off with its own end, and a block: the time of the cut-off is told by that end.
fn measured(
    owner: RegionNumber,
    target: Target,
    (measure, kept): (Measure, Ttl),
    now: UnixTime,
) -> Vec<Revoke> {
    let made = cutoff(owner, target, now.plus(kept));
    let with = |mode, length| Revoke { mode, expires_at: now.plus(length), ..made };
    match measure {
        Measure::Cutoff => vec![made],
        // Longer than the cut-off it would tell another time.
        Measure::Block(length) => {
            let length = length.min(PERSON_CUTOFF_LIFETIME);
            vec![made, with(Mode::Block, length)]
        }
        Measure::Lift => vec![with(Mode::Lift, LIFT_LIFETIME)],
    }
}

const fn cutoff(owner: RegionNumber, target: Target, expires_at: UnixTime) -> Revoke {
    Revoke { owner, target, mode: Mode::Cutoff, expires_at }
}

fn subject<'a>(law: &'a Law, party: Party<'a>) -> Result<Subject<'a>, OrderError> {
    let upstream = upstream(law, party).ok_or(OrderError::UnknownUpstream)?;
    let tenant = upstream.tenant.as_deref();
    Ok(Subject { issuer: &upstream.issuer, tenant, value: party.value })
}

fn upstream<'a>(law: &'a Law, party: Party<'_>) -> Option<&'a Upstream> {
    let is = |upstream: &&Upstream| {
        upstream.name == party.upstream && upstream.tenant.as_deref() == party.tenant
    };
    law.upstreams.values().find(is)
}

/// The region itself, each that a transfer rule can send people to, and each that may be asked
/// about tokens.
fn for_all_readers(
    law: &Law,
    keys: &SealKeys,
    own: RegionNumber,
    target: impl Fn(RegionNumber, &DigestKey) -> Target,
) -> Vec<Target> {
    let sent = law.transfers.values().filter_map(|rule| law.region_numbers.get(&rule.to).copied());
    let mut readers: BTreeSet<RegionNumber> = law.foreign_readers().into_keys().collect();
    readers.extend(sent);
    readers.insert(own);
    let of_reader = |reader| keys.digest.all().map(move |key| (reader, key));
    readers.into_iter().flat_map(of_reader).map(|(reader, key)| target(reader, key)).collect()
}
