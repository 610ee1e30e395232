//! Trust in global identity providers: whose tokens are read, how each of them says what, and
//! whether a verified token is meant for this region at all.
//!
//! Providers put the same fact in different places; a [`Profile`] says where, so that the rest of
//! the crate asks for "the session" and never for `sid` or `origin_jti`. Profiles are filled from
//! presets by the configuration. Fetching keys is not done here.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::{
    claims::Pointer,
    jose::Algorithm,
    region::RegionId,
    time::{Ttl, UnixTime},
};

/// One exact issuer whose tokens a region reads. An upstream with tenants is one of these for
/// each tenant.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// The name that rules and records use for it.
    pub name: String,
    /// The exact `iss`, byte for byte.
    pub issuer: String,
    /// The tenant, where the issuer is one of several of a template.
    pub tenant: Option<String>,
    /// Signature algorithms that are believed, most wanted first.
    pub algorithms: Vec<Algorithm>,
    /// Where this provider's tokens say what.
    pub profile: Profile,
    /// `aud` values that mark a token as meant for this federation; one of them must be there.
    pub audience: Vec<String>,
    /// Whose people these are.
    pub home: HomeRegion,
    /// How scopes of the global token become scopes here.
    pub scopes: ScopeRule,
    /// Known authentication context classes, weakest first.
    pub acr_order: Vec<String>,
    /// How far the provider's clock may be off.
    pub clock_slack: Ttl,
    /// Longest lifetime (`exp` − `iat`) that a token of this provider may have.
    pub lifetime_max: Ttl,
}

/// Where a provider's tokens say what. Every pointer is a JSON Pointer into the payload.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// `typ` header values of an access token, lower-case, without `application/`.
    pub access_typ: Vec<String>,
    /// Whether an access token may come without `typ`.
    pub access_typ_absent: bool,
    /// `typ` header values of an ID token; absent is always accepted for one.
    pub id_typ: Vec<String>,
    /// What tells an access token from an ID token: all must hold for an access token.
    pub access_markers: Vec<Marker>,
    /// What tells an ID token from an access token: all must hold for an ID token.
    pub id_markers: Vec<Marker>,
    /// Where the audience of an access token stands. An ID token has it in `/aud`.
    pub audience: Vec<Pointer>,
    /// Where the client that got the token stands (`azp`, `appid`, `cid`, …).
    pub client: Vec<Pointer>,
    /// Where the subject stands.
    pub subject: Vec<Pointer>,
    /// Where the session stands, if the provider has one.
    pub session: Vec<Pointer>,
    /// Where the scope stands: a space-separated string or an array of strings.
    pub scope: Vec<Pointer>,
    /// Where the authentication context class stands.
    pub acr: Vec<Pointer>,
    /// What marks a token of a service rather than of a person; any one suffices.
    pub service: Vec<Marker>,
    /// A claim of the tokens that must equal the tenant.
    pub tenant: Option<Pointer>,
}

/// A fact about a payload that tells one kind of token from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Marker {
    /// All of these facts hold.
    All(Vec<Self>),
    /// The member is there.
    Present(Pointer),
    /// The member is not there.
    Absent(Pointer),
    /// The member is this text.
    Equals(Pointer, String),
    /// The member is a text with this ending.
    EndsWith(Pointer, String),
    /// The member is a text with this beginning.
    StartsWith(Pointer, String),
    /// Both members are there and equal.
    Same(Pointer, Pointer),
    /// The first member is the text of the second with this ending.
    SameWithEnding(Pointer, Pointer, String),
}

impl Marker {
    /// Whether the fact holds.
    #[must_use]
    pub fn holds(&self, payload: &Map<String, Value>) -> bool {
        let text = |p: &Pointer| p.select(payload).and_then(Value::as_str);
        match self {
            Self::All(all) => all.iter().all(|marker| marker.holds(payload)),
            Self::Present(p) => p.select(payload).is_some(),
            Self::Absent(p) => p.select(payload).is_none(),
            Self::Equals(p, wanted) => text(p) == Some(wanted),
            Self::EndsWith(p, end) => text(p).is_some_and(|t| t.ends_with(end.as_str())),
            Self::StartsWith(p, start) => text(p).is_some_and(|t| t.starts_with(start.as_str())),
            Self::Same(a, b) => {
                let found = a.select(payload);
                found.is_some() && found == b.select(payload)
            }
            Self::SameWithEnding(a, b, end) => {
                let stem = text(a).and_then(|t| t.strip_suffix(end.as_str()));
                stem.is_some() && stem == text(b)
            }
        }
    }
}

/// Which region a person of an upstream belongs to. Alike in the whole federation.
#[derive(Clone, Debug)]
pub struct HomeRegion {
    /// How a person's home region is found.
    pub people: PeopleHome,
    /// Where services are at home.
    pub services: ServicesHome,
}

/// How a person's home region is found.
#[derive(Clone, Debug)]
pub enum PeopleHome {
    /// Every person of this upstream is at home in one region.
    Fixed(RegionId),
    /// A claim says so; a missing or unlisted value is refused.
    Claim {
        /// Where the claim stands.
        from: Pointer,
        /// Value of the claim to region.
        map: BTreeMap<String, RegionId>,
    },
}

/// Where services of an upstream are at home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServicesHome {
    /// In whichever region they come to.
    Here,
    /// In one region.
    Region(RegionId),
    /// Nowhere: their tokens are refused.
    Refuse,
}

/// How scopes of a global token become scopes of the region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScopeRule {
    /// The token must carry each scope, by the same name or by the name that the map gives
    /// (global scope to regional scopes).
    FromToken(BTreeMap<String, Vec<String>>),
    /// The token's scopes mean nothing here: the resource's and the client's lists decide alone.
    ByPolicy,
}

/// What a cut-off of time says about a token: too old, or not yet valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeFault {
    /// `exp` has passed.
    Expired,
    /// `exp`, `iat` or `nbf` is missing, no whole number, or they contradict each other.
    Malformed,
    /// `iat` or `nbf` lies in the future beyond the slack.
    NotYetValid,
    /// `exp` − `iat` is longer than allowed.
    TooLong,
}

/// Checks `exp` of a payload alone (RFC 7519 section 4.1.4). It is required, a whole number of
/// seconds, and exact: slack is given to the issuer's clock only for the start.
///
/// # Errors
/// [`TimeFault::Malformed`] or [`TimeFault::Expired`].
pub fn check_expiry(payload: &Map<String, Value>, now: UnixTime) -> Result<UnixTime, TimeFault> {
    let expires = time(payload, "exp")?.ok_or(TimeFault::Malformed)?;
    if expires <= now { Err(TimeFault::Expired) } else { Ok(expires) }
}

/// Checks `exp`, `nbf` and `iat` of a payload (RFC 7519 sections 4.1.4 to 4.1.6) and returns `exp`.
///
/// Without `iat` the lifetime counts from `nbf`, without both from now.
///
/// # Errors
/// See [`TimeFault`].
pub fn check_times(
    payload: &Map<String, Value>,
    now: UnixTime,
    slack: Ttl,
    lifetime_max: Ttl,
) -> Result<UnixTime, TimeFault> {
    let expires = check_expiry(payload, now)?;
    let issued = time(payload, "iat")?;
    let not_before = time(payload, "nbf")?;
    let latest_start = now.plus(slack);
    if [issued, not_before].into_iter().flatten().any(|start| start > latest_start) {
        return Err(TimeFault::NotYetValid);
    }
    let starts = issued.or(not_before).unwrap_or(now);
    if starts >= expires {
        return Err(TimeFault::Malformed);
    }
    if expires.since(starts) > u64::from(lifetime_max.seconds()) {
        return Err(TimeFault::TooLong);
    }
    Ok(expires)
}

/// A time that may be absent. RFC 7519 section 2 allows fractions; no provider sends them, and two
/// readers would round them differently.
fn time(payload: &Map<String, Value>, name: &str) -> Result<Option<UnixTime>, TimeFault> {
    let Some(value) = payload.get(name) else { return Ok(None) };
    value.as_u64().map(UnixTime::from_seconds).map(Some).ok_or(TimeFault::Malformed)
}
