//! Documents that anyone may read: metadata (RFC 8414, OpenID Connect Discovery) and the JWK set
//! (RFC 7517). They change only with the law or the keys, so they are written once at start.

use bytes::Bytes;
use exequatur_federation::{
    client::ClientAuth,
    jose::{Algorithm, JwkSet},
    law::Law,
    oauth::{GRANT_TOKEN_EXCHANGE, TokenType},
    time::Ttl,
};
use http::{HeaderValue, Uri};
use serde_json::{Map, Value, json};

use crate::issuer::Issuer;

/// The documents and where they stand.
#[derive(Clone, Debug)]
pub struct Documents {
    /// The metadata, equal at both addresses.
    pub metadata: Bytes,
    /// The JWK set.
    pub jwks: Bytes,
    /// For how long anyone may keep a status list without asking: until the next may be there.
    pub list_cache: HeaderValue,
    /// Path of the issuer, without a slash at its end; every endpoint stands below it.
    pub issuer_path: String,
}

/// Why the documents could not be written.
#[derive(Debug, thiserror::Error)]
pub enum DocumentsError {
    /// The issuer is no URI.
    #[error("the region's issuer `{issuer}` is no URI")]
    Issuer {
        /// The issuer as configured.
        issuer: String,
        /// What is wrong.
        source: http::uri::InvalidUri,
    },
    /// JSON could not be written.
    #[error("a document could not be written as JSON")]
    Json(#[from] serde_json::Error),
}

impl Documents {
    /// Writes the documents of a region. `lists` are the keys that sign status lists.
    ///
    /// # Errors
    /// See [`DocumentsError`].
    pub fn new(
        law: &Law,
        issuer: &Issuer,
        (lists, publish_every): (&JwkSet, Ttl),
    ) -> Result<Self, DocumentsError> {
        let uri: Uri = law
            .issuer
            .parse()
            .map_err(|source| DocumentsError::Issuer { issuer: law.issuer.clone(), source })?;
        let published = issuer.published().keys().iter().chain(lists.keys());
        let keys: Vec<Value> = published
            .filter_map(|jwk| jwk.declared.map(|algorithm| jwk.key.to_jwk(algorithm)))
            .collect();
        Ok(Self {
            metadata: serde_json::to_vec(&metadata(law, issuer))?.into(),
            jwks: serde_json::to_vec(&json!({ "keys": keys }))?.into(),
            list_cache: HeaderValue::from_str(&format!(
                "public, max-age={}",
                publish_every.seconds()
            ))
            .unwrap_or(HeaderValue::from_static("no-cache")),
            issuer_path: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// Where RFC 8414 section 3.1 puts the metadata: inserted between host and path.
    #[must_use]
    pub fn oauth_metadata_path(&self) -> String {
        format!("/.well-known/oauth-authorization-server{}", self.issuer_path)
    }

    /// Where OpenID Connect Discovery section 4 puts the metadata: after the issuer.
    #[must_use]
    pub fn openid_metadata_path(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.issuer_path)
    }
}

fn metadata(law: &Law, issuer: &Issuer) -> Value {
    let base = &law.issuer;
    let algorithms = Algorithm::ALL.map(Algorithm::as_str);
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
    put("issuer", json!(base));
    put("token_endpoint", json!(law.token_endpoint()));
    put("introspection_endpoint", json!(format!("{base}/introspect")));
    // RFC 7009 section 2: the address of an endpoint over plain HTTP must not be published.
    let secure = base.starts_with("https://");
    if secure {
        put("revocation_endpoint", json!(format!("{base}/revoke")));
    }
    put("status_list_aggregation_endpoint", json!(format!("{base}/statuslists")));
    put("revocation_feed_endpoint", json!(format!("{base}/revocations")));
    put("jwks_uri", json!(format!("{base}/jwks")));
    put("grant_types_supported", json!([GRANT_TOKEN_EXCHANGE]));
    // No authorization endpoint; several libraries refuse metadata without this member.
    put("response_types_supported", json!(["none"]));
    put("subject_types_supported", json!(["pairwise"]));
    put("introspection_signing_alg_values_supported", json!([issuer.response_algorithm()]));
    for endpoint in ["token", "introspection", "revocation"] {
        if endpoint == "revocation" && !secure {
            continue;
        }
        let name = |suffix: &str| format!("{endpoint}_endpoint_auth_{suffix}");
        put(&name("methods_supported"), json!(auth_methods(law)));
        put(&name("signing_alg_values_supported"), json!(algorithms));
    }
    put("requested_token_types_supported", json!([TokenType::AccessToken]));
    put("federation_issuers", json!(law.region_issuers.values().collect::<Vec<_>>()));
    Value::Object(members)
}

fn auth_methods(law: &Law) -> Vec<&'static str> {
    let post =
        law.clients.values().any(|c| matches!(c.auth, ClientAuth::Secret { post: true, .. }));
    let mut methods = vec!["private_key_jwt", "client_secret_basic"];
    methods.extend(post.then_some("client_secret_post"));
    methods
}
