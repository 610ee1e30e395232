//! Refusals: every reason for which a region says no, with its stable id, the OAuth code it maps
//! to, and the text that explains it. This table is the error catalogue: clients, operators,
//! audit records, metrics and documentation all read it.
//!
//! Ids are coarse on purpose: causes that differ only in a fact about a person share one. Texts
//! are fixed; nothing from a request is ever part of them.

use std::fmt;

use crate::oauth::ErrorCode;

/// A stable reason for a refusal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefusalId(&'static Entry);

/// One line of the error catalogue.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Entry {
    id: &'static str,
    status: u16,
    code: ErrorCode,
    description: &'static str,
    remedy: &'static str,
}

impl RefusalId {
    /// The id, as it stands in `error_uri`, audit records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0.id
    }

    /// The HTTP status that goes with it.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.0.status
    }

    /// The OAuth error code.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        self.0.code
    }

    /// What happened, for `error_description`: fixed text.
    #[must_use]
    pub const fn description(self) -> &'static str {
        self.0.description
    }

    /// What the reader can do about it.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        self.0.remedy
    }

    /// Finds an id in the catalogue.
    #[must_use]
    pub fn find(id: &str) -> Option<Self> {
        Self::catalogue().find(|refusal| refusal.as_str() == id)
    }

    /// Every reason, in the catalogue's order.
    pub fn catalogue() -> impl Iterator<Item = Self> {
        CATALOGUE.iter().copied()
    }
}

impl fmt::Debug for RefusalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.id)
    }
}

impl fmt::Display for RefusalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.id)
    }
}

/// A refusal: the reason, and the few facts that a client needs to do better. Expected, audited,
/// and a value: the caller renders it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub id: RefusalId,
    /// What the client may be told beyond the reason.
    pub hint: Option<Hint>,
}

/// What a client may be told beyond the reason. Never a fact about a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// The authentication that the target asks for (RFC 9470 section 3).
    Authentication {
        /// Weakest context class that is accepted.
        acr_values: Option<String>,
        /// Oldest authentication that is accepted, in seconds.
        max_age: Option<u32>,
    },
    /// The issuer of the region in which this person is at home. A name, not an endpoint.
    HomeIssuer(String),
}

impl From<RefusalId> for Refusal {
    fn from(id: RefusalId) -> Self {
        Self { id, hint: None }
    }
}

macro_rules! catalogue {
    ($($name:ident = $id:literal, $status:literal $code:ident, $description:literal, $remedy:literal;)*) => {
        $(
            #[doc = concat!("`", $id, "`: ", $description)]
            pub const $name: RefusalId = RefusalId(&Entry {
                id: $id,
                status: $status,
                code: ErrorCode::$code,
                description: $description,
                remedy: $remedy,
            });
        )*
        static CATALOGUE: &[RefusalId] = &[$($name),*];
    };
}

catalogue! {
    REQUEST_MALFORMED = "request_malformed", 400 InvalidRequest,
        "The request body is not a form that can be read.",
        "Send `application/x-www-form-urlencoded` in UTF-8, at most 64 KiB and 64 parameters.";
    CONTENT_TYPE_UNSUPPORTED = "content_type_unsupported", 415 InvalidRequest,
        "The content type or encoding of the request is not supported.",
        "Send `Content-Type: application/x-www-form-urlencoded` without a content encoding.";
    BODY_TOO_LARGE = "body_too_large", 413 InvalidRequest,
        "The request body is too large.",
        "Send at most 64 KiB; a token has at most 16 KiB.";
    BODY_TOO_SLOW = "body_too_slow", 408 InvalidRequest,
        "The request body did not arrive in time.",
        "Send the whole request at once.";
    PARAMETER_IN_QUERY = "parameter_in_query", 400 InvalidRequest,
        "Parameters stand in the URL.",
        "Send every parameter in the body: URLs are logged on their way.";
    PARAMETER_MISSING = "parameter_missing", 400 InvalidRequest,
        "A required parameter is missing.",
        "Compare the request with RFC 8693 section 2.1, RFC 7662 section 2.1 or RFC 7009 section 2.1.";
    PARAMETER_REPEATED = "parameter_repeated", 400 InvalidRequest,
        "A parameter stands more than once.",
        "Send each parameter once; only `resource` and `audience` may repeat, and then must agree.";
    GRANT_TYPE_UNSUPPORTED = "grant_type_unsupported", 400 UnsupportedGrantType,
        "This grant type is not offered here.",
        "Use `urn:ietf:params:oauth:grant-type:token-exchange`.";
    GRANT_NOT_ALLOWED = "grant_not_allowed", 400 UnauthorizedClient,
        "This client may not use this grant.",
        "Add the grant to `grants` of the client in the region file.";
    CLIENT_AUTHENTICATION_MISSING = "client_authentication_missing", 401 InvalidClient,
        "The client did not authenticate.",
        "Authenticate by the method that the client is registered for.";
    INTROSPECTION_UNAUTHENTICATED = "introspection_unauthenticated", 400 InvalidRequest,
        "The introspection request carries no client authentication.",
        "Authenticate as RFC 9701 section 4 demands.";
    CLIENT_AUTHENTICATION_FAILED = "client_authentication_failed", 401 InvalidClient,
        "Client authentication failed.",
        "Check the client id, the method it is registered for, and its secret or key.";
    CLIENT_AUTHENTICATION_REPEATED = "client_authentication_repeated", 400 InvalidRequest,
        "The client authenticated in more than one way.",
        "Send either the Authorization header, or a client assertion, or a secret in the body.";
    CLIENT_ASSERTION_AUDIENCE = "client_assertion_audience", 401 InvalidClient,
        "The audience of the client assertion is not this region's issuer alone.",
        "Set `aud` to the `issuer` of the metadata, as a single value (RFC 7523bis).";
    CLIENT_ASSERTION_TIME = "client_assertion_time", 401 InvalidClient,
        "The client assertion is expired, not yet valid, or valid for too long.",
        "Set `exp` a minute ahead, one hour at most, and check the client's clock.";
    CLIENT_ASSERTION_REPLAYED = "client_assertion_replayed", 401 InvalidClient,
        "The client assertion was used before.",
        "Make a new assertion with a new `jti` for every request.";
    SUBJECT_TOKEN_TYPE_UNSUPPORTED = "subject_token_type_unsupported", 400 InvalidRequest,
        "The subject token's type is not accepted here.",
        "Use the type `access_token`, `jwt` or `id_token` of RFC 8693 section 3.";
    SUBJECT_TOKEN_MALFORMED = "subject_token_malformed", 400 InvalidRequest,
        "The subject token is no acceptable JWT.",
        "Send the token exactly as the provider issued it; opaque and encrypted tokens are not accepted.";
    SUBJECT_TOKEN_UNTRUSTED = "subject_token_untrusted", 400 InvalidRequest,
        "The subject token was not issued and signed by a provider that is trusted here.",
        "Compare `iss` with the `[[upstream]]` entries and the token's key with the provider's JWKS.";
    SUBJECT_TOKEN_KIND = "subject_token_kind", 400 InvalidRequest,
        "The subject token is of another kind than its declared type.",
        "Send access tokens as `access_token` or `jwt`, ID tokens as `id_token`; nothing else is exchanged.";
    SUBJECT_TOKEN_TIME = "subject_token_time", 400 InvalidRequest,
        "The subject token is expired, not yet valid, or valid for too long.",
        "Get a fresh token from the provider.";
    SUBJECT_TOKEN_AUDIENCE = "subject_token_audience", 400 InvalidRequest,
        "The subject token is not meant for this federation.",
        "Have the provider put a value of the upstream's `audience` into the token's `aud`.";
    SUBJECT_TOKEN_BOUND = "subject_token_bound", 400 InvalidRequest,
        "The subject token is bound to a key (`cnf`), which is not supported yet.",
        "Exchange a token that is not sender-constrained.";
    SUBJECT_TOKEN_CLAIMS = "subject_token_claims", 400 InvalidRequest,
        "The subject token's claims do not satisfy a rule of this region.",
        "`exequatur try TOKEN` names the rule: a required claim is missing or has an unacceptable value, or what the rules release would make a token of more than 2 KiB.";
    ACTOR_TOKEN_TYPE_UNSUPPORTED = "actor_token_type_unsupported", 400 InvalidRequest,
        "`actor_token` and `actor_token_type` do not stand together, or the type is not accepted.",
        "Send both, with the type `access_token` or `jwt`, or neither.";
    ACTOR_TOKEN_MALFORMED = "actor_token_malformed", 400 InvalidRequest,
        "The actor token is no acceptable JWT.",
        "Send the token exactly as the provider issued it.";
    ACTOR_TOKEN_UNTRUSTED = "actor_token_untrusted", 400 InvalidRequest,
        "The actor token was not issued and signed by a provider that is trusted here.",
        "Compare `iss` with the `[[upstream]]` entries and the token's key with the provider's JWKS.";
    ACTOR_TOKEN_KIND = "actor_token_kind", 400 InvalidRequest,
        "The actor token is of another kind than its declared type.",
        "Send an access token as actor token.";
    ACTOR_TOKEN_TIME = "actor_token_time", 400 InvalidRequest,
        "The actor token is expired, not yet valid, or valid for too long.",
        "Get a fresh token from the provider.";
    ACTOR_TOKEN_AUDIENCE = "actor_token_audience", 400 InvalidRequest,
        "The actor token is not meant for this federation.",
        "Have the provider put a value of the upstream's `audience` into the token's `aud`.";
    ACTOR_TOKEN_BOUND = "actor_token_bound", 400 InvalidRequest,
        "The actor token is bound to a key (`cnf`), which is not supported yet.",
        "Send a token that is not sender-constrained.";
    ACTOR_TOKEN_CLAIMS = "actor_token_claims", 400 InvalidRequest,
        "The actor token does not name an actor.",
        "The actor token needs a subject of acceptable form.";
    ACTOR_NOT_ALLOWED = "actor_not_allowed", 400 InvalidRequest,
        "The subject token does not allow this actor.",
        "The token's `may_act` names who may act; the actor token's party, or without one the client, must match it.";
    REQUESTER_NOT_ALLOWED = "requester_not_allowed", 400 InvalidRequest,
        "The token was issued to another party than this client.",
        "The audience or authorized party of subject and actor token must be one of the client's `upstream_ids`; an ID token for several audiences needs it as `azp`.";
    HOME_REGION_ELSEWHERE = "home_region_elsewhere", 400 InvalidRequest,
        "The token's subject is at home in another region.",
        "Exchange at the home region, named by `home_issuer`, if it stands in your own configuration; ask there for a border grant.";
    HOME_REGION_UNKNOWN = "home_region_unknown", 400 InvalidRequest,
        "The token does not tell in which region its subject is at home.",
        "Complete `home_region` of the upstream in federation.toml, or have the provider send the claim.";
    SERVICE_NOT_ALLOWED = "service_not_allowed", 400 InvalidRequest,
        "Tokens of services are not accepted from this provider.",
        "Set `services` of the upstream's `home_region` in federation.toml.";
    TARGET_MISSING = "target_missing", 400 InvalidTarget,
        "The request names no target, and the client has more than one.",
        "Name one service by `resource` or `audience`.";
    TARGET_UNKNOWN = "target_unknown", 400 InvalidTarget,
        "The target is not a service that this client may get a token for.",
        "Check `resource` or `audience` against the client's `resources`.";
    TARGET_AMBIGUOUS = "target_ambiguous", 400 InvalidTarget,
        "The request names more than one target.",
        "Ask for one token for one service; `resource` and `audience` together must name the same one.";
    TARGET_TENANT = "target_tenant", 400 InvalidTarget,
        "The target belongs to another tenant.",
        "Ask for a service of the subject's and the client's tenant.";
    TRANSFER_NOT_OFFERED = "transfer_not_offered", 400 InvalidTarget,
        "The target is another region, and border grants are not offered yet.",
        "Ask for a service of this region.";
    SENDER_CONSTRAINT_REQUIRED = "sender_constraint_required", 400 InvalidTarget,
        "The target takes only sender-constrained tokens, which are not issued yet.",
        "Ask for another service, or drop `require_sender_constraint` of the resource.";
    REQUESTED_TOKEN_TYPE_UNSUPPORTED = "requested_token_type_unsupported", 400 InvalidRequest,
        "The requested token type is not issued for this target.",
        "Leave `requested_token_type` out, or ask for `access_token`.";
    SCOPE_MALFORMED = "scope_malformed", 400 InvalidScope,
        "The scope has a form that is not allowed.",
        "Send at most 64 names of visible ASCII characters, separated by single spaces.";
    SCOPE_NOT_ALLOWED = "scope_not_allowed", 400 InvalidScope,
        "The scope goes beyond the subject token or the target's policy.",
        "Ask for scopes that the resource lists and the subject token carries.";
    AUTHENTICATION_INSUFFICIENT = "authentication_insufficient", 400 InsufficientUserAuthentication,
        "The user's authentication is too weak or too old for the target.",
        "Have the user authenticate again with `acr_values` and `max_age` of this answer.";
    TOKEN_OF_ANOTHER_CLIENT = "token_of_another_client", 400 InvalidGrant,
        "The token was issued to another client.",
        "A client can revoke its own tokens only.";
    TOKEN_TYPE_NOT_REVOCABLE = "token_type_not_revocable", 400 UnsupportedTokenType,
        "Tokens of this type cannot be revoked here.",
        "Revoke the token at the server that issued it.";
    REVOCATION_PENDING = "revocation_pending", 503 TemporarilyUnavailable,
        "The revocation is in force in this region and does not reach the other regions yet.",
        "Nothing is lost: it is sent until they have it. To be told when they do, send it again as `Retry-After` says.";
    REVOCATION_PENDING_HERE = "revocation_pending_here", 503 TemporarilyUnavailable,
        "The revocation is effective on this node and does not reach the other regions yet.",
        "Nothing is lost: it is sent until they have it. To be told when they do, send it again as `Retry-After` says.";
    REVOCATION_REFUSED = "revocation_refused", 503 TemporarilyUnavailable,
        "The federation refuses revocations of this region: this one is in force here alone.",
        "An operator must see why: the log names the objection, and `exequatur cluster status` the region's state.";
    LOGIN_REVOKED = "login_revoked", 400 InsufficientUserAuthentication,
        "The login that the token stands for counts no more.",
        "Have the person log in again, now (`max_age` 0). Who is blocked gets nothing until an operator lifts it.";
    CLIENT_BLOCKED = "client_blocked", 400 UnauthorizedClient,
        "This client is blocked in the region.",
        "An operator of the region can lift it: `exequatur revoke lift`.";
    REVOCATION_UNDECIDED = "revocation_undecided", 503 TemporarilyUnavailable,
        "A revocation that concerns this request is under way.",
        "Wait as long as `Retry-After` says: what is issued now might be revoked at once.";
    WRONG_REGION = "wrong_region", 421 InvalidRequest,
        "The request names a host of another region.",
        "Send it to the endpoint of that region's own metadata.";
    RATE_LIMITED = "rate_limited", 429 TemporarilyUnavailable,
        "The client sends more requests than it may.",
        "Wait as long as `Retry-After` says, or raise `rate` of the client.";
    OVERLOADED = "overloaded", 503 TemporarilyUnavailable,
        "The node has more requests than it can serve.",
        "Wait as long as `Retry-After` says and send the request again.";
    VIEW_STALE = "view_stale", 503 TemporarilyUnavailable,
        "The node has not been able to confirm for too long that it knows every revocation.",
        "Wait as long as `Retry-After` says, or ask another node of the region; `/readyz` says since when and why.";
    ISSUER_KEYS_UNAVAILABLE = "issuer_keys_unavailable", 503 TemporarilyUnavailable,
        "The provider's keys cannot be had at the moment.",
        "Wait as long as `Retry-After` says; `/readyz` names the issuer and the reason.";
    AUDIT_UNAVAILABLE = "audit_unavailable", 503 TemporarilyUnavailable,
        "The audit log cannot be written, so nothing is issued.",
        "Wait as long as `Retry-After` says; `/readyz` says what the store is missing.";
    SIGNING_UNAVAILABLE = "signing_unavailable", 503 TemporarilyUnavailable,
        "The signing key cannot be used at the moment.",
        "Wait as long as `Retry-After` says; `exequatur hsm doctor` tells more.";
    REGION_KEY_UNKNOWN = "region_key_unknown", 503 TemporarilyUnavailable,
        "The token claims a key of its region of which this node has not heard.",
        "Wait as long as `Retry-After` says: regions publish a key before they sign with it.";
    SEAL_KEY_MISSING = "seal_key_missing", 503 TemporarilyUnavailable,
        "This node lacks the key that tells whether the token is revoked.",
        "Wait as long as `Retry-After` says; the operator copies the secrets of the key store to this node and restarts it.";
    INTERNAL_FAULT = "internal_fault", 503 TemporarilyUnavailable,
        "The node met a fault of its own.",
        "Send the request again; the request id leads the operator to the cause.";
    STATUS_LIST_UNKNOWN = "status_list_unknown", 404 InvalidRequest,
        "This region publishes no status list with this id.",
        "Take the address from the `status` claim of a token that is still valid: a list goes when its last token has expired, and a new one may take some seconds to be known to every node.";
    STATUS_LIST_HISTORY = "status_list_history", 501 InvalidRequest,
        "Status lists of the past are not kept.",
        "Leave `time` out: the answer is the list as it is now.";
    FEED_NOT_ALLOWED = "feed_not_allowed", 400 UnauthorizedClient,
        "This client may not follow revocations.",
        "Name the client in `introspect_as` of the resource that it serves.";
    TOO_MANY_FEEDS = "too_many_feeds", 429 TemporarilyUnavailable,
        "The client, or all clients together, follow revocations too many times.",
        "Follow them once in each process, and close what is not read.";
    NOT_FOUND = "not_found", 404 InvalidRequest,
        "There is nothing at this address.",
        "Take addresses from the region's metadata.";
    METHOD_NOT_ALLOWED = "method_not_allowed", 405 InvalidRequest,
        "This method is not offered at this address.",
        "Use the method of the `Allow` header.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_unique_words_and_resolve() {
        let ids: Vec<_> = RefusalId::catalogue().map(RefusalId::as_str).collect();
        let unique: BTreeSet<_> = ids.iter().collect();
        assert_eq!(unique.len(), ids.len());
        for id in ids {
            assert!(id.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{id}");
            assert_eq!(RefusalId::find(id).unwrap().as_str(), id);
        }
    }

    #[test]
    fn statuses_go_with_the_codes_that_clients_know() {
        for refusal in RefusalId::catalogue() {
            match refusal.code() {
                ErrorCode::InvalidClient => assert_eq!(refusal.status(), 401, "{refusal}"),
                ErrorCode::TemporarilyUnavailable => {
                    assert!(matches!(refusal.status(), 429 | 503), "{refusal}");
                }
                ErrorCode::InvalidGrant
                | ErrorCode::InvalidTarget
                | ErrorCode::InvalidScope
                | ErrorCode::UnauthorizedClient
                | ErrorCode::UnsupportedGrantType
                | ErrorCode::UnsupportedTokenType
                | ErrorCode::InsufficientUserAuthentication => {
                    assert_eq!(refusal.status(), 400, "{refusal}");
                }
                ErrorCode::InvalidRequest => assert!(refusal.status() >= 400, "{refusal}"),
            }
            assert!(refusal.description().ends_with('.') && refusal.remedy().ends_with('.'));
        }
    }
}
