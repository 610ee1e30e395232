//! The OAuth vocabulary: grant types, token types and error codes as the RFCs spell them. Nothing
//! here decides anything.

use serde::{Deserialize, Serialize};

/// Token exchange (RFC 8693 section 2.1).
pub const GRANT_TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// JWT bearer client assertions (RFC 7523 section 2.2).
pub const CLIENT_ASSERTION_JWT_BEARER: &str =
    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// `typ` of a JWT access token (RFC 9068 section 2.1).
pub const TYP_ACCESS_TOKEN: &str = "at+jwt";
/// `typ` of a signed introspection answer (RFC 9701 section 5).
pub const TYP_INTROSPECTION: &str = "token-introspection+jwt";
/// `typ` of a Token Status List (draft -21 section 5.1).
pub const TYP_STATUS_LIST: &str = "statuslist+jwt";

/// Token type identifiers (RFC 8693 section 3) that a request may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TokenType {
    /// A token of an authorization server; for a global token a JWT access token.
    #[serde(rename = "urn:ietf:params:oauth:token-type:access_token")]
    AccessToken,
    /// An OpenID Connect ID token.
    #[serde(rename = "urn:ietf:params:oauth:token-type:id_token")]
    IdToken,
    /// A JWT by syntax; for a global token a JWT access token.
    #[serde(rename = "urn:ietf:params:oauth:token-type:jwt")]
    Jwt,
}

impl TokenType {
    /// The identifier of RFC 8693 section 3.
    #[must_use]
    pub const fn urn(self) -> &'static str {
        match self {
            Self::AccessToken => "urn:ietf:params:oauth:token-type:access_token",
            Self::IdToken => "urn:ietf:params:oauth:token-type:id_token",
            Self::Jwt => "urn:ietf:params:oauth:token-type:jwt",
        }
    }

    /// Reads an identifier; compared byte for byte, as URIs of one registry are.
    #[must_use]
    pub fn from_urn(urn: &str) -> Option<Self> {
        [Self::AccessToken, Self::IdToken, Self::Jwt].into_iter().find(|t| t.urn() == urn)
    }
}

/// Error codes of the token, introspection and revocation endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorCode {
    /// Authentication too weak or too old (RFC 9470, used at the token endpoint after ID-JAG).
    InsufficientUserAuthentication,
    /// Client authentication failed (RFC 6749 section 5.2).
    InvalidClient,
    /// The grant is bad, or the token belongs to another client (RFC 6749 section 5.2).
    InvalidGrant,
    /// Malformed request or unacceptable token (RFC 6749 section 5.2, RFC 8693 section 2.2.2).
    InvalidRequest,
    /// Scope beyond token or policy (RFC 6749 section 5.2).
    InvalidScope,
    /// Target missing, unknown or not allowed (RFC 8693 section 2.2.2, RFC 8707 section 2).
    InvalidTarget,
    /// The region cannot answer now. An extension: RFC 6749 defines it for the authorization
    /// endpoint; it is sent with 503 or 429 and `Retry-After`.
    TemporarilyUnavailable,
    /// This client may not use this grant (RFC 6749 section 5.2).
    UnauthorizedClient,
    /// The grant type is not known here (RFC 6749 section 5.2).
    UnsupportedGrantType,
    /// The token type cannot be revoked (RFC 7009 section 2.2.1).
    UnsupportedTokenType,
}

impl ErrorCode {
    /// The code as it stands in the `error` member.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InsufficientUserAuthentication => "insufficient_user_authentication",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::InvalidRequest => "invalid_request",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedTokenType => "unsupported_token_type",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_types_read_back_what_they_write() {
        for kind in [TokenType::AccessToken, TokenType::IdToken, TokenType::Jwt] {
            assert_eq!(TokenType::from_urn(kind.urn()), Some(kind));
        }
        assert_eq!(TokenType::from_urn("urn:ietf:params:oauth:token-type:refresh_token"), None);
        assert_eq!(TokenType::from_urn("URN:ietf:params:oauth:token-type:jwt"), None);
    }
}
