//! Trailers: their bytes as they are released, and what does not open.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{block::Head, *};
use crate::{
    jose::{base64url, from_base64url},
    ledger::{Fixed, List, Lix},
    region::RegionNumber,
    revocation::{LIST_SIZE, ListId, StatusReference},
};

const TOKEN: TokenName<'_> =
    TokenName { issuer: "https://eu-central.id.example", id: "AQIDBAUGBwgJCgsMDQ4PEA" };

fn region(number: u16) -> RegionNumber {
    RegionNumber::new(number).unwrap()
}

/// With something in every place.
fn full() -> Trailer {
    let ancestor = |n: u16| Ancestor {
        region: region(n + 1),
        status: StatusReference {
            list: ListId::new(0x2000_0000_0000_0000 + u64::from(n)),
            index: 0x000f_0000 + u32::from(n),
        },
    };
    Trailer {
        lix: Lix { epoch: 0x0102_0304, index: 0x0506_0708_090a_0b0c },
        home: Some(region(0x0d0e)),
        subject: Some(SubjectDigest::from_fixed(Fixed([0x5a; 16]))),
        session: Some(SessionDigest::from_fixed(Fixed([0xa5; 16]))),
        client: ClientReference { region: Some(region(0x1112)), number: 0x1314_1516 },
        rule: Some(RuleReference { region: region(0x1718), number: 0x191a_1b1c }),
        ancestors: List::new((0..4).map(ancestor).collect()).unwrap(),
    }
}

fn keys(region: Option<RegionNumber>) -> SealKeys {
    let version = |n| KeyVersion::new(n).unwrap();
    let key = |byte| ReaderKey::new(&[byte; 32]);
    let own = BTreeMap::from([(version(1), key(0x41)), (version(2), key(0x42))]);
    let border = Versions::only(key(0x51));
    SealKeys {
        region,
        digest: Versions::only(DigestKey::new(&[0x43; 32])),
        own: Versions::new(own).unwrap(),
        to: BTreeMap::from([(self::region(9), border.clone())]),
        from: BTreeMap::from([(self::region(7), border)]),
    }
}

fn sealed(trailer: &Trailer) -> Value {
    keys(Some(region(7))).seal(TOKEN, trailer, &BTreeMap::new()).unwrap()
}

fn open(token: TokenName<'_>, claim: &Value) -> Result<Trailer, OpenError> {
    keys(Some(region(7))).open(token, Some(claim))
}

fn hex<const N: usize>(text: &str) -> [u8; N] {
    let digits: String = text.split_whitespace().collect();
    Fixed::<N>::from_hex(&digits).unwrap().0
}

/// The files were made by another program from the description in the README.
#[test]
fn the_bytes_of_a_trailer_are_those_that_were_released() {
    let full_bytes = hex(include_str!("../../testdata/golden/trailer-1/full.hex"));
    let least_bytes = hex(include_str!("../../testdata/golden/trailer-1/least.hex"));
    assert_eq!(full().to_bytes(), full_bytes);
    assert_eq!(Trailer::default().to_bytes(), least_bytes);
    assert!(Trailer::from_bytes(&full_bytes) == Some(full()));
    assert!(Trailer::from_bytes(&least_bytes) == Some(Trailer::default()));
}

#[test]
fn the_bytes_of_a_block_are_those_that_were_released() {
    let key = ReaderKey::new(&[0x42; 32]);
    let full_block = hex(include_str!("../../testdata/golden/trailer-1/block-full.hex"));
    let least_block = hex(include_str!("../../testdata/golden/trailer-1/block-least.hex"));
    let second = Head { reader: Some(region(7)), key: KeyVersion::new(2).unwrap() };
    let first = Head { reader: None, key: KeyVersion::FIRST };
    assert_eq!(key.seal(second, TOKEN, &full()), Some(full_block));
    assert_eq!(key.seal(first, TOKEN, &Trailer::default()), Some(least_block));
    assert!(key.open(TOKEN, &full_block) == Ok(full()));
    // The newest key of the region has sealed it, so that it is the claim's only block.
    assert_eq!(sealed(&full()), json!([base64url(&full_block)]));
}

#[test]
fn a_trailer_of_another_token_is_refused() {
    let claim = sealed(&full());
    for (issuer, id) in [
        (TOKEN.issuer, "AQIDBAUGBwgJCgsMDQ4PEQ"),
        ("https://eu-central.id.exampl", TOKEN.id),
        ("https://us-east.id.example", TOKEN.id),
        (TOKEN.id, TOKEN.issuer),
    ] {
        assert!(open(TokenName { issuer, id }, &claim) == Err(OpenError::Refused), "{issuer} {id}");
    }
}

#[test]
fn every_flipped_byte_is_refused() {
    let claim = sealed(&full());
    let block = from_base64url(claim[0].as_str().unwrap()).unwrap();
    for at in 0..block.len() {
        let mut block = block.clone();
        block[at] ^= 1 << (at % 8);
        let expected = match at {
            0 => OpenError::Version { got: block[0] },
            1..=2 => OpenError::NotForThisRegion,
            3..=4 => OpenError::KeyUnknown {
                version: KeyVersion::new(u16::from_be_bytes([block[3], block[4]])).unwrap(),
            },
            _ => OpenError::Refused,
        };
        assert!(open(TOKEN, &json!([base64url(&block)])) == Err(expected), "byte {at}");
    }
}

/// The version stands in clear: whoever moves a block to another key of the reader must fail too.
#[test]
fn a_block_under_another_key_than_it_says_is_refused() {
    let claim = sealed(&full());
    let mut block = from_base64url(claim[0].as_str().unwrap()).unwrap();
    assert_eq!(block[3..5], [0, 2]);
    block[4] = 1;
    assert!(open(TOKEN, &json!([base64url(&block)])) == Err(OpenError::Refused));
}

#[test]
fn an_unknown_version_of_a_key_has_its_own_error() {
    let key = ReaderKey::new(&[0x42; 32]);
    let version = KeyVersion::new(3).unwrap();
    let head = Head { reader: Some(region(7)), key: version };
    let block = key.seal(head, TOKEN, &full()).unwrap();
    let refused = open(TOKEN, &json!([base64url(&block)]));
    assert!(refused == Err(OpenError::KeyUnknown { version }));
}

#[test]
fn what_is_no_list_of_whole_blocks_is_refused() {
    let claim = sealed(&full());
    let text = claim[0].as_str().unwrap();
    let malformed = [
        json!(text),
        json!({"exq": text}),
        json!(null),
        json!([1]),
        json!([""]),
        json!([format!("{text}=")]),
        json!([text.split_at(text.len() - 4).0]),
        json!([format!("{text}AAAA")]),
        json!([text, text, text, text, text, text]),
    ];
    for claim in malformed {
        assert!(open(TOKEN, &claim) == Err(OpenError::Malformed), "{claim}");
    }
    assert!(open(TOKEN, &json!([])) == Err(OpenError::NotForThisRegion));
    assert!(keys(None).open(TOKEN, None) == Err(OpenError::Missing));
}

#[test]
fn each_region_opens_its_own_block_and_no_other() {
    let other = Trailer { subject: Some(SubjectDigest::from_fixed(Fixed([1; 16]))), ..full() };
    let others = BTreeMap::from([(region(9), other.clone())]);
    let source = keys(Some(region(7)));
    let claim = source.seal(TOKEN, &full(), &others).unwrap();
    assert!(source.open(TOKEN, Some(&claim)) == Ok(full()));
    let reader = keys(Some(region(9)));
    assert!(reader.open_from(region(7), TOKEN, Some(&claim)) == Ok(other));
    // By the wrong source, by a third region, and by one that has no number.
    let unknown = OpenError::KeyUnknown { version: KeyVersion::FIRST };
    assert!(reader.open_from(region(8), TOKEN, Some(&claim)) == Err(unknown));
    let elsewhere = Err(OpenError::NotForThisRegion);
    assert!(keys(Some(region(8))).open_from(region(7), TOKEN, Some(&claim)) == elsewhere);
    assert!(keys(None).open_from(region(7), TOKEN, Some(&claim)) == elsewhere);
    let missing = SealError::KeyMissing { reader: region(8) };
    let others = BTreeMap::from([(region(8), full())]);
    assert_eq!(source.seal(TOKEN, &full(), &others), Err(missing));
}

#[test]
fn the_newest_key_seals_and_an_older_one_still_opens() {
    let older =
        SealKeys { own: Versions::only(ReaderKey::new(&[0x41; 32])), ..keys(Some(region(7))) };
    let claim = older.seal(TOKEN, &full(), &BTreeMap::new()).unwrap();
    assert!(open(TOKEN, &claim) == Ok(full()));
    let newer = older.open(TOKEN, Some(&sealed(&full())));
    assert!(newer == Err(OpenError::KeyUnknown { version: KeyVersion::new(2).unwrap() }));
}

#[test]
fn bytes_that_no_trailer_has_are_refused() {
    let with = |at: usize, byte: u8| {
        let mut bytes = Trailer::default().to_bytes();
        bytes[at] = byte;
        Trailer::from_bytes(&bytes)
    };
    // An unknown flag; ancestors of no region; a digest without its flag; a rule of no region; what
    // stands in an empty place, and in the padding.
    for (at, byte) in
        [(0, 4), (1, 1), (1, 5), (1, 255), (16, 1), (32, 1), (57, 1), (60, 1), (127, 1)]
    {
        assert!(with(at, byte).is_none(), "byte {at}");
    }
    let mut beyond = full().to_bytes();
    beyond[70..74].copy_from_slice(&LIST_SIZE.to_be_bytes());
    assert!(Trailer::from_bytes(&beyond).is_none());
}

#[test]
fn nothing_of_a_trailer_or_a_key_is_printed() {
    let printed = format!("{:?} {:?}", full(), full().ancestors);
    assert_eq!(
        printed,
        "Trailer(redacted) [Ancestor(redacted), Ancestor(redacted), Ancestor(redacted), \
         Ancestor(redacted)]"
    );
    let printed = format!("{:?}", keys(None));
    assert!(!printed.contains("66") && printed.contains("ReaderKey(redacted)"), "{printed}");
}

prop_compose! {
    fn trailers()(
        lix in any::<(u32, u64)>(),
        regions in any::<(u16, u16)>(),
        digests in any::<(Option<[u8; 16]>, Option<[u8; 16]>)>(),
        client in any::<u32>(),
        rule in proptest::option::of((1_u16.., any::<u32>())),
        ancestors in prop::collection::vec((1_u16.., any::<u64>(), 0..LIST_SIZE), 0..=ANCESTORS_MAX),
    ) -> Trailer {
        let ancestors = ancestors.into_iter().map(|(of, list, index)| Ancestor {
            region: region(of),
            status: StatusReference { list: ListId::new(list), index },
        });
        Trailer {
            lix: Lix { epoch: lix.0, index: lix.1 },
            home: RegionNumber::new(regions.0),
            subject: digests.0.map(|bytes| SubjectDigest::from_fixed(Fixed(bytes))),
            session: digests.1.map(|bytes| SessionDigest::from_fixed(Fixed(bytes))),
            client: ClientReference { region: RegionNumber::new(regions.1), number: client },
            rule: rule.map(|(of, number)| RuleReference { region: region(of), number }),
            ancestors: List::new(ancestors.collect()).unwrap(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_sealed_opens(
        trailer in trailers(),
        issuer in ".{0,40}",
        id in ".{0,40}",
        secret in any::<[u8; 32]>(),
    ) {
        let token = TokenName { issuer: &issuer, id: &id };
        let own = Versions::only(ReaderKey::new(&secret));
        let keys = SealKeys { own, ..keys(Some(region(7))) };
        let claim = keys.seal(token, &trailer, &BTreeMap::new()).unwrap();
        prop_assert!(keys.open(token, Some(&claim)) == Ok(trailer));
        let length = claim[0].as_str().unwrap().len();
        prop_assert_eq!(length, 199);
    }

    #[test]
    fn a_cut_or_altered_block_never_opens(
        trailer in trailers(),
        cut in 0_usize..BLOCK_BYTES,
        (at, bits) in (0_usize..BLOCK_BYTES, 1_u8..),
    ) {
        let claim = sealed(&trailer);
        let block = from_base64url(claim[0].as_str().unwrap()).unwrap();
        prop_assert!(open(TOKEN, &json!([base64url(&block[..cut])])).is_err());
        let mut altered = block;
        altered[at] ^= bits;
        prop_assert!(open(TOKEN, &json!([base64url(&altered)])).is_err());
    }

    #[test]
    fn any_bytes_are_read_without_a_panic_and_in_one_form(bytes in any::<[u8; TRAILER_BYTES]>()) {
        if let Some(trailer) = Trailer::from_bytes(&bytes) {
            prop_assert_eq!(trailer.to_bytes(), bytes);
        }
    }

    /// Blocks of two tokens have nothing in common but their heads.
    #[test]
    fn two_tokens_of_one_person_share_no_bytes(a in any::<[u8; 16]>(), b in any::<[u8; 16]>()) {
        prop_assume!(a != b);
        let (a, b) = (base64url(&a), base64url(&b));
        let block = |id: &str| {
            let token = TokenName { issuer: TOKEN.issuer, id };
            let claim = keys(Some(region(7))).seal(token, &full(), &BTreeMap::new()).unwrap();
            from_base64url(claim[0].as_str().unwrap()).unwrap()
        };
        let (a, b) = (block(&a), block(&b));
        prop_assert!(!a[5..].windows(8).any(|window| b[5..].windows(8).any(|w| w == window)));
    }
}
