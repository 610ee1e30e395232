//! A rehearsal says what a decision would say, and lets nothing through that a decision would not.

use std::collections::BTreeMap;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Map, Value, json};

use super::*;
use crate::{
    client::ClientId,
    config::{SourceFile, compile},
    exchange::{Decision, Facts, Sealing, TokenFacts, decide},
    freshness::{Moment, ViewFacts},
    jose::{PublicKey, SigningInput},
    ledger::Lix,
    oauth::GRANT_TOKEN_EXCHANGE,
    revocation::RevocationView,
    seal::{DigestKey, ReaderKey, SealKeys, Versions},
};

const FEDERATION: &str = include_str!("../../../region-configs/federation.toml");
const REGION: &str = include_str!("../../../region-configs/eu-central.toml");
const JWKS: &str = include_str!("../../../region-configs/clients/orders-api.jwks");
const TOKEN: &str = include_str!("../../testdata/presets/keycloak/access_person.json");
const NOW: UnixTime = UnixTime::from_seconds(1_782_000_100);

struct Provider {
    key: EcdsaKeyPair,
}

impl Provider {
    fn new() -> Self {
        Self { key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap() }
    }

    fn public(&self) -> PublicKey {
        PublicKey::p256_from_point(self.key.public_key().as_ref()).unwrap()
    }

    fn keys(&self) -> Arc<JwkSet> {
        Arc::new(JwkSet::from_keys([(Algorithm::Es256, self.public())]))
    }

    fn token(&self, claims: &Map<String, Value>) -> UnverifiedJws {
        let kid = self.public().thumbprint();
        let input = SigningInput::new(Algorithm::Es256, "JWT", &kid, claims).unwrap();
        let signature = self.key.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
        UnverifiedJws::parse(input.with_signature(signature.as_ref()).as_str()).unwrap()
    }
}

fn law() -> Law {
    let source = |text: &str| SourceFile { name: "x.toml".to_owned(), text: text.to_owned() };
    let read = |_: &str| Ok(JWKS.as_bytes().to_vec());
    let mut law = compile(&source(REGION), &source(FEDERATION), &read).unwrap().law;
    // What the example asks for beyond the fixture: an order of authentication contexts.
    law.resources.values_mut().for_each(|resource| resource.acr = None);
    law
}

fn claims_with(name: &str, value: Value) -> Map<String, Value> {
    let fixture: Value = serde_json::from_str(TOKEN).unwrap();
    let mut claims = fixture["claims"].as_object().unwrap().clone();
    claims.insert("home_region".to_owned(), json!("eu"));
    claims.insert(name.to_owned(), value);
    claims
}

fn request() -> ExchangeRequest {
    ExchangeRequest {
        grant_type: GRANT_TOKEN_EXCHANGE.to_owned(),
        subject_token_type: TokenType::AccessToken.urn().to_owned(),
        ..ExchangeRequest::default()
    }
}

fn rehearsed(law: &Law, token: UnverifiedJws, keys: Option<Arc<JwkSet>>) -> Rehearsal {
    let client = &law.clients[&ClientId::new("orders-gateway")];
    let pairwise = PairwiseKey::new(&[7; 32]);
    let facts = RehearsalFacts { now: NOW, subject: Ok(token), keys, pairwise: &pairwise };
    rehearse(law, client, &request(), facts)
}

fn decided(law: &Law, token: UnverifiedJws, keys: Arc<JwkSet>) -> Result<AccessToken, Refusal> {
    let client = AuthenticatedClient::rehearsed(&law.clients[&ClientId::new("orders-gateway")]);
    let seal = SealKeys {
        region: law.region_number(),
        digest: Versions::only(DigestKey::new(&[1; 32])),
        own: Versions::only(ReaderKey::new(&[2; 32])),
        to: BTreeMap::new(),
        from: BTreeMap::new(),
    };
    let facts = Facts {
        now: NOW,
        token_id: TokenId::new([0; 16]),
        status: StatusReference { list: ListId::new(0), index: 0 },
        view: ViewFacts::alone(Moment::default()),
        subject: TokenFacts {
            presented: Presented::Read(Ok(token)),
            keys: Some(IssuerKeys::Available(keys)),
        },
        actor: None,
        key: &KeyId::new("k"),
        algorithm: Algorithm::Es256,
        pairwise: &PairwiseKey::new(&[7; 32]),
        sealing: Sealing { keys: &seal, lix: Lix::default() },
        revocations: &RevocationView::default(),
    };
    match decide(law, &client, &request(), facts) {
        Decision::Authorized(authorization) => Ok(authorization.token),
        Decision::Refused(refusal) => Err(refusal),
    }
}

/// What is sealed says nothing in a rehearsal, but has its length: a token that would be too large
/// is refused in both.
fn payload(token: &AccessToken) -> Map<String, Value> {
    let mut payload = token.to_payload();
    let sealed = payload.insert("exq".to_owned(), Value::Null).unwrap();
    payload.insert("exq_length".to_owned(), json!(sealed.to_string().len()));
    payload
}

#[test]
fn says_what_a_decision_says_with_and_without_keys() {
    let (law, provider) = (law(), Provider::new());
    let cases = [
        ("x", json!(1)),
        ("exp", json!(1_782_000_001)),
        ("aud", json!("other")),
        ("azp", json!("other")),
        ("typ", json!("ID")),
        ("home_region", json!("us")),
        ("home_region", json!("mars")),
        ("scope", json!("openid")),
        ("cnf", json!({"jkt": "x"})),
        ("may_act", json!({"sub": "other"})),
        ("iss", json!("https://other.example")),
    ];
    let mut refusals = 0;
    for (name, value) in cases {
        let token = || provider.token(&claims_with(name, value.clone()));
        let decided = decided(&law, token(), provider.keys()).map(|token| payload(&token));
        refusals += usize::from(decided.is_err());
        for keys in [None, Some(provider.keys())] {
            let rehearsed = rehearsed(&law, token(), keys).outcome.map(|token| payload(&token));
            assert_eq!(rehearsed, decided, "{name} {value}");
        }
    }
    assert_eq!(refusals, 10, "every case but the first is refused");
}

#[test]
fn a_signature_that_no_key_vouches_for_passes_only_a_rehearsal_without_keys() {
    let (law, stranger, provider) = (law(), Provider::new(), Provider::new());
    let token = || stranger.token(&claims_with("x", json!(1)));
    assert!(rehearsed(&law, token(), None).outcome.is_ok());
    let untrusted = Refusal::from(refusal::SUBJECT_TOKEN_UNTRUSTED);
    let with_keys = rehearsed(&law, token(), Some(provider.keys()));
    assert_eq!(with_keys.outcome.unwrap_err(), untrusted);
    assert!(with_keys.admitted.is_none(), "its claims are not explained either");
    assert_eq!(decided(&law, token(), provider.keys()).unwrap_err(), untrusted);
}

#[test]
fn explains_the_rules_where_the_request_cannot_succeed() {
    let (law, provider) = (law(), Provider::new());
    let token = || provider.token(&claims_with("azp", json!("other")));
    let rehearsal = rehearsed(&law, token(), None);
    assert_eq!(rehearsal.outcome.unwrap_err().id, refusal::REQUESTER_NOT_ALLOWED);
    let admitted = rehearsal.admitted.unwrap();
    assert!(!admitted.is_service);
    assert_eq!(admitted.explanation.fault, None);
    assert!(admitted.explanation.projection.claims.members().contains_key("roles"));
    let elsewhere = provider.token(&claims_with("home_region", json!("us")));
    assert!(rehearsed(&law, elsewhere, None).admitted.is_none(), "it is not unpacked here");
}
