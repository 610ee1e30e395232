//! Names of claims that rules must not write, and of those that must not leave unchanged.

use crate::seal::PRIVATE_PREFIX;

/// Claims that the protocol writes; a rule must not. Sources: RFC 7519 section 4.1, RFC 7662
/// section 2.2, RFC 8693 section 4, RFC 8705 section 3.1, RFC 9068 section 2.2, RFC 9396 section 9,
/// RFC 9701 section 5, OpenID Connect Core section 2, Token Status List section 6.
const PROTOCOL: [&str; 36] = [
    "_claim_names",
    "_claim_sources",
    "acr",
    "act",
    "active",
    "amr",
    "as_of",
    "at_hash",
    "aud",
    "auth_time",
    "authorization_details",
    "azp",
    "c_hash",
    "client_id",
    "cnf",
    "events",
    "exp",
    "iat",
    "iss",
    "jti",
    "may_act",
    "nbf",
    "nonce",
    "resource",
    "s_hash",
    "scope",
    "sid",
    "status",
    "sub",
    "sub_id",
    "token_introspection",
    "token_type",
    "token_use",
    "toe",
    "txn",
    "typ",
];

/// Members whose value is alike wherever one person, session, device or token turns up, so that
/// two services that hold it can join their records: identifiers of subject, session and token,
/// hashes of tokens, key confirmations, and exact times of a login.
const LINKING: [&str; 36] = [
    "aio",
    "at_hash",
    "auth_time",
    "c_hash",
    "cnf",
    "device_id",
    "device_key",
    "deviceid",
    "event_id",
    "exp",
    "iat",
    "identities",
    "jkt",
    "jti",
    "nbf",
    "nonce",
    "oid",
    "onprem_sid",
    "origin_jti",
    "pairwise_id",
    "puid",
    "rh",
    "s_hash",
    "session_id",
    "session_state",
    "sid",
    "sub",
    "sub_id",
    "txn",
    "uid",
    "user_id",
    "userid",
    "uti",
    "x5t#s256",
    "xms_ssm",
    "xms_st",
];

/// Whether only the protocol may write a claim of this name.
#[must_use]
pub fn is_protocol_claim(name: &str) -> bool {
    PROTOCOL.contains(&name) || name.starts_with(PRIVATE_PREFIX)
}

/// Whether the value of a member of this name must not leave as it is. Letter case does not count.
#[must_use]
pub fn is_linking_claim(name: &str) -> bool {
    LINKING.contains(&name.to_ascii_lowercase().as_str())
}

/// The linking claims, for documentation.
#[must_use]
pub const fn linking_claims() -> &'static [&'static str] {
    &LINKING
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_of_session_token_and_directory_are_linking() {
        for name in ["sid", "jti", "uti", "oid", "origin_jti", "session_state", "nonce", "SID"] {
            assert!(is_linking_claim(name), "{name}");
        }
        for name in ["email", "roles", "side", "birthdate"] {
            assert!(!is_linking_claim(name), "{name}");
        }
    }

    #[test]
    fn what_the_protocol_writes_is_no_target() {
        for name in ["iss", "sub", "scope", "cnf", "status", "active", "exq", "exq_home"] {
            assert!(is_protocol_claim(name), "{name}");
        }
        assert!(!is_protocol_claim("roles"));
    }
}
