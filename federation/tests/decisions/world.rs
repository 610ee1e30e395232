//! One region with its providers, clients and keys. Every key comes from a seed, and the clock
//! stands still, so that a test that fails fails again.

use std::collections::BTreeMap;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use exequatur_federation::{
    authenticate::{AuthenticatedClient, Credentials, authenticate},
    client::SecretHash,
    config::{SourceFile, compile, secret_hash_text},
    exchange::{Authorization, Decision, ExchangeRequest, Facts, Sealing, TokenFacts, decide},
    freshness::{Moment, ViewFacts},
    jose::{Algorithm, JwkSet, PublicKey, UnverifiedJws, base64url, sha256},
    law::Law,
    ledger::Lix,
    oauth::{GRANT_TOKEN_EXCHANGE, TokenType},
    refusal::Refusal,
    region::RegionNumber,
    revocation::{ListId, RevocationView, StatusReference},
    seal::{DigestKey, ReaderKey, SealKeys, Versions},
    subject::PairwiseKey,
    time::UnixTime,
    token::{RegionalToken, TokenId},
    verified::{IssuerKeys, Presented, VerifiedToken},
};
use serde_json::{Map, Value, json};

/// A hundred seconds after the fixture tokens were issued.
pub(crate) const NOW: u64 = 1_782_000_100;
pub(crate) const ISSUER: &str = "https://eu-central.id.example";
pub(crate) const US_ISSUER: &str = "https://us-east.id.example";
pub(crate) const GLOBAL: &str = "https://login.example.com/realms/global";
pub(crate) const PARTNER: &str = "https://id.partner.example";
pub(crate) const ORDERS: &str = "https://api.eu.example/orders";
pub(crate) const BANK: &str = "https://api.eu.example/bank";
/// How far the ledger is.
pub(crate) const LIX: Lix = Lix { epoch: 2, index: 77 };
/// 43 letters and digits, as the command line draws them.
pub(crate) const SECRET: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ";

pub(crate) const FEDERATION: &str = include_str!("federation.toml");
pub(crate) const REGION: &str = include_str!("region.toml");

pub(crate) struct World {
    pub(crate) law: Law,
    /// Keys that each issuer publishes now.
    pub(crate) keys: BTreeMap<String, JwkSet>,
    pub(crate) now: UnixTime,
    /// What is revoked.
    pub(crate) revocations: RevocationView,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::of(REGION, FEDERATION)
    }

    /// The world with one part of the region's file replaced.
    pub(crate) fn edited(from: &str, to: &str) -> Self {
        assert_eq!(REGION.matches(from).count(), 1, "{from}");
        Self::of(&REGION.replace(from, to), FEDERATION)
    }

    /// The world with tables added to the region's file.
    pub(crate) fn with(tables: &str) -> Self {
        Self::of(&format!("{REGION}\n{tables}"), FEDERATION)
    }

    pub(crate) fn of(region: &str, federation: &str) -> Self {
        let hash = |salt| secret_hash_text(&SecretHash::of([salt; 16], SECRET));
        let region = region.replace("SECRET_HASH", &hash(1));
        let source = |text: &str| SourceFile { name: "x.toml".to_owned(), text: text.to_owned() };
        let read = |path: &str| Ok(jwks_text(&[path]).into_bytes());
        let compiled = compile(&source(&region), &source(federation), &read);
        let law = compiled.unwrap_or_else(|found| panic!("{found:#?}")).law;
        let keys = law.upstreams.keys().map(|issuer| (issuer.clone(), jwks(&[issuer]))).collect();
        let (now, revocations) = (UnixTime::from_seconds(NOW), RevocationView::default());
        Self { law, keys, now, revocations }
    }

    pub(crate) fn client(&self, id: &str) -> AuthenticatedClient<'_> {
        let credentials = Credentials::Secret {
            client_id: id.to_owned(),
            secret: SECRET.to_owned().into(),
            in_body: false,
        };
        authenticate(&self.law, &credentials, self.now).unwrap()
    }

    /// A request of the gateway for a token for the orders service.
    pub(crate) fn ask(&self, claims: &Value) -> Ask<'_> {
        self.ask_with(&signed(claims))
    }

    /// The same with a token that is already there.
    pub(crate) fn ask_with(&self, token: &str) -> Ask<'_> {
        let request = ExchangeRequest {
            grant_type: GRANT_TOKEN_EXCHANGE.to_owned(),
            subject_token_type: TokenType::AccessToken.urn().to_owned(),
            resource: vec![ORDERS.to_owned()],
            ..ExchangeRequest::default()
        };
        let subject = read(token);
        Ask {
            world: self,
            client: "gateway-eu",
            request,
            subject,
            actor: None,
            drawn: 9,
            view: ViewFacts::alone(Moment::default()),
        }
    }

    fn facts(&self, presented: &Presented) -> TokenFacts {
        let keys = presented.issuer().and_then(|issuer| self.keys.get(issuer));
        let keys = keys.map(|keys| IssuerKeys::Available(keys.clone().into()));
        TokenFacts { presented: presented.clone(), keys }
    }
}

/// A request, and everything that is read to decide it.
pub(crate) struct Ask<'w> {
    pub(crate) world: &'w World,
    pub(crate) client: &'w str,
    pub(crate) request: ExchangeRequest,
    pub(crate) subject: Presented,
    pub(crate) actor: Option<Presented>,
    /// What is random in a token: its `jti`, and its index in a status list.
    pub(crate) drawn: u8,
    pub(crate) view: ViewFacts,
}

impl<'w> Ask<'w> {
    pub(crate) const fn under(mut self, view: ViewFacts) -> Self {
        self.view = view;
        self
    }

    pub(crate) fn by_client(mut self, client: &'w str) -> Self {
        self.client = client;
        self
    }

    pub(crate) fn of_type(mut self, kind: &str) -> Self {
        self.request.subject_token_type = kind.to_owned();
        self
    }

    pub(crate) fn to(mut self, resource: &[&str], audience: &[&str]) -> Self {
        self.request.resource = resource.iter().map(|&name| name.to_owned()).collect();
        self.request.audience = audience.iter().map(|&name| name.to_owned()).collect();
        self
    }

    pub(crate) fn scope(mut self, scope: &str) -> Self {
        self.request.scope = Some(scope.to_owned());
        self
    }

    pub(crate) fn actor(mut self, claims: &Value) -> Self {
        self.request.actor_token_type = Some(TokenType::AccessToken.urn().to_owned());
        self.actor = Some(read(&signed(claims)));
        self
    }

    pub(crate) fn known(mut self, token: std::sync::Arc<VerifiedToken>) -> Self {
        self.subject = Presented::Known(token);
        self
    }

    pub(crate) fn drawing(mut self, drawn: u8) -> Self {
        self.drawn = drawn;
        self
    }

    pub(crate) fn decide(&self) -> Result<Authorization, Refusal> {
        let world = self.world;
        let facts = Facts {
            now: world.now,
            token_id: TokenId::new([self.drawn; 16]),
            status: StatusReference { list: ListId::new(7), index: 2 + u32::from(self.drawn) },
            view: self.view,
            subject: world.facts(&self.subject),
            actor: self.actor.as_ref().map(|actor| world.facts(actor)),
            key: &public_key(ISSUER).thumbprint(),
            algorithm: Algorithm::EdDsa,
            pairwise: &PairwiseKey::new(&[3; 32]),
            sealing: Sealing { keys: &seal_keys(&world.law), lix: LIX },
            revocations: &world.revocations,
        };
        match decide(&world.law, &world.client(self.client), &self.request, facts) {
            Decision::Authorized(authorization) => Ok(*authorization),
            Decision::Refused(refusal) => Err(refusal),
        }
    }

    /// The payload of the token that is issued.
    pub(crate) fn payload(&self) -> Value {
        let authorization = self.decide().unwrap_or_else(|refusal| panic!("{refusal:?}"));
        Value::Object(authorization.token.to_payload())
    }

    /// The id of the refusal, or an empty text if there is none.
    pub(crate) fn refusal(&self) -> &'static str {
        self.decide().map_or_else(|refusal| refusal.id.as_str(), |_| "")
    }

    /// The token that is issued, as it comes back.
    pub(crate) fn issued(&self) -> RegionalToken {
        let input = self.decide().unwrap_or_else(|refusal| panic!("{refusal:?}")).signing_input;
        let token = input.with_signature(pair(ISSUER).sign(input.as_bytes()).as_ref());
        let jws = UnverifiedJws::parse(token.as_str()).unwrap();
        let seal = seal_keys(&self.world.law);
        RegionalToken::verify(&jws, &jwks(&[ISSUER]), ISSUER).unwrap().open(&seal)
    }
}

/// The keys of the region that trailers are sealed and opened with, and those that it shares with
/// each other region.
pub(crate) fn seal_keys(law: &Law) -> SealKeys {
    let reader = |byte| Versions::only(ReaderKey::new(&[byte; 32]));
    let others = law.region_numbers.values().filter(|number| Some(**number) != law.region_number());
    SealKeys {
        region: law.region_number(),
        digest: Versions::only(DigestKey::new(&[4; 32])),
        own: reader(5),
        to: others.map(|number| (*number, reader(border_byte(*number)))).collect(),
        from: BTreeMap::new(),
    }
}

fn border_byte(reader: RegionNumber) -> u8 {
    u8::try_from(reader.number()).unwrap() + 0x60
}

/// Ada's access token from the Keycloak realm.
pub(crate) fn ada() -> Value {
    json!({
        "iss": GLOBAL, "sub": "ada", "aud": ["https://exequatur.example", "account"],
        "azp": "gateway", "typ": "Bearer", "scope": "openid orders:read orders:write",
        "home_region": "eu", "iat": NOW - 100, "exp": NOW + 3_500, "jti": "token-1",
        "email": "ada@example.com", "email_verified": true,
        "realm_access": {"roles": ["reader", "EU-EDIT", "unlisted"]},
    })
}

/// An access token of a service from the Keycloak realm.
pub(crate) fn batch() -> Value {
    with(
        &ada(),
        &json!({
            "sub": "0d9b7a11", "azp": "batch", "client_id": "batch", "home_region": null,
            "email": null, "email_verified": null,
            "aud": ["https://exequatur.example", "gateway"],
        }),
    )
}

/// Claims with some replaced; `null` removes one.
pub(crate) fn with(claims: &Value, changes: &Value) -> Value {
    let mut claims: Map<String, Value> = claims.as_object().unwrap().clone();
    for (name, value) in changes.as_object().unwrap() {
        claims.remove(name);
        if !value.is_null() {
            claims.insert(name.clone(), value.clone());
        }
    }
    Value::Object(claims)
}

/// A token that its issuer signed, with the header that Keycloak writes.
pub(crate) fn signed(claims: &Value) -> String {
    let typ = if claims["iss"] == PARTNER { "at+jwt" } else { "JWT" };
    signed_by(claims["iss"].as_str().unwrap_or(GLOBAL), &json!({"typ": typ}), claims)
}

/// A token that the key of `owner` signed. `header` is completed with `alg` and `kid`.
pub(crate) fn signed_by(owner: &str, header: &Value, claims: &Value) -> String {
    let kid = public_key(owner).thumbprint();
    let header = with(&json!({"alg": "EdDSA", "kid": kid}), header);
    let input = format!("{}.{}", base64url(header.to_string().as_bytes()), encoded(claims));
    format!("{input}.{}", base64url(pair(owner).sign(input.as_bytes()).as_ref()))
}

pub(crate) fn encoded(claims: &Value) -> String {
    base64url(claims.to_string().as_bytes())
}

pub(crate) fn read(token: &str) -> Presented {
    Presented::Read(UnverifiedJws::parse(token))
}

pub(crate) fn public_key(owner: &str) -> PublicKey {
    let bytes = pair(owner).public_key().as_ref().try_into().unwrap();
    PublicKey::ed25519(bytes).unwrap()
}

/// The set that holds the keys of these owners.
pub(crate) fn jwks(owners: &[&str]) -> JwkSet {
    JwkSet::parse(jwks_text(owners).as_bytes()).unwrap()
}

fn jwks_text(owners: &[&str]) -> String {
    let keys: Vec<Value> =
        owners.iter().map(|owner| public_key(owner).to_jwk(Algorithm::EdDsa)).collect();
    json!({ "keys": keys }).to_string()
}

fn pair(owner: &str) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&sha256(owner.as_bytes())).unwrap()
}
