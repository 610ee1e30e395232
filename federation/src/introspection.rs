//! The decision about an introspection request (RFC 7662) and its signed answer (RFC 9701).

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    authenticate::AuthenticatedClient,
    client::{Client, ClientId},
    foreign::ForeignToken,
    freshness::{self, Freshness, Traffic, ViewFacts},
    jose::UnverifiedJws,
    law::{Law, Resource},
    ledger::Ledger,
    refusal::{self, RefusalId},
    revocation::RevocationView,
    seal::PRIVATE_PREFIX,
    time::UnixTime,
    token::RegionalToken,
};

/// Whether an answer has a member of a token: the status reference is for offline verifiers, and
/// what is private to the regions for nobody.
fn is_answered(name: &str) -> bool {
    name != "status" && !name.starts_with(PRIVATE_PREFIX)
}

/// Members of a token that another region may tell.
const ANSWERED_ABROAD: [&str; 7] = ["iss", "aud", "exp", "iat", "client_id", "scope", "cnf"];

/// What an introspection answers. An inactive token has no other member (RFC 9701 section 5).
#[derive(Clone, PartialEq)]
pub struct Introspection {
    members: Map<String, Value>,
}

impl Introspection {
    /// Whether the token is active.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.members.get("active") == Some(&Value::Bool(true))
    }

    /// The answer's members, for the caller.
    #[must_use]
    pub const fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    /// The payload of a signed answer: `iss`, `aud`, `iat` and the answer under
    /// `token_introspection` (RFC 9701 section 5). `aud` is the caller's client id; `as_of` is the
    /// moment that the view of revocations was complete at.
    #[must_use]
    pub fn to_signed_payload(
        &self,
        law: &Law,
        caller: &str,
        (now, as_of): (UnixTime, UnixTime),
    ) -> impl Serialize + use<> {
        json!({
            "iss": law.issuer,
            "aud": caller,
            "iat": now,
            "as_of": as_of,
            "token_introspection": self.members,
        })
    }

    fn inactive() -> Self {
        Self { members: Map::from_iter([("active".to_owned(), Value::Bool(false))]) }
    }
}

impl std::fmt::Debug for Introspection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Introspection").field("active", &self.is_active()).finish_non_exhaustive()
    }
}

/// Decides what to answer to `caller` about a token. `token` is `None` if the text is no token
/// whose signature verifies under a key of this region.
#[must_use]
pub fn introspect(
    law: &Law,
    caller: &AuthenticatedClient<'_>,
    token: Option<&RegionalToken>,
    revocations: &RevocationView,
    now: UnixTime,
) -> Introspection {
    let Some(token) = token else { return Introspection::inactive() };
    let resource = law.resources.get(token.audience());
    let named = resource.is_some_and(|resource| may_ask(caller.client(), resource));
    // A client that left the register takes its tokens with it.
    let client_stands = law.clients.contains_key(&ClientId::new(token.client_id()));
    let alive = token.expires() > now && !revocations.is_revoked(&token.revocable(), now);
    // Without what is sealed nothing tells whether the token is revoked by anything but itself.
    let known = token.sealed().is_ok();
    if !(named && client_stands && alive && known) {
        return Introspection::inactive();
    }
    let mut members = token.payload().clone();
    members.retain(|name, _| is_answered(name));
    members.insert("active".to_owned(), Value::Bool(true));
    members.insert("token_type".to_owned(), json!("Bearer"));
    Introspection { members }
}

/// Decides what to answer to `caller` about a token of another region: protocol members alone, to
/// whom the token's audience names here. Claims of people abroad are for border grants.
#[must_use]
pub fn introspect_foreign(
    law: &Law,
    caller: &AuthenticatedClient<'_>,
    token: &ForeignToken,
    (ledger, revocations): (&Ledger, &RevocationView),
    now: UnixTime,
) -> Introspection {
    let whole = token.token();
    let named = law.resources.get(whole.audience());
    let named = named.is_some_and(|resource| may_ask(caller.client(), resource));
    // Without a block for this region nothing tells by what the token may be revoked.
    let known = whole.sealed().is_ok() && token.is_vouched_for(ledger, now);
    let alive = whole.expires() > now && !revocations.is_revoked(&token.revocable(), now);
    if !(named && known && alive) {
        return Introspection::inactive();
    }
    let mut members = whole.payload().clone();
    members.retain(|name, _| ANSWERED_ABROAD.contains(&name.as_str()));
    members.insert("active".to_owned(), Value::Bool(true));
    members.insert("token_type".to_owned(), json!("Bearer"));
    Introspection { members }
}

/// Judges how old the view of revocations is for an answer about a token. `token` is as in
/// [`introspect`]; `read` is what a text says that is no token of this region. Whether it is one of
/// another region is believed without a signature: that only makes the answer stricter.
#[must_use]
pub fn judge_view(
    law: &Law,
    token: Option<&RegionalToken>,
    read: Option<&UnverifiedJws>,
    view: &ViewFacts,
) -> Freshness {
    let Some(token) = token else {
        let issuer = read.and_then(UnverifiedJws::issuer).filter(|issuer| *issuer != law.issuer);
        let elsewhere = law.region_issuers.values().any(|region| issuer == Some(region));
        let traffic = if elsewhere { Traffic::Border } else { Traffic::Resident };
        return freshness::judge(&law.freshness, traffic, view);
    };
    let resource = law.resources.get(token.audience());
    let bounds = resource.map_or(&law.freshness, |resource| &resource.freshness);
    freshness::judge(bounds, Traffic::Resident, view)
}

/// Whether a client may follow what is revoked here: whoever may ask about tokens for a resource.
/// Who follows learns places in lists, which belong to no tenant.
///
/// # Errors
/// [`refusal::FEED_NOT_ALLOWED`].
pub fn may_follow(law: &Law, caller: &AuthenticatedClient<'_>) -> Result<(), RefusalId> {
    let mut resources = law.resources.values();
    let named = resources.any(|resource| may_ask(caller.client(), resource));
    if named { Ok(()) } else { Err(refusal::FEED_NOT_ALLOWED) }
}

/// A caller of one tenant learns nothing about tokens for a resource that serves others as well.
fn may_ask(caller: &Client, resource: &Resource) -> bool {
    resource.introspect_as.contains(&caller.id)
        && (caller.tenant.is_none() || caller.tenant == resource.tenant)
}
