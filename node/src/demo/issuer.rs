//! The demo's global identity provider: discovery (OpenID Connect Discovery section 4), a JWK set
//! and access tokens shaped like Keycloak's, over real HTTP on loopback.
//!
//! It stands for the provider that people log in to. Whoever reaches it gets a token, for it has no
//! login: it must never listen beyond loopback. It knows nothing of regions.

use std::{convert::Infallible, net::Ipv4Addr, sync::Arc};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use bytes::Bytes;
use exequatur_federation::{
    jose::{Algorithm, PublicKey, SigningInput, base64url},
    time::Ttl,
};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    entropy::draw,
    net::{limits::Limits, serve::Server, tls::Tls},
    node::Seams,
    telemetry::metrics::Metrics,
};

/// The realm, as Keycloak puts it into its issuers.
const REALM_PATH: &str = "/realms/global";
/// `aud` of its tokens unless another is asked for.
pub(crate) const AUDIENCE: &str = "exequatur";
/// The client that people log in with.
pub(crate) const PARTY: &str = "gateway";
/// The home region of its people unless another is asked for.
const HOME_REGION: &str = "eu-central";
/// Longer than a regional token lives, so that the region's own limit decides.
const LIFETIME: Ttl = Ttl::from_seconds(600);
/// Longest value that a caller may put into a token: names of regions and audiences are short.
const VALUE_BYTES_MAX: usize = 64;

/// The provider, listening but not serving yet.
pub(crate) struct GlobalIssuer {
    listener: TcpListener,
    provider: Arc<Provider>,
}

/// What a token says beside the fixed person.
#[derive(Clone, Copy, Debug)]
struct Wanted<'a> {
    audience: &'a str,
    home_region: &'a str,
}

struct Provider {
    issuer: String,
    key: EcdsaKeyPair,
    public: PublicKey,
    seams: Seams,
}

/// Why there is no global issuer.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// The key could not be made.
    #[error("the global issuer's key could not be made")]
    Key,
    /// No loopback port could be bound.
    #[error("the global issuer cannot listen on loopback")]
    Listen(#[from] std::io::Error),
}

impl GlobalIssuer {
    /// Makes a key and binds a loopback port. Connections wait until [`Self::serve`] runs.
    ///
    /// # Errors
    /// See [`IssuerError`].
    pub(crate) async fn bind(seams: &Seams) -> Result<Self, IssuerError> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .map_err(|_| IssuerError::Key)?;
        let public =
            PublicKey::p256_from_point(key.public_key().as_ref()).map_err(|_| IssuerError::Key)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let issuer = format!("http://{}{REALM_PATH}", listener.local_addr()?);
        let provider = Provider { issuer, key, public, seams: seams.clone() };
        Ok(Self { listener, provider: Arc::new(provider) })
    }

    /// `iss` of its tokens.
    pub(crate) fn url(&self) -> &str {
        &self.provider.issuer
    }

    /// Where a token can be had by `POST`.
    pub(crate) fn mint_url(&self) -> String {
        mint_url(self.url())
    }

    /// Serves until the future is dropped.
    pub(crate) async fn serve(self) -> Infallible {
        let server = Server {
            service: router(self.provider),
            tls: Tls::Plain,
            limits: Limits::public(),
            meters: Metrics::new().connections("global_issuer"),
        };
        let _drained = server.serve(self.listener, std::future::pending()).await;
        std::future::pending().await
    }
}

fn mint_url(issuer: &str) -> String {
    format!("{issuer}/mint")
}

fn router(provider: Arc<Provider>) -> Router {
    let routes = Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/jwks", get(jwks))
        .route("/mint", post(mint))
        .with_state(provider);
    Router::new().nest(REALM_PATH, routes)
}

async fn discovery(State(provider): State<Arc<Provider>>) -> Json<Value> {
    let issuer = &provider.issuer;
    Json(json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}/jwks"),
        "response_types_supported": ["none"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [Algorithm::Es256],
        "claims_supported": [
            "birthdate", "email", "email_verified", "name", "phone_number", "preferred_username",
            "realm_access", "region", "sub",
        ],
    }))
}

async fn jwks(State(provider): State<Arc<Provider>>) -> Json<Value> {
    Json(json!({ "keys": [provider.public.to_jwk(Algorithm::Es256)] }))
}

/// A token as plain text, so that a shell can put it into a variable. The form members `audience`
/// and `region` make other tokens than the usual one.
async fn mint(State(provider): State<Arc<Provider>>, headers: HeaderMap, body: Bytes) -> Response {
    // A page in a browser can send a form anywhere, but always says where it is from.
    if headers.contains_key(header::ORIGIN) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let value = |name: &str, usual: &str| {
        let mut members = form_urlencoded::parse(&body);
        members
            .find(|(key, _)| key == name)
            .map_or_else(|| usual.to_owned(), |(_, value)| value.into_owned())
    };
    let audience = value("audience", AUDIENCE);
    let home_region = value("region", HOME_REGION);
    if [&audience, &home_region].iter().any(|v| v.is_empty() || v.len() > VALUE_BYTES_MAX) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    match provider.token(Wanted { audience: &audience, home_region: &home_region }) {
        Some(token) => ([(header::CACHE_CONTROL, "no-store")], token).into_response(),
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

impl Provider {
    fn token(&self, wanted: Wanted<'_>) -> Option<String> {
        let payload = self.payload(wanted)?;
        let kid = self.public.thumbprint();
        let input = SigningInput::new(Algorithm::Es256, "JWT", &kid, &payload).ok()?;
        let signature = self.key.sign(&SystemRandom::new(), input.as_bytes()).ok()?;
        Some(input.with_signature(signature.as_ref()).as_str().to_owned())
    }

    /// The members of a Keycloak access token, for a person who does not exist. The telephone
    /// number is one that Germany keeps free for films.
    fn payload(&self, wanted: Wanted<'_>) -> Option<Value> {
        let entropy = self.seams.entropy.as_ref();
        let random = || draw::<16>(entropy).ok().map(|bytes| base64url(&bytes));
        let issued = self.seams.clock.now();
        Some(json!({
            "iss": self.issuer,
            "sub": "5f0b9d0e-0d6f-4f0c-9d55-2d2f6f7f3a10",
            "aud": wanted.audience,
            "azp": PARTY,
            "typ": "Bearer",
            "iat": issued,
            "exp": issued.plus(LIFETIME),
            "jti": random()?,
            "sid": random()?,
            "scope": "openid profile email orders:read",
            "region": wanted.home_region,
            "name": "Demo Person",
            "preferred_username": "demo.person",
            "email": "demo.person@example.com",
            "email_verified": true,
            "phone_number": "+493023125000",
            "birthdate": "1990-04-17",
            "realm_access": { "roles": ["reader", "EU-EDIT", "offline_access"] },
        }))
    }
}

#[cfg(test)]
mod tests {
    use exequatur_federation::jose::{JwkSet, UnverifiedJws};

    use super::*;
    use crate::demo::{http::HttpClient, testing};

    /// Runs `ask` while the issuer serves.
    async fn with_issuer<T>(ask: impl AsyncFnOnce(String, HttpClient) -> T) -> T {
        let issuer = GlobalIssuer::bind(&testing::seams()).await.unwrap();
        let url = issuer.url().to_owned();
        tokio::select! {
            never = issuer.serve() => match never {},
            answer = ask(url, HttpClient::new(None).unwrap()) => answer,
        }
    }

    #[tokio::test]
    async fn its_tokens_verify_with_the_keys_that_its_discovery_document_points_to() {
        with_issuer(async |issuer, http| {
            let well_known = format!("{issuer}/.well-known/openid-configuration");
            let document = http.get(&well_known).await.unwrap().object().unwrap();
            assert_eq!(document["issuer"], issuer);
            let jwks = http.get(document["jwks_uri"].as_str().unwrap()).await.unwrap();
            let keys = JwkSet::parse(&jwks.body).unwrap();

            let token = http.post(&mint_url(&issuer), None, &[]).await.unwrap();
            let jws = UnverifiedJws::parse(std::str::from_utf8(&token.body).unwrap()).unwrap();
            let key = keys.select(jws.kid()).unwrap();
            jws.verify(&key.key, Algorithm::Es256).unwrap();
            assert_eq!(jws.typ(), Some("JWT"));
            assert_eq!(jws.issuer(), Some(issuer.as_str()));
            assert_eq!(jws.payload()["typ"], "Bearer");
            assert_eq!(jws.payload()["azp"], PARTY);
            assert_eq!(jws.payload()["aud"], AUDIENCE);
        })
        .await;
    }

    #[tokio::test]
    async fn a_token_for_another_audience_or_region_can_be_had() {
        with_issuer(async |issuer, http| {
            let form = [("audience", "billing"), ("region", "us-east")];
            let token = http.post(&mint_url(&issuer), None, &form).await.unwrap();
            let jws = UnverifiedJws::parse(std::str::from_utf8(&token.body).unwrap()).unwrap();
            assert_eq!(jws.payload()["aud"], "billing");
            assert_eq!(jws.payload()["region"], "us-east");
        })
        .await;
    }

    #[tokio::test]
    async fn two_tokens_share_neither_id_nor_session() {
        with_issuer(async |issuer, http| {
            let mut seen = std::collections::BTreeSet::new();
            for _ in 0..2 {
                let token = http.post(&mint_url(&issuer), None, &[]).await.unwrap();
                let jws = UnverifiedJws::parse(std::str::from_utf8(&token.body).unwrap()).unwrap();
                assert!(seen.insert(jws.payload()["jti"].to_string()));
                assert!(seen.insert(jws.payload()["sid"].to_string()));
            }
        })
        .await;
    }

    #[tokio::test]
    async fn refuses_an_empty_or_overlong_value() {
        with_issuer(async |issuer, http| {
            for value in ["", &"x".repeat(VALUE_BYTES_MAX + 1)] {
                let answer = http.post(&mint_url(&issuer), None, &[("audience", value)]).await;
                assert_eq!(answer.unwrap().status, StatusCode::BAD_REQUEST);
            }
        })
        .await;
    }
}
