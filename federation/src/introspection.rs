//! The decision about an introspection request (RFC 7662) and its signed answer (RFC 9701).

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    authenticate::AuthenticatedClient,
    client::{Client, ClientId},
    law::{Law, Resource},
    refusal::{self, RefusalId},
    revocation::RevocationView,
    time::UnixTime,
    token::RegionalToken,
};

/// Members of a token that an answer leaves out: the status reference is for offline verifiers.
const NOT_ANSWERED: [&str; 1] = ["status"];

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
    /// `token_introspection` (RFC 9701 section 5). `aud` is the caller's client id.
    #[must_use]
    pub fn to_signed_payload(
        &self,
        law: &Law,
        caller: &str,
        now: UnixTime,
    ) -> impl Serialize + use<> {
        json!({
            "iss": law.issuer,
            "aud": caller,
            "iat": now,
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
    let alive = token.expires() > now && !revocations.is_revoked(token.status());
    if !(named && client_stands && alive) {
        return Introspection::inactive();
    }
    let mut members = token.payload().clone();
    for name in NOT_ANSWERED {
        members.remove(name);
    }
    members.insert("active".to_owned(), Value::Bool(true));
    members.insert("token_type".to_owned(), json!("Bearer"));
    Introspection { members }
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
