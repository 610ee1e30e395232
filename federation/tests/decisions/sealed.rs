//! What is sealed in a token: who can read it, what it says, and what two tokens have in common.

use std::collections::BTreeSet;

use exequatur_federation::{
    client::ClientId,
    introspection::introspect,
    jose::{UnverifiedJws, from_base64url},
    region::RegionNumber,
    revocation::RevocationView,
    seal::{
        ClientReference, DigestKey, KeyVersion, OpenError, ReaderKey, SealKeys, TokenName, Trailer,
        Versions,
    },
    subject::Subject,
    token::RegionalToken,
};
use serde_json::{Map, Value, json};

use super::world::{
    Ask, FEDERATION, GLOBAL, ISSUER, LIX, REGION, World, ada, batch, jwks, seal_keys, signed_by,
    with,
};

/// No window of this many bytes may turn up twice by chance.
const WINDOW: usize = 8;

fn region(number: u16) -> RegionNumber {
    RegionNumber::new(number).unwrap()
}

/// `eu-central` has the number 1 and `us-east` 2, and tokens for orders may be introspected there.
pub(crate) fn numbered() -> World {
    let number = |text: &str, name: &str, number: u16| {
        let line = format!("name         = \"{name}\"\n");
        assert_eq!(text.matches(&line).count(), 1);
        text.replace(&line, &format!("{line}number       = {number}\n"))
    };
    let federation = number(&number(FEDERATION, "eu-central", 1), "us-east", 2);
    let named = "introspect_as = [\"orders-api\"]\n";
    let region = REGION.replacen(named, &format!("{named}introspect_in = [\"us-east\"]\n"), 1);
    World::of(&region, &federation)
}

/// Ada's token, in a session.
fn in_session(session: &str) -> Value {
    with(&ada(), &json!({ "sid": session }))
}

/// What `us-east` opens in a token with the key that it shares with `eu-central`.
fn opened_abroad(payload: &Value) -> Result<Trailer, OpenError> {
    let keys = SealKeys {
        region: Some(region(2)),
        digest: Versions::only(DigestKey::new(&[0x77; 32])),
        own: Versions::only(ReaderKey::new(&[0x78; 32])),
        to: [].into(),
        from: [(region(1), Versions::only(ReaderKey::new(&[0x62; 32])))].into(),
    };
    let token = TokenName { issuer: ISSUER, id: payload["jti"].as_str().unwrap() };
    keys.open_from(region(1), token, payload.get("exq"))
}

/// Digests of a person and a session as the home region makes them.
fn digests(reader: u16, value: &str, session: &str) -> ([u8; 16], [u8; 16]) {
    let key = DigestKey::new(&[4; 32]);
    let of = |value| Subject { issuer: GLOBAL, tenant: None, value };
    (
        key.subject(region(reader), &of(value)).fixed().0,
        key.session(region(reader), &of(session)).fixed().0,
    )
}

fn digests_in(trailer: &Trailer) -> ([u8; 16], [u8; 16]) {
    (trailer.subject.unwrap().fixed().0, trailer.session.unwrap().fixed().0)
}

/// The token of an answer with another payload, signed by the region all the same.
fn returned(world: &World, payload: &Value, seal: &SealKeys) -> RegionalToken {
    let text = signed_by(ISSUER, &json!({"typ": "at+jwt"}), payload);
    let jws = UnverifiedJws::parse(&text).unwrap();
    RegionalToken::verify(&jws, &jwks(&[ISSUER]), &world.law.issuer).unwrap().open(seal)
}

#[test]
fn a_region_reads_its_own_and_each_reader_its_own() {
    let world = numbered();
    let ask = world.ask(&in_session("s-1"));
    let token = ask.issued();
    let own = token.sealed().unwrap();
    assert_eq!((own.lix, own.home), (LIX, Some(region(1))));
    let number = ClientId::new("gateway-eu").number();
    assert_eq!(own.client, ClientReference { region: Some(region(1)), number });
    assert!(own.rule.is_none() && own.ancestors.items().is_empty());
    assert_eq!(digests_in(own), digests(1, "ada", "s-1"));
    let abroad = opened_abroad(&ask.payload()).unwrap();
    assert_eq!(digests_in(&abroad), digests(2, "ada", "s-1"));
    assert_eq!((abroad.lix, abroad.home, abroad.client), (own.lix, own.home, own.client));
}

#[test]
fn only_a_resource_that_asks_for_it_has_its_tokens_read_abroad() {
    let world = numbered();
    let payload = world.ask(&ada()).to(&["https://api.eu.example/bank"], &[]).payload();
    assert_eq!(payload["exq"].as_array().unwrap().len(), 1);
    assert!(opened_abroad(&payload) == Err(OpenError::NotForThisRegion));
    let orders = world.ask(&ada()).payload();
    assert_eq!(orders["exq"].as_array().unwrap().len(), 2);
}

#[test]
fn a_token_without_a_session_has_no_digest_of_one() {
    let world = numbered();
    let token = world.ask(&ada()).issued();
    assert!(token.sealed().unwrap().session.is_none());
    assert!(token.sealed().unwrap().subject.is_some());
}

#[test]
fn a_service_is_told_apart_from_a_person_of_its_name() {
    let world = numbered();
    let service = world.ask(&batch()).issued();
    let person = world.ask(&with(&ada(), &json!({"sub": "batch"}))).issued();
    let (service, person) = (service.sealed().unwrap(), person.sealed().unwrap());
    assert!(service.subject.is_some() && service.subject != person.subject);
}

#[test]
fn a_region_without_a_number_seals_for_itself_what_needs_none() {
    let world = World::new();
    let token = world.ask(&in_session("s-1")).issued();
    let sealed = token.sealed().unwrap();
    let number = ClientId::new("gateway-eu").number();
    assert_eq!(sealed.client, ClientReference { region: None, number });
    assert!(sealed.subject.is_none() && sealed.session.is_none() && sealed.home.is_none());
    assert_eq!(sealed.lix, LIX);
}

/// Texts of a payload, and the bytes that they are base64url of.
fn strings(value: &Value, found: &mut Vec<Vec<u8>>) {
    match value {
        Value::String(text) => {
            found.push(text.clone().into_bytes());
            found.extend(from_base64url(text));
        }
        Value::Array(items) => items.iter().for_each(|item| strings(item, found)),
        Value::Object(members) => members.values().for_each(|member| strings(member, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn windows(members: &Map<String, Value>) -> BTreeSet<Vec<u8>> {
    let mut found = Vec::new();
    members.values().for_each(|member| strings(member, &mut found));
    found.iter().flat_map(|bytes| bytes.windows(WINDOW)).map(<[u8]>::to_vec).collect()
}

/// What two payloads have in common beside the members that everybody sees to be equal.
fn in_common(a: &Ask<'_>, b: &Ask<'_>) -> (Vec<String>, Vec<Vec<u8>>) {
    let payload = |ask: &Ask<'_>| {
        let mut payload = ask.payload().as_object().unwrap().clone();
        // Its text is the issuer's address, which is a claim, and the index of the token.
        let uri = payload["status"]["status_list"]["uri"].take();
        assert!(uri.as_str().unwrap().starts_with(ISSUER));
        payload
    };
    let (mut a, mut b) = (payload(a), payload(b));
    let equal: Vec<String> =
        a.keys().filter(|name| a.get(*name) == b.get(*name)).cloned().collect();
    for name in &equal {
        a.remove(name);
        b.remove(name);
    }
    let common = windows(&a).intersection(&windows(&b)).cloned().collect();
    (equal, common)
}

#[test]
fn two_tokens_of_one_person_share_nothing_but_what_their_claims_show() {
    let world = numbered();
    let token = |drawn| world.ask(&in_session("s-1")).drawing(drawn);
    let (equal, common) = in_common(&token(1), &token(2));
    let shown = ["act", "aud", "client_id", "exp", "iat", "iss", "roles", "scope", "sub"];
    assert_eq!(equal, shown);
    assert!(common.is_empty(), "{common:02x?}");
    // The comparison does find what there is: the same token again has everything in common.
    assert!(in_common(&token(1), &token(1)).0.contains(&"exq".to_owned()));
    let mut members = token(1).payload().as_object().unwrap().clone();
    members.retain(|name, _| name == "exq");
    let exq = members["exq"].as_array().unwrap().clone();
    let moved = Map::from_iter([("other".to_owned(), json!([exq[0]]))]);
    assert!(!windows(&members).is_disjoint(&windows(&moved)));
}

/// Two readers of one person that put together what they opened learn nothing from it.
#[test]
fn two_readers_of_one_person_share_nothing_even_when_both_have_opened_theirs() {
    let world = numbered();
    let (first, second) =
        (world.ask(&in_session("s-1")).drawing(1), world.ask(&in_session("s-1")).drawing(2));
    let home = digests_in(first.issued().sealed().unwrap());
    let abroad = digests_in(&opened_abroad(&second.payload()).unwrap());
    let bytes = |(subject, session): ([u8; 16], [u8; 16])| [subject, session].concat();
    let windows =
        |bytes: Vec<u8>| -> BTreeSet<Vec<u8>> { bytes.windows(4).map(<[u8]>::to_vec).collect() };
    assert!(windows(bytes(home)).is_disjoint(&windows(bytes(abroad))));
    // To one reader the person is the same in both tokens: that is what it needs.
    assert_eq!(digests_in(second.issued().sealed().unwrap()), home);
}

#[test]
fn no_answer_has_a_private_member() {
    let world = numbered();
    let payload = with(&world.ask(&ada()).payload(), &json!({"exq_home": "x", "exq_stale": true}));
    let token = returned(&world, &payload, &seal_keys(&world.law));
    let caller = world.client("orders-api");
    let answer =
        introspect(&world.law, &caller, Some(&token), &RevocationView::default(), world.now);
    assert!(answer.is_active());
    let private = |name: &&String| name.starts_with("exq") || *name == "status";
    assert_eq!(answer.members().keys().find(private), None);
}

#[test]
fn a_token_whose_trailer_does_not_open_is_not_active() {
    let world = numbered();
    let seal = seal_keys(&world.law);
    let payload = world.ask(&ada()).payload();
    let others = world.ask(&ada()).drawing(3).payload();
    let newer = SealKeys {
        own: Versions::new(
            [(KeyVersion::new(2).unwrap(), ReaderKey::new(&[5; 32]))].into_iter().collect(),
        )
        .unwrap(),
        ..seal.clone()
    };
    let cut = payload["exq"][0].as_str().unwrap().split_at(100).0;
    let cases = [
        (json!({ "exq": null }), &seal, OpenError::Missing),
        (json!({ "exq": [] }), &seal, OpenError::NotForThisRegion),
        (json!({ "exq": [cut] }), &seal, OpenError::Malformed),
        (json!({ "exq": others["exq"] }), &seal, OpenError::Refused),
        (json!({ "jti": others["jti"] }), &seal, OpenError::Refused),
        (json!({}), &newer, OpenError::KeyUnknown { version: KeyVersion::FIRST }),
    ];
    let caller = world.client("orders-api");
    let view = RevocationView::default();
    let is_active =
        |token| introspect(&world.law, &caller, Some(&token), &view, world.now).is_active();
    assert!(is_active(returned(&world, &payload, &seal)));
    for (change, keys, expected) in cases {
        let token = returned(&world, &with(&payload, &change), keys);
        assert!(token.sealed() == Err(expected), "{change}");
        assert!(!is_active(token), "{change}");
    }
}
