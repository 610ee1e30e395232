//! Keys that one region hands to another: the released bytes, made by another program, and every
//! way to be wrong.

use std::sync::Arc;

use exequatur_federation::{
    config::{SourceFile, compile_federation},
    jose::Algorithm,
    ledger::Kind,
};

use super::*;
use crate::{
    entropy::SystemEntropy,
    hsm::{
        KeyStore as _, Purpose,
        software::{SoftwareConfig, SoftwareKeyStore},
    },
};

/// Identity keys of the golden files, and the private half of the offer in them.
const EU: &str = "0236e87973283cfaf983cf0e38555fe862b1eecac9052d1087c0fb595261b28370";
const US: &str = "03275b0b3f8e83921b763085efa1598c978103b158808609d69957bfb0ec1e3e06";
const OFFERED: &str = "aab1797a5089024cf8c7479b4732a343d8cb23b2f4b7320ccc9477d3c16f5098";

fn region(number: u16) -> RegionNumber {
    RegionNumber::new(number).unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| Fixed::<1>::from_hex(std::str::from_utf8(pair).unwrap()).unwrap().0[0];
    digits.chunks(2).map(byte).collect()
}

fn settings(name: &str, identities: [Option<IdentityKey>; 2]) -> FederationSettings {
    let mut text = format!("[federation]\nname = \"{name}\"\n");
    for (index, identity) in identities.into_iter().enumerate() {
        let (number, name) = (index + 1, ["eu", "us"][index]);
        text += &format!(
            "[[region]]\nnumber = {number}\nname = \"{name}\"\njurisdiction = \"X\"\n\
             issuer = \"https://{name}.example\"\n"
        );
        if let Some(identity) = identity {
            text += &format!("identity = \"{identity}\"\n");
        }
    }
    text += "[[upstream]]\nname = \"g\"\naudience = [\"a\"]\nhome_region = { fixed = \"eu\" }\n";
    let source = SourceFile { name: "federation.toml".to_owned(), text };
    compile_federation(&source).unwrap_or_else(|found| panic!("{found:#?}"))
}

fn golden() -> (FederationSettings, Vec<u8>, Vec<u8>) {
    let identity = |text| Some(IdentityKey::P256(Fixed::from_hex(text).unwrap()));
    let offer = include_str!("../../../federation/testdata/golden/handover-1/offer.hex");
    let share = include_str!("../../../federation/testdata/golden/handover-1/share.hex");
    (settings("test", [identity(EU), identity(US)]), hex(offer), hex(share))
}

/// Sealed by another implementation of RFC 9180.
#[test]
fn documents_are_read_as_they_were_released() {
    let (settings, offer, share) = golden();
    let offered = Secret32::from_bytes(Fixed::from_hex(OFFERED).unwrap().0);
    let (offering, name) = check_offer(&offer, &settings, region(1)).unwrap();
    assert_eq!((name.as_str(), offering.region), ("us", region(2)));
    assert_eq!(offered_key(&offered), Ok(offering.key));
    let (handover, name) = check_share(&share, &settings, region(2)).unwrap();
    assert_eq!((name.as_str(), handover.route.version), ("eu", 300));
    assert_eq!(open_share(&handover, &offered).unwrap().expose(), &[0x42; 32]);
    assert_eq!(KeyOffer::open(&offer).unwrap().seal(), offer);
    assert_eq!(KeyShare::open(&share).unwrap().seal(), share);
}

#[test]
fn every_flipped_or_missing_byte_of_a_document_is_noticed() {
    let (settings, offer, share) = golden();
    for at in 0..share.len() {
        let mut altered = share.clone();
        altered[at] ^= 0x10;
        assert!(check_share(&altered, &settings, region(2)).is_err(), "byte {at}");
        assert!(check_share(&share[..at], &settings, region(2)).is_err(), "cut at {at}");
    }
    for at in 0..offer.len() {
        let mut altered = offer.clone();
        altered[at] ^= 0x10;
        assert!(check_offer(&altered, &settings, region(1)).is_err(), "byte {at}");
    }
}

struct Party {
    signer: Arc<dyn Signer>,
    offered: Secret32,
}

impl Party {
    fn new(name: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        let config = SoftwareConfig {
            region: RegionId::new(name).unwrap(),
            key_file: place.path().join("keys"),
            passphrase_file: place.path().join("passphrase"),
        };
        let entropy = || Arc::new(SystemEntropy::default());
        SoftwareKeyStore::initialise(config.clone(), entropy()).unwrap();
        let store = SoftwareKeyStore::open(config, entropy()).unwrap();
        let signer = store.create(Purpose::Identity, Algorithm::Es256).unwrap();
        Self { signer, offered: draw_offered().unwrap() }
    }

    fn identity(&self) -> Option<IdentityKey> {
        IdentityKey::from_public(self.signer.public_key())
    }

    async fn offer(&self, federation: &str, number: u16) -> Vec<u8> {
        let key = offered_key(&self.offered).unwrap();
        let federation = federation_digest(federation);
        let offering = Offering { federation, region: region(number), key };
        make_offer(self.signer.as_ref(), offering).await.unwrap().seal()
    }

    async fn share(&self, offering: &Offering, change: impl FnOnce(&mut Route)) -> Vec<u8> {
        let mut route = Route {
            federation: offering.federation,
            source: region(1),
            reader: offering.region,
            version: 1,
            offered: offering.digest(),
        };
        change(&mut route);
        let key = Secret32::from_bytes([0x42; 32]);
        let handover = seal_to(offering, route, &key).unwrap();
        make_share(self.signer.as_ref(), handover).await.unwrap().seal()
    }
}

#[tokio::test]
async fn a_key_is_handed_over_and_its_bytes_stand_nowhere_in_the_file() {
    let (eu, us) = (Party::new("eu"), Party::new("us"));
    let settings = settings("test", [eu.identity(), us.identity()]);
    let offer = us.offer("test", 2).await;
    let (offering, _) = check_offer(&offer, &settings, region(1)).unwrap();
    let share = eu.share(&offering, |_| {}).await;
    assert!(!share.windows(4).any(|window| window == [0x42; 4]));
    assert_ne!(share, eu.share(&offering, |_| {}).await, "it is sealed anew each time");
    let (handover, _) = check_share(&share, &settings, region(2)).unwrap();
    assert_eq!(open_share(&handover, &us.offered).unwrap().expose(), &[0x42; 32]);
    let other = open_share(&handover, &eu.offered).unwrap_err();
    assert_eq!(other, HandoverError::OtherOffer);
    // Whoever signs for another route than the key was sealed for.
    let moved = Handover { route: Route { version: 2, ..handover.route }, ..handover };
    assert_eq!(open_share(&moved, &us.offered).unwrap_err(), HandoverError::Unopened);
}

#[tokio::test]
async fn every_wrong_offer_is_refused_by_name() {
    let (eu, us) = (Party::new("eu"), Party::new("us"));
    let known = settings("test", [eu.identity(), us.identity()]);
    let unpinned = settings("test", [eu.identity(), None]);
    let refused = |frame: &[u8], settings: &FederationSettings| {
        check_offer(frame, settings, region(1)).unwrap_err()
    };
    let other = HandoverError::OtherFederation { federation: "test".to_owned() };
    assert_eq!(refused(&us.offer("other", 2).await, &known), other);
    assert_eq!(refused(&eu.offer("test", 1).await, &known), HandoverError::Own);
    let missing = HandoverError::RegionNotPinned { region: region(2) };
    assert_eq!(refused(&us.offer("test", 2).await, &unpinned), missing);
    let missing = HandoverError::RegionNotPinned { region: region(7) };
    assert_eq!(refused(&us.offer("test", 7).await, &known), missing);
    let forged = HandoverError::Signature { region: RegionId::new("us").unwrap() };
    assert_eq!(refused(&eu.offer("test", 2).await, &known), forged);
    let (_, _, share) = golden();
    let fault = EnvelopeError::Kind { got: Kind::KeyShare.number() };
    let expected = "key offer";
    assert_eq!(refused(&share, &known), HandoverError::Malformed { expected, fault });
    // A signed offer of a key that is none.
    let key = Fixed([4; 65]);
    let offering = Offering { federation: federation_digest("test"), region: region(2), key };
    let route = Route {
        federation: offering.federation,
        source: region(1),
        reader: region(2),
        version: 1,
        offered: offering.digest(),
    };
    let sealed = seal_to(&offering, route, &Secret32::from_bytes([1; 32]));
    assert_eq!(sealed.unwrap_err(), HandoverError::NoPoint);
}

#[tokio::test]
async fn every_wrong_share_is_refused_by_name() {
    let (eu, us) = (Party::new("eu"), Party::new("us"));
    let known = settings("test", [eu.identity(), us.identity()]);
    let offer = us.offer("test", 2).await;
    let (offering, _) = check_offer(&offer, &known, region(1)).unwrap();
    let refused = |frame: &[u8], settings: &FederationSettings| {
        check_share(frame, settings, region(2)).unwrap_err()
    };
    let federation = federation_digest("other");
    let foreign = eu.share(&offering, |route| route.federation = federation).await;
    let other = HandoverError::OtherFederation { federation: "test".to_owned() };
    assert_eq!(refused(&foreign, &known), other);
    let own = eu.share(&offering, |route| route.source = region(2)).await;
    assert_eq!(refused(&own, &known), HandoverError::Own);
    let elsewhere = eu.share(&offering, |route| route.reader = region(3)).await;
    let other = HandoverError::OtherReader { reader: region(3), here: region(2) };
    assert_eq!(refused(&elsewhere, &known), other);
    let share = eu.share(&offering, |_| {}).await;
    let unpinned = settings("test", [None, us.identity()]);
    let missing = HandoverError::RegionNotPinned { region: region(1) };
    assert_eq!(refused(&share, &unpinned), missing);
    let forged = us.share(&offering, |_| {}).await;
    let signature = HandoverError::Signature { region: RegionId::new("eu").unwrap() };
    assert_eq!(refused(&forged, &known), signature);
    let none = eu.share(&offering, |route| route.version = 0).await;
    assert_eq!(refused(&none, &known), HandoverError::NoVersion);
    let fault = EnvelopeError::Kind { got: Kind::KeyOffer.number() };
    let expected = "key that a region shares";
    assert_eq!(refused(&offer, &known), HandoverError::Malformed { expected, fault });
}
