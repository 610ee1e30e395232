//! `keys`: a region replaces its secrets and hands a key to another; what is not for it is refused.

use std::fs;

use crate::founding::Federation;

/// `eu-central` (0) has taken a key to `us-east` (1), which has made an offer.
fn shared(federation: &Federation) -> (String, String) {
    let offer = federation.file(1, "us.offer");
    federation.run(1, &["keys", "offer", "--out", &offer]).done();
    let key = federation.file(0, "eu-us.key");
    let told = federation.run(0, &["keys", "share", &offer, "--out", &key]).done();
    assert!(told.starts_with("made secret border1_2_1\n"), "{told}");
    assert!(told.contains("sealed for `us-east`: there run\n"), "{told}");
    (offer, key)
}

#[test]
fn a_key_is_shared_taken_over_and_renewed() {
    let federation = Federation::initialised("test");
    let (offer, key) = shared(&federation);
    let told = federation.run(1, &["keys", "take", &key]).done();
    assert_eq!(told, "took over secret border1_2_1 of `eu-central`\n");
    let again = federation.run(1, &["keys", "take", &key]).done();
    assert_eq!(again, "had secret border1_2_1 of `eu-central`\n");
    // Sharing again hands over the same key, unless a new one is asked for.
    let second = federation.file(0, "again.key");
    let told = federation.run(0, &["keys", "share", &offer, "--out", &second]).done();
    assert!(told.starts_with("it is in `"), "{told}");
    assert_eq!(federation.run(1, &["keys", "take", &second]).done(), again);
    let third = federation.file(0, "renewed.key");
    let renew = ["keys", "share", &offer, "--renew", "--out", &third, "--output", "json"];
    let json = federation.run(0, &renew).json();
    assert_eq!((&json["secret"], &json["made"]), (&"border1_2_2".into(), &true.into()));
    let json = federation.run(1, &["keys", "take", &third, "--output", "json"]).json();
    assert_eq!((&json["secret"], &json["taken"]), (&"border1_2_2".into(), &true.into()));
}

#[test]
fn what_is_not_for_a_region_is_refused_by_name() {
    let federation = Federation::initialised("test");
    let (offer, key) = shared(&federation);
    let refused =
        |region: usize, arguments: &[&str]| federation.run(region, arguments).failed(1).to_owned();
    let out = federation.file(0, "new.key");
    for (region, arguments, told) in [
        (2, ["keys", "take", &key].as_slice(), "the key is for region 2, and this is region 3"),
        (0, &["keys", "take", &key], "it was made by this region"),
        (1, &["keys", "take", &offer], "it is no key that a region shares: a key offer is not due"),
        (0, &["keys", "share", &key, "--out", &out], "it is no key offer: a key that a region"),
        (1, &["keys", "share", &offer, "--out", &out], "it was made by this region"),
        (0, &["keys", "share", &offer, "--out", &key], "it is there already"),
        (1, &["keys", "take", "nowhere"], "cannot be read"),
    ] {
        let found = refused(region, arguments);
        assert!(found.contains(told), "{arguments:?}: {found}");
    }
    assert!(!federation.path(0, "new.key").exists());
    // Altered on its way; and after the region has lost what it had offered.
    let mut altered = fs::read(&key).unwrap();
    altered[40] ^= 1;
    fs::write(federation.path(1, "altered"), altered).unwrap();
    let found = refused(1, &["keys", "take", &federation.file(1, "altered")]);
    assert!(found.contains("the checksum does not fit"), "{found}");
    let other = Federation::initialised("other");
    let found = other.run(1, &["keys", "take", &key]).failed(1).to_owned();
    assert!(found.contains("it is of another federation than `other`"), "{found}");
    let twin = Federation::initialised("test");
    let found = twin.run(1, &["keys", "take", &key]).failed(1).to_owned();
    assert!(found.contains("identity key that federation.toml has for `eu-central`"), "{found}");
}

#[test]
fn a_region_without_an_offer_takes_nothing() {
    let federation = Federation::initialised("test");
    let (_, key) = shared(&federation);
    let secrets = federation.path(1, "keys.sealed");
    let with_offer = fs::read(&secrets).unwrap();
    let fresh = Federation::initialised("test");
    fs::copy(fresh.path(1, "keys.sealed"), &secrets).unwrap();
    fs::copy(fresh.path(1, "passphrase"), federation.path(1, "passphrase")).unwrap();
    let told = federation.run(1, &["keys", "take", &key]).failed(1).to_owned();
    assert!(told.contains("make an offer with `exequatur keys offer`"), "{told}");
    assert_ne!(fs::read(&secrets).unwrap(), with_offer);
}

#[test]
fn a_secret_gets_a_next_version_and_the_first_stays() {
    let federation = Federation::initialised("test");
    for (name, secret) in [("trailer", "trailer2"), ("digest", "digest2"), ("trailer", "trailer3")]
    {
        let told = federation.run(0, &["keys", "new", name]).done();
        assert!(told.starts_with(&format!("made secret {secret}\n")), "{told}");
    }
    assert!(federation.run(0, &["hsm", "doctor"]).done().contains("ok    secret trailer1"));
}

#[test]
fn a_region_that_seals_for_another_does_not_start_without_the_key() {
    let federation = Federation::initialised("test");
    let path = federation.path(0, "region.toml");
    let text = fs::read_to_string(&path).unwrap();
    let resource = "\n[[resource]]\nid = \"urn:example:orders\"\nintrospect_in = [\"us-east\"]\n";
    fs::write(&path, text + resource).unwrap();
    let told = federation.run(0, &["run", "--log-level", "off"]).failed(1).to_owned();
    assert!(told.contains("`introspect_in` names `us-east`"), "{told}");
    assert!(told.contains("run `exequatur keys offer` there"), "{told}");
    shared(&federation);
    // It gets further: the node has pinned no federation.
    let told = federation.run(0, &["run", "--log-level", "off"]).failed(1).to_owned();
    assert!(!told.contains("introspect_in"), "{told}");
}
