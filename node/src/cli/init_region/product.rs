//! Which product an issuer is, by its name and by the addresses that it publishes. A suggestion for
//! the reader of a file; nothing is decided by it.

use exequatur_federation::config::preset_for_issuer;

use crate::upstream::IssuerMetadata;

/// The preset of the product that the metadata speaks for.
pub(super) fn preset(metadata: &IssuerMetadata) -> Option<&'static str> {
    let issuer = metadata.issuer.as_str();
    let token_endpoint = metadata.token_endpoint.as_ref().map_or("", |url| url.as_str());
    preset_for_issuer(issuer).or_else(|| preset_for_endpoints(issuer, token_endpoint))
}

/// Products behind a name of their owner's keep the paths of their endpoints.
fn preset_for_endpoints(issuer: &str, token_endpoint: &str) -> Option<&'static str> {
    if token_endpoint.ends_with("/protocol/openid-connect/token") {
        Some("keycloak")
    } else if issuer.contains("/oauth2/") && token_endpoint.ends_with("/v1/token") {
        Some("okta")
    } else if issuer.ends_with('/') && token_endpoint.ends_with("/oauth/token") {
        Some("auth0")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_behind_a_name_of_their_owner_are_told_by_their_endpoints() {
        let cases = [
            (
                "http://127.0.0.1:8080/realms/x",
                "http://127.0.0.1:8080/realms/x/protocol/openid-connect/token",
                Some("keycloak"),
            ),
            (
                "https://id.example/oauth2/default",
                "https://id.example/oauth2/default/v1/token",
                Some("okta"),
            ),
            ("https://id.example/", "https://id.example/oauth/token", Some("auth0")),
            ("https://id.example", "https://id.example/oauth/token", None),
            ("https://id.example", "", None),
        ];
        for (issuer, token_endpoint, expected) in cases {
            assert_eq!(preset_for_endpoints(issuer, token_endpoint), expected, "{issuer}");
        }
    }
}
