//! The endpoints of a node whose view of revocations ages as a test wants: before a decision, and
//! while something is signed. Real audit log, real signatures; the clock and the wait for a
//! signature are the test's.

use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use axum::{body::Body, extract::Request};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use exequatur_federation::{
    client::SecretHash,
    config::{SourceFile, compile, secret_hash_text},
    jose::{Algorithm, JwkSet, KeyId, PublicKey, SigningInput},
    law::Law,
    revocation::{ListId, status_list::DecoySeed},
    seal::{DigestKey, ReaderKey, SealKeys, Versions},
    subject::PairwiseKey,
    time::{Ttl, UnixTime},
};
use futures_util::future::BoxFuture;
use http::HeaderMap;
use http_body_util::BodyExt as _;
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use super::{ClientRateLimiter, Documents, Facade, TokenCache, pipeline::serve, rate::ClientRate};
use crate::{
    audit::{CountedRefusals, faulty::FaultyStore, open_log},
    clock::{Clock, testing::HandClock},
    entropy::SystemEntropy,
    hsm::{Signer, Signing},
    issuer::Issuer,
    revocation::{DrawnList, Feed, IssuedAt, SharedView, StatusIndexes, ViewAge},
    store::Store,
    telemetry::metrics::{Endpoint, Metrics},
    upstream::{Fetch, FetchError, Freshness, IssuerKeys, IssuerSource, RemoteUrl},
};

const FEDERATION: &str = include_str!("../../../region-configs/federation.toml");
const GLOBAL: &str = "https://login.example.com/realms/global";
const ORDERS: &str = "https://api.eu.example/orders";
const BANK: &str = "https://api.eu.example/bank";
const SECRET: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ";
const REGION: &str = r#"
[region]
name         = "eu-central"
jurisdiction = "EU"
issuer       = "https://eu-central.id.example"
[listen]
plain_http = true
[keys]
provider = "software"
software = { file = "keys", passphrase_file = "passphrase" }
[store]
url = "sqlite:region.db"
[revocation]
max_staleness = "10s"
stale_ttl     = "30s"
local_max     = "10m"
[[upstream]]
name   = "global"
preset = "keycloak"
issuer = "https://login.example.com/realms/global"
[[resource]]
id            = "https://api.eu.example/orders"
introspect_as = ["gateway"]
[[resource]]
id            = "https://api.eu.example/bank"
introspect_as = ["gateway"]
on_stale      = "refuse"
[[client]]
id           = "gateway"
auth         = { secret_sha256 = ["SECRET_HASH"] }
grants       = ["token-exchange"]
resources    = ["https://api.eu.example/orders", "https://api.eu.example/bank"]
upstream_ids = ["gateway"]
"#;

/// A key pair that signs, and meanwhile lets as much time pass as a test wants.
struct SlowSigner {
    key: EcdsaKeyPair,
    public: PublicKey,
    id: KeyId,
    clock: Arc<HandClock>,
    takes_seconds: AtomicU64,
}

impl SlowSigner {
    fn new(clock: &Arc<HandClock>) -> Arc<Self> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let public = PublicKey::p256_from_point(key.public_key().as_ref()).unwrap();
        let (id, clock) = (public.thumbprint(), Arc::clone(clock));
        Arc::new(Self { key, public, id, clock, takes_seconds: AtomicU64::new(0) })
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        self.key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
    }
}

impl Signer for SlowSigner {
    fn key_id(&self) -> &KeyId {
        &self.id
    }

    fn algorithm(&self) -> Algorithm {
        Algorithm::Es256
    }

    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> Signing<'a> {
        Box::pin(async move {
            self.clock.sleep(Duration::from_secs(self.takes_seconds.load(Ordering::SeqCst)));
            Ok(self.signature(message))
        })
    }
}

/// The provider's keys.
struct Jwks(String);

impl Fetch for Jwks {
    fn fetch<'a>(&'a self, _: &'a RemoteUrl) -> BoxFuture<'a, Result<Bytes, FetchError>> {
        Box::pin(async { Ok(Bytes::from(self.0.clone())) })
    }
}

struct Lab {
    facade: Facade,
    clock: Arc<HandClock>,
    signer: Arc<SlowSigner>,
    provider: Arc<SlowSigner>,
    store: Arc<FaultyStore>,
    _writing: JoinSet<()>,
}

struct Said {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Said {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn error(&self) -> (u16, String) {
        (self.status, self.json()["error_id"].as_str().unwrap_or_default().to_owned())
    }

    fn as_of(&self) -> Option<u64> {
        self.headers.get("exequatur-as-of")?.to_str().unwrap().parse().ok()
    }
}

fn law() -> Law {
    let hash = secret_hash_text(&SecretHash::of([1; 16], SECRET));
    let source = |text: String| SourceFile { name: "x.toml".to_owned(), text };
    let region = source(REGION.replace("SECRET_HASH", &hash));
    let read = |_: &str| Err("there is no other file".to_owned());
    compile(&region, &source(FEDERATION.to_owned()), &read).unwrap().law
}

fn seal_keys() -> SealKeys {
    SealKeys {
        region: None,
        digest: Versions::only(DigestKey::new(&[1; 32])),
        own: Versions::only(ReaderKey::new(&[2; 32])),
        to: BTreeMap::new(),
        from: BTreeMap::new(),
    }
}

impl Lab {
    async fn start() -> Self {
        let clock = Arc::new(HandClock::default());
        let time: Arc<dyn Clock> = Arc::<HandClock>::clone(&clock);
        let entropy = Arc::new(SystemEntropy::default());
        let (metrics, law) = (Arc::new(Metrics::new()), Arc::new(law()));
        let (signer, provider) = (SlowSigner::new(&clock), SlowSigner::new(&clock));
        let signers: [Arc<dyn Signer>; 2] =
            [Arc::<SlowSigner>::clone(&signer), Arc::<SlowSigner>::clone(&signer)];
        let issuer = Issuer::new(signers, metrics.signer.clone(), Arc::clone(&time));
        let jwks = json!({"keys": [provider.public.to_jwk(Algorithm::Es256)]});
        let fetch = Arc::new(Jwks(jwks.to_string()));
        let keys = IssuerSource::new(GLOBAL, Some("https://login.example.com/keys"), fetch);
        let keys = IssuerKeys::new([keys.unwrap()], Freshness::STANDARD, Arc::clone(&time));
        let store = FaultyStore::new().await;
        let database: Arc<dyn Store> = Arc::<FaultyStore>::clone(&store);
        let (audit, writer) =
            open_log(database, Arc::<SystemEntropy>::clone(&entropy)).await.unwrap();
        let mut writing = JoinSet::new();
        writing.spawn(async move { writer.run().await.unwrap() });
        let many = NonZeroU32::new(1_000).unwrap();
        let rate = ("gateway".to_owned(), ClientRate { per_second: many, burst: many });
        let list = DrawnList {
            id: ListId::new(1),
            drawn_at: UnixTime::default(),
            decoys: DecoySeed::new(&[3; 32]),
        };
        let (own, feeds) = (Arc::<SystemEntropy>::clone(&entropy), metrics.status_lists.clone());
        let feed = Feed::new(&law.issuer, own, feeds);
        let facade = Facade {
            documents: Documents::new(&law, &issuer, (&JwkSet::default(), Ttl::from_seconds(10)))
                .unwrap(),
            law,
            issuer,
            audit,
            counted: Arc::new(CountedRefusals::default()),
            keys: Arc::new(keys.unwrap()),
            pairwise: PairwiseKey::new(&[7; 32]),
            revocations: Arc::new(SharedView::default()),
            outbox: None,
            view_age: Arc::new(ViewAge::of_member(Arc::clone(&time))),
            indexes: Arc::new(StatusIndexes::new(&list, Arc::<SystemEntropy>::clone(&entropy))),
            lists: Arc::default(),
            feed: Arc::new(feed.unwrap()),
            seal: seal_keys(),
            issued_at: IssuedAt::of(None),
            subjects: TokenCache::new(metrics.cache("subject_tokens")),
            tokens: TokenCache::new(metrics.cache("regional_tokens")),
            foreign: TokenCache::new(metrics.cache("foreign_tokens")),
            rates: ClientRateLimiter::new([rate], Arc::clone(&time)),
            metrics,
            clock: time,
            entropy,
        };
        Self { facade, clock, signer, provider, store, _writing: writing }
    }

    /// A probe has succeeded just now.
    fn confirm(&self) {
        self.facade.view_age.confirmed(self.clock.moment());
    }

    fn pass(&self, seconds: u64) {
        self.clock.pass(Duration::from_secs(seconds));
    }

    fn signing_takes(&self, seconds: u64) {
        self.signer.takes_seconds.store(seconds, Ordering::SeqCst);
    }

    async fn post(&self, endpoint: Endpoint, form: &[(&str, &str)], accept: &str) -> Said {
        let mut body = form_urlencoded::Serializer::new(String::new());
        let body = body.extend_pairs(form).finish();
        let basic = STANDARD.encode(format!("gateway:{SECRET}"));
        let request = Request::post("/")
            .header("authorization", format!("Basic {basic}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", accept)
            .body(Body::from(body))
            .unwrap();
        let (parts, body) = serve(&self.facade, endpoint, request).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Said { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// Exchanges a token that the provider issued just now.
    async fn exchange(&self, resource: &str) -> Said {
        let now = self.clock.now().seconds();
        let claims: Map<String, Value> = serde_json::from_value(json!({
            "iss": GLOBAL, "aud": "https://exequatur.example", "sub": "ada", "typ": "Bearer",
            "azp": "gateway", "home_region": "eu", "iat": now, "auth_time": now, "exp": now + 3_600,
            "jti": format!("onrtac:{now}"), "scope": "openid", "preferred_username": "ada",
        }))
        .unwrap();
        let input = SigningInput::new(Algorithm::Es256, "JWT", &self.provider.id, &claims).unwrap();
        let signed = input.with_signature(&self.provider.signature(input.as_bytes()));
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", signed.as_str()),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("resource", resource),
        ];
        self.post(Endpoint::Token, &form, "*/*").await
    }

    /// A token for a resource.
    async fn token(&self, resource: &str) -> String {
        let said = self.exchange(resource).await;
        assert_eq!(said.status, 200, "{:?}", said.body);
        said.json()["access_token"].as_str().unwrap().to_owned()
    }

    async fn introspect(&self, token: &str) -> Said {
        self.post(Endpoint::Introspect, &[("token", token)], "application/json").await
    }

    async fn introspect_signed(&self, token: &str) -> Said {
        let accept = "application/token-introspection+jwt";
        self.post(Endpoint::Introspect, &[("token", token)], accept).await
    }

    /// What the log holds of an event.
    async fn records(&self, event: &str) -> Vec<Value> {
        let page = self.store.audit_page(0, 1_000).await.unwrap();
        let all = page.iter().map(|row| serde_json::from_slice::<Value>(&row.sealed.record));
        all.map(Result::unwrap).filter(|record| record["event"] == event).collect()
    }
}

fn payload(jws: &str) -> Value {
    let part = jws.split('.').nth(1).unwrap();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test]
async fn a_node_that_was_never_confirmed_answers_nobody_but_its_documents_stand() {
    let lab = Lab::start().await;
    let stale = (503, "view_stale".to_owned());
    let said = lab.exchange(ORDERS).await;
    assert_eq!(said.error(), stale);
    assert_eq!(said.json()["error"], "temporarily_unavailable");
    assert!(said.headers.contains_key("retry-after"));
    assert_eq!(lab.introspect("no token at all").await.error(), stale);
    let refused = lab.records("refused").await;
    assert_eq!(refused.len(), 2);
    assert!(refused.iter().all(|record| record["error_id"] == "view_stale"), "{refused:?}");
    assert!(lab.records("token_authorized").await.is_empty());
    lab.confirm();
    assert_eq!(lab.exchange(ORDERS).await.status, 200);
}

#[tokio::test]
async fn with_a_stale_view_tokens_are_short_and_marked_until_local_mode_ends() {
    let lab = Lab::start().await;
    lab.confirm();
    lab.pass(9);
    let fresh = lab.exchange(ORDERS).await.json();
    assert_eq!(fresh["expires_in"], 300);
    assert_eq!(payload(fresh["access_token"].as_str().unwrap()).get("exq_stale"), None);
    lab.pass(1);
    let local = lab.exchange(ORDERS).await.json();
    assert_eq!(local["expires_in"], 30);
    assert_eq!(payload(local["access_token"].as_str().unwrap())["exq_stale"], true);
    let marks: Vec<bool> = lab
        .records("token_authorized")
        .await
        .iter()
        .map(|record| record.get("stale") == Some(&Value::Bool(true)))
        .collect();
    assert_eq!(marks, [false, true]);
    assert_eq!(lab.exchange(BANK).await.error(), (503, "view_stale".to_owned()));
    lab.pass(589);
    assert_eq!(lab.exchange(ORDERS).await.status, 200);
    lab.pass(1);
    assert_eq!(lab.exchange(ORDERS).await.error(), (503, "view_stale".to_owned()));
    lab.confirm();
    assert_eq!(lab.exchange(ORDERS).await.json()["expires_in"], 300);
}

#[tokio::test]
async fn answers_about_tokens_say_as_of_when() {
    let lab = Lab::start().await;
    lab.confirm();
    let confirmed_at = lab.clock.now().seconds();
    let token = lab.token(ORDERS).await;
    let bank = lab.token(BANK).await;
    lab.pass(3);
    let said = lab.introspect(&token).await;
    assert_eq!((said.json()["active"].clone(), said.as_of()), (json!(true), Some(confirmed_at)));
    let signed = lab.introspect_signed(&token).await;
    let text = String::from_utf8(signed.body.to_vec()).unwrap();
    assert_eq!(payload(&text)["as_of"], confirmed_at);
    assert_eq!(payload(&text)["iat"], confirmed_at + 3);
    assert_eq!(signed.as_of(), Some(confirmed_at));
    lab.pass(7);
    let local = lab.introspect(&token).await;
    assert_eq!((local.json()["active"].clone(), local.as_of()), (json!(true), Some(confirmed_at)));
    assert_eq!(lab.introspect(&bank).await.error(), (503, "view_stale".to_owned()));
}

#[tokio::test]
async fn what_waited_too_long_for_its_signature_does_not_leave() {
    let lab = Lab::start().await;
    lab.confirm();
    let bank = lab.token(BANK).await;
    lab.signing_takes(30);
    let said = lab.exchange(ORDERS).await;
    assert_eq!(said.error(), (503, "view_stale".to_owned()), "it lives too long for a stale view");
    let withheld = lab.records("token_withheld").await;
    let authorized = lab.records("token_authorized").await;
    assert_eq!(withheld.len(), 1);
    assert_eq!(withheld[0]["token_id"], authorized[1]["token_id"]);
    assert_eq!(withheld[0]["error_id"], "view_stale");
    // The answer that follows was decided by a stale view, and leaves as such.
    assert_eq!(lab.exchange(ORDERS).await.json()["expires_in"], 30);

    lab.confirm();
    let said = lab.introspect_signed(&bank).await;
    assert_eq!(said.error(), (503, "view_stale".to_owned()), "it was true when it was signed");
    lab.signing_takes(0);
    lab.confirm();
    assert_eq!(lab.introspect_signed(&bank).await.status, 200);
}

#[tokio::test]
async fn a_wall_clock_that_is_set_makes_the_view_stale_until_the_next_probe() {
    let lab = Lab::start().await;
    for set in [HandClock::set_forward, HandClock::set_back] {
        lab.confirm();
        let token = lab.token(BANK).await;
        set(&lab.clock, Duration::from_secs(5));
        assert_eq!(lab.introspect(&token).await.error(), (503, "view_stale".to_owned()));
        lab.confirm();
        assert_eq!(lab.introspect(&token).await.json()["active"], true);
    }
}
