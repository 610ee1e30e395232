//! The floor: what an exchange costs with nothing around it. The same requests get the same kind of
//! answer, by a bare handler: form parsing, a hash or an assertion for the client, one ES256
//! verification, claims, one ES256 signature. No audit, no store, no residency rules, no revocation,
//! no limits, no cache.
//!
//! It reads as fast as the protocol allows, not as strictly as a region must: it exists to be
//! compared with, and must not be used for anything else.

use std::{io, net::SocketAddr, path::Path, sync::Arc};

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    hmac,
    rand::{SecureRandom as _, SystemRandom},
};
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use exequatur_federation::{
    client::SecretHash,
    jose::{Algorithm, JwkSet, base64url, from_base64url},
    oauth::TYP_ACCESS_TOKEN,
    time::{Ttl, UnixTime},
};
use exequatur_node::clock::{Clock, SystemClock};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::key::{Es256Key, KeyError};

const ACCESS_TOKEN_LIFETIME: Ttl = Ttl::from_seconds(300);

/// What the floor knows: names, and keys of those who send to it. It makes its signing key itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Its own `iss`, and the audience of assertions.
    pub(crate) issuer: String,
    /// `iss` of subject tokens.
    pub(crate) upstream_issuer: String,
    /// `aud` of subject tokens.
    pub(crate) upstream_audience: String,
    /// The upstream's keys.
    pub(crate) upstream_keys: Value,
    /// The client with a secret: its id, and salt and hash in base64url.
    pub(crate) secret_client: (String, String, String),
    /// The client with a key: its id.
    pub(crate) key_client: String,
    /// Its keys.
    pub(crate) key_client_keys: Value,
}

/// Why the floor does not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FloorError {
    /// Its key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Its socket.
    #[error("the floor could not serve: {0}")]
    Serve(#[from] io::Error),
    /// The settings have another form.
    #[error("the floor's settings could not be read: {0}")]
    Settings(String),
}

/// Serves until the process is ended.
pub(crate) fn run(listen: SocketAddr, settings: &Path) -> Result<(), FloorError> {
    let settings = std::fs::read(settings)?;
    let settings =
        serde_json::from_slice(&settings).map_err(|e| FloorError::Settings(e.to_string()))?;
    let floor = Floor::new(settings)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(listen).await?;
        Ok(axum::serve(listener, router(floor)).await?)
    })
}

/// The handler's state.
struct Floor {
    settings: Settings,
    upstream_keys: JwkSet,
    secret: SecretHash,
    key_client_keys: JwkSet,
    signing_key: Es256Key,
    pairwise: hmac::Key,
    random: SystemRandom,
    clock: SystemClock,
}

impl Floor {
    fn new(settings: Settings) -> Result<Self, FloorError> {
        let keys = |set: &Value| {
            JwkSet::parse(set.to_string().as_bytes())
                .map_err(|e| FloorError::Settings(e.to_string()))
        };
        let bytes = |text: &str| from_base64url(text).unwrap_or_default();
        let (_, salt, hash) = &settings.secret_client;
        let (Ok(salt), Ok(hash)) = (bytes(salt).try_into(), bytes(hash).try_into()) else {
            return Err(FloorError::Settings("salt or hash of the secret".to_owned()));
        };
        let random = SystemRandom::new();
        let mut pairwise = [0; 32];
        random.fill(&mut pairwise).map_err(|_| KeyError)?;
        Ok(Self {
            upstream_keys: keys(&settings.upstream_keys)?,
            key_client_keys: keys(&settings.key_client_keys)?,
            secret: SecretHash { salt, hash },
            settings,
            signing_key: Es256Key::generate()?,
            pairwise: hmac::Key::new(hmac::HMAC_SHA256, &pairwise),
            random,
            clock: SystemClock::start(),
        })
    }

    fn exchange(&self, headers: &HeaderMap, body: &[u8]) -> Result<String, Refused> {
        let form = Form::parse(body);
        let now = self.clock.now();
        let client = self.authenticate(headers, &form, now)?;
        let subject: Subject = verified(&self.upstream_keys, &form.subject_token)?;
        let admitted = subject.iss == self.settings.upstream_issuer
            && subject.aud.contains(&self.settings.upstream_audience)
            && subject.exp > now;
        if !admitted {
            return Err(Refused);
        }
        let token = self.token(&form, client, &subject, now)?;
        let answer = Answer {
            access_token: token,
            issued_token_type: &form.subject_token_type,
            token_type: "Bearer",
            expires_in: ACCESS_TOKEN_LIFETIME,
            scope: &form.scope,
        };
        serde_json::to_string(&answer).map_err(|_| Refused)
    }

    fn authenticate(
        &self,
        headers: &HeaderMap,
        form: &Form,
        now: UnixTime,
    ) -> Result<&str, Refused> {
        if form.client_assertion.is_empty() {
            return self.by_secret(headers).ok_or(Refused);
        }
        let assertion: Assertion = verified(&self.key_client_keys, &form.client_assertion)?;
        let client = self.settings.key_client.as_str();
        let accepted = assertion.iss == client
            && assertion.sub == client
            && assertion.aud == self.settings.issuer
            && assertion.exp > now
            && !assertion.jti.is_empty();
        accepted.then_some(client).ok_or(Refused)
    }

    fn by_secret(&self, headers: &HeaderMap) -> Option<&str> {
        let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let decoded = STANDARD.decode(value.strip_prefix("Basic ")?).ok()?;
        let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
        let (client, ..) = &self.settings.secret_client;
        let presented = SecretHash::of(self.secret.salt, secret);
        let equal = verify_slices_are_equal(&presented.hash, &self.secret.hash).is_ok();
        (id == client && equal).then_some(client)
    }

    fn token(
        &self,
        form: &Form,
        client: &str,
        subject: &Subject,
        now: UnixTime,
    ) -> Result<String, Refused> {
        let mut id = [0; 16];
        self.random.fill(&mut id).map_err(|_| Refused)?;
        let email_domain = subject.email.split_once('@').map(|(_, domain)| domain);
        let pseudonym = hmac::sign(&self.pairwise, subject.sub.as_bytes());
        let claims = Claims {
            iss: &self.settings.issuer,
            sub: base64url(pseudonym.as_ref()),
            aud: &form.resource,
            client_id: client,
            iat: now,
            exp: now.plus(ACCESS_TOKEN_LIFETIME).min(subject.exp),
            jti: base64url(&id),
            scope: &form.scope,
            roles: &subject.realm_access.roles,
            email_domain,
        };
        self.signing_key.sign(TYP_ACCESS_TOKEN, &claims).map_err(|_| Refused)
    }
}

/// Whatever was wrong: the floor's requests are right.
#[derive(Debug)]
struct Refused;

/// The parameters that are read.
#[derive(Default)]
struct Form {
    client_assertion: String,
    resource: String,
    scope: String,
    subject_token: String,
    subject_token_type: String,
}

impl Form {
    fn parse(body: &[u8]) -> Self {
        let mut form = Self::default();
        for (name, value) in form_urlencoded::parse(body) {
            let field = match &*name {
                "client_assertion" => &mut form.client_assertion,
                "resource" => &mut form.resource,
                "scope" => &mut form.scope,
                "subject_token" => &mut form.subject_token,
                "subject_token_type" => &mut form.subject_token_type,
                _ => continue,
            };
            *field = value.into_owned();
        }
        form
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    access_token: String,
    issued_token_type: &'a str,
    token_type: &'static str,
    expires_in: Ttl,
    scope: &'a str,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: String,
    aud: &'a str,
    client_id: &'a str,
    iat: UnixTime,
    exp: UnixTime,
    jti: String,
    scope: &'a str,
    roles: &'a [String],
    email_domain: Option<&'a str>,
}

#[derive(Deserialize)]
struct Header {
    alg: Algorithm,
    kid: String,
}

#[derive(Deserialize)]
struct Subject {
    iss: String,
    sub: String,
    aud: Vec<String>,
    exp: UnixTime,
    email: String,
    realm_access: RealmAccess,
}

#[derive(Deserialize)]
struct RealmAccess {
    roles: Vec<String>,
}

#[derive(Deserialize)]
struct Assertion {
    iss: String,
    sub: String,
    aud: String,
    exp: UnixTime,
    jti: String,
}

/// The payload of a token whose ES256 signature verifies under a key of the set.
fn verified<T: DeserializeOwned>(keys: &JwkSet, token: &str) -> Result<T, Refused> {
    let parts = || {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let header: Header = serde_json::from_slice(&from_base64url(header)?).ok()?;
        let key = &keys.select(Some(&header.kid))?.key;
        let signature = from_base64url(signature)?;
        let holds = header.alg == Algorithm::Es256
            && key.verify(Algorithm::Es256, signed.as_bytes(), &signature);
        holds.then(|| from_base64url(payload)).flatten()
    };
    parts().and_then(|payload| serde_json::from_slice(&payload).ok()).ok_or(Refused)
}

fn router(floor: Floor) -> Router {
    Router::new()
        .route("/token", post(token))
        .route("/readyz", get(|| async { "ready" }))
        .with_state(Arc::new(floor))
}

async fn token(State(floor): State<Arc<Floor>>, headers: HeaderMap, body: Bytes) -> Response {
    match floor.exchange(&headers, &body) {
        Ok(answer) => {
            let headers =
                [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
            (headers, answer).into_response()
        }
        Err(Refused) => (StatusCode::BAD_REQUEST, r#"{"error":"invalid_request"}"#).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use exequatur_federation::jose::UnverifiedJws;
    use tokio::net::TcpListener;

    use super::{
        super::{
            issuer::{AUDIENCE, GlobalIssuer},
            load::{self, LoadError},
            request::{KeyClient, SecretClient, Target},
        },
        *,
    };

    const TARGET: Target<'_> = Target {
        host: "localhost",
        issuer: "http://localhost:1",
        resource: "https://api.example/orders",
    };

    struct World {
        issuer: GlobalIssuer,
        by_secret: SecretClient,
        by_key: KeyClient,
    }

    impl World {
        fn new() -> Self {
            Self {
                issuer: GlobalIssuer::start().unwrap(),
                by_secret: SecretClient::generate("bench").unwrap(),
                by_key: KeyClient::generate("bench-key").unwrap(),
            }
        }

        fn floor(&self) -> Floor {
            let hash = self.by_secret.hash();
            Floor::new(Settings {
                issuer: TARGET.issuer.to_owned(),
                upstream_issuer: self.issuer.issuer().to_owned(),
                upstream_audience: AUDIENCE.to_owned(),
                upstream_keys: self.issuer.jwk_set(),
                secret_client: (
                    self.by_secret.id().to_owned(),
                    base64url(&hash.salt),
                    base64url(&hash.hash),
                ),
                key_client: self.by_key.id().to_owned(),
                key_client_keys: self.by_key.key().to_jwk_set(),
            })
            .unwrap()
        }
    }

    /// Sends one request to a floor over a socket.
    async fn ask(floor: Floor, request: &[u8]) -> Result<Value, LoadError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::select! {
            _ = axum::serve(listener, router(floor)) => panic!("the floor ended"),
            body = load::ask(address, request) => {
                body.map(|body| serde_json::from_slice(&body).unwrap())
            }
        }
    }

    fn now() -> UnixTime {
        SystemClock::start().now()
    }

    /// The payload of the answer's token, verified under the floor's key.
    fn payload(answer: &Value, keys: &Value) -> serde_json::Map<String, Value> {
        let jws = UnverifiedJws::parse(answer["access_token"].as_str().unwrap()).unwrap();
        let keys = JwkSet::parse(keys.to_string().as_bytes()).unwrap();
        let key = &keys.select(jws.kid()).unwrap().key;
        assert_eq!(jws.verify(key, Algorithm::Es256), Ok(()));
        jws.into_payload()
    }

    #[tokio::test]
    async fn an_exchange_by_secret_gives_a_token_that_verifies() {
        let world = World::new();
        let floor = world.floor();
        let keys = floor.signing_key.to_jwk_set();
        let token = world.issuer.mint(now()).unwrap();
        let answer = ask(floor, &world.by_secret.exchange(&TARGET, &token)).await.unwrap();
        let payload = payload(&answer, &keys);
        assert_eq!(payload["iss"], TARGET.issuer);
        assert_eq!(payload["aud"], TARGET.resource);
        assert_eq!(payload["client_id"], "bench");
        assert_eq!(payload["email_domain"], "example.com");
    }

    #[tokio::test]
    async fn an_exchange_by_assertion_gives_a_token_that_verifies() {
        let world = World::new();
        let floor = world.floor();
        let keys = floor.signing_key.to_jwk_set();
        let token = world.issuer.mint(now()).unwrap();
        let request = world.by_key.exchange(&TARGET, &token, now()).unwrap();
        let answer = ask(floor, &request).await.unwrap();
        assert_eq!(payload(&answer, &keys)["client_id"], "bench-key");
    }

    #[tokio::test]
    async fn what_does_not_verify_gets_no_token() {
        let world = World::new();
        let stranger = World::new();
        let token = world.issuer.mint(now()).unwrap();
        let expired = world.issuer.mint(UnixTime::from_seconds(1)).unwrap();
        let foreign = stranger.issuer.mint(now()).unwrap();
        let late = world.by_key.exchange(&TARGET, &token, UnixTime::from_seconds(1)).unwrap();
        for (case, request) in [
            ("expired token", world.by_secret.exchange(&TARGET, &expired)),
            ("token of another issuer", world.by_secret.exchange(&TARGET, &foreign)),
            ("no token", world.by_secret.exchange(&TARGET, "")),
            ("wrong secret", stranger.by_secret.exchange(&TARGET, &token)),
            ("wrong key", stranger.by_key.exchange(&TARGET, &token, now()).unwrap()),
            ("expired assertion", late),
        ] {
            let error = ask(world.floor(), &request).await.unwrap_err();
            assert!(matches!(error, LoadError::Status { status: 400, .. }), "{case}: {error}");
        }
    }
}
