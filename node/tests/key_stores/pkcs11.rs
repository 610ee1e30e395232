//! The HSM's key store before SoftHSM: conformance, then what goes wrong with an HSM.

use std::{fs, os::unix::fs::PermissionsExt as _};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use exequatur_federation::{
    jose::{Algorithm, KeyId, PublicKey, from_base64url},
    region::RegionId,
};
use exequatur_node::hsm::{
    Defect, KeyStore, KeyStoreError, Outage, Purpose, SignError, Signer,
    doctor::{DoctorReport, examine_pkcs11},
    pkcs11::{OpenError, Pkcs11Config},
};

use crate::{
    conformance::{conforms, signs},
    softhsm::{Lab, SLOT, softhsm_test},
};

const LABEL: &str = "exequatur eu-central access_token ES256";

fn found(store: &dyn KeyStore) -> Result<Option<KeyId>, KeyStoreError> {
    let key = store.find(Purpose::AccessToken, Algorithm::Es256)?;
    Ok(key.map(|key| key.key_id().clone()))
}

fn outcome(signer: &dyn Signer) -> Result<Vec<u8>, SignError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(signer.sign(b"message"))
}

/// A key made outside: PKCS#8, and the bytes of its thumbprint.
fn outside_key() -> (Vec<u8>, Vec<u8>) {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let public = PublicKey::p256_from_point(pair.public_key().as_ref()).unwrap();
    let id = from_base64url(public.thumbprint().as_str()).unwrap();
    (pair.to_pkcs8v1().unwrap().as_ref().to_vec(), id)
}

fn refusal(lab: &Lab, config: Pkcs11Config) -> OpenError {
    match lab.try_open(config) {
        Ok(_) => panic!("it opened"),
        Err(error) => error,
    }
}

softhsm_test!(conforms_to_what_every_key_store_must_do, |lab| {
    conforms(&|| Box::new(lab.open()), &Algorithm::ALL);
});

softhsm_test!(
    keys_and_secrets_outlive_the_process_that_made_them,
    |lab| {
        let store = lab.open();
        let key = store.create(Purpose::AccessToken, Algorithm::Es256).unwrap();
        let secret = store.create_secret("pairwise").unwrap();
        fs::write(lab.path("kid"), key.key_id().as_str()).unwrap();
        fs::write(lab.path("secret"), secret.expose()).unwrap();
    },
    |lab| {
        let store = lab.open();
        let key = store.find(Purpose::AccessToken, Algorithm::Es256).unwrap().unwrap();
        assert_eq!(key.key_id().as_str(), fs::read_to_string(lab.path("kid")).unwrap());
        signs(&*key, b"message");
        let secret = store.secret("pairwise").unwrap().unwrap();
        assert_eq!(secret.expose().as_slice(), fs::read(lab.path("secret")).unwrap());
        store.check().unwrap();
    },
);

softhsm_test!(a_slot_that_is_missing_is_named_and_the_others_are_listed, |lab| {
    let error = refusal(lab, Pkcs11Config { slot: "us-east".to_owned(), ..lab.config() });
    assert!(matches!(error, OpenError::SlotMissing { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("`us-east`") && text.contains("`eu-central`"), "{text}");
});

softhsm_test!(two_slots_of_one_label_are_refused, |lab| {
    lab.make_slot(SLOT);
    let error = refusal(lab, lab.config());
    assert!(matches!(error, OpenError::SlotAmbiguous { count: 2, .. }), "{error}");
});

softhsm_test!(a_library_that_does_not_load_is_named, |lab| {
    for module in [lab.path("no.so"), lab.path("pin")] {
        let error = refusal(lab, Pkcs11Config { module: module.clone(), ..lab.config() });
        assert!(matches!(error, OpenError::Module { .. }), "{error}");
        assert!(error.to_string().contains(&module.display().to_string()), "{error}");
    }
});

softhsm_test!(
    a_wrong_pin_is_tried_once_and_never_again_in_the_process,
    |lab| {
        lab.write_pin("wrong-pin");
        let error = refusal(lab, lab.config());
        assert!(matches!(error, OpenError::PinRefused { .. }), "{error}");
        assert!(!error.to_string().contains("wrong-pin"), "{error}");
        // Were the PIN tried again, the right one would now be accepted.
        lab.correct_pin();
        assert!(matches!(refusal(lab, lab.config()), OpenError::PinRefused { .. }));
    },
    |lab| drop(lab.open()),
);

softhsm_test!(a_pin_that_others_may_read_is_not_used, |lab| {
    fs::set_permissions(lab.path("pin"), fs::Permissions::from_mode(0o644)).unwrap();
    let error = refusal(lab, lab.config());
    assert!(matches!(error, OpenError::PinFile(_)), "{error}");
    lab.correct_pin();
    drop(lab.open());
});

softhsm_test!(
    the_slot_of_another_region_is_refused,
    |lab| drop(lab.open().create(Purpose::Audit, Algorithm::Es256).unwrap()),
    |lab| {
        let region = RegionId::new("us-east").unwrap();
        let error = refusal(lab, Pkcs11Config { region, ..lab.config() });
        let text = error.to_string();
        assert!(matches!(error, OpenError::ForeignKeys { .. }), "{text}");
        assert!(text.contains("`us-east`") && text.contains("`eu-central`"), "{text}");
    },
);

softhsm_test!(a_key_that_came_from_outside_is_refused, |lab| {
    let (pkcs8, id) = outside_key();
    lab.import(&pkcs8, LABEL, &id);
    let error = found(&lab.open()).unwrap_err();
    assert!(matches!(error, KeyStoreError::Exposed { .. }), "{error}");
    assert!(error.to_string().contains(LABEL), "{error}");
});

softhsm_test!(a_key_under_an_id_that_is_not_its_thumbprint_is_refused, |lab| {
    let (pkcs8, _) = outside_key();
    lab.import(&pkcs8, LABEL, &[7; 32]);
    let error = found(&lab.open()).unwrap_err();
    assert!(matches!(error, KeyStoreError::NotItself { .. }), "{error}");
});

softhsm_test!(
    two_keys_of_one_label_or_of_one_id_are_refused,
    |lab| {
        let ((first, first_id), (second, second_id)) = (outside_key(), outside_key());
        lab.import(&first, LABEL, &first_id);
        lab.import(&second, LABEL, &second_id);
        let error = found(&lab.open()).unwrap_err();
        assert!(matches!(error, KeyStoreError::Ambiguous { count: 2, .. }), "{error}");
        lab.delete_objects();
    },
    |lab| {
        let key = lab.open().create(Purpose::AccessToken, Algorithm::Es256).unwrap();
        let id = from_base64url(key.key_id().as_str()).unwrap();
        lab.import(&outside_key().0, "another label", &id);
    },
    |lab| {
        let error = found(&lab.open()).unwrap_err();
        assert!(matches!(error, KeyStoreError::Ambiguous { count: 2, .. }), "{error}");
    },
);

softhsm_test!(a_slot_that_goes_stops_signing_makes_no_key_and_comes_back_by_itself, |lab| {
    let store = lab.open();
    let key = store.create(Purpose::AccessToken, Algorithm::Es256).unwrap();
    signs(&*key, b"before");
    let objects = lab.objects();
    fs::rename(lab.tokens(), lab.path("away")).unwrap();
    // Past the breaker's opening.
    for _ in 0..8 {
        let outcome = outcome(&*key);
        assert!(matches!(outcome, Err(SignError::Unavailable(_))), "{outcome:?}");
    }
    assert_eq!(outcome(&*key), Err(SignError::Unavailable(Outage::BreakerOpen)));
    assert!(!store.health().available);
    assert!(!matches!(found(&store), Ok(Some(_))));
    assert!(store.check().is_err());
    assert!(!lab.tokens().exists());
    fs::rename(lab.path("away"), lab.tokens()).unwrap();
    while outcome(&*key).is_err() {}
    assert!(store.health().available);
    assert_eq!(found(&store).unwrap().as_ref(), Some(key.key_id()));
    assert_eq!(lab.objects(), objects);
    store.check().unwrap();
});

softhsm_test!(
    another_key_in_the_place_of_ours_never_signs_for_it,
    |lab| {
        let store = lab.open();
        let key = store.create(Purpose::AccessToken, Algorithm::Es256).unwrap();
        signs(&*key, b"before");
        let id = from_base64url(key.key_id().as_str()).unwrap();
        lab.delete_objects();
        lab.import(&outside_key().0, LABEL, &id);
        for _ in 0..3 {
            let outcome = outcome(&*key);
            assert_eq!(outcome, Err(SignError::Unusable(Defect::KeyExposed)));
        }
        assert!(store.check().is_err());
    },
    |lab| {
        let error = found(&lab.open()).unwrap_err();
        assert!(matches!(error, KeyStoreError::NotItself { .. }), "{error}");
    },
);

softhsm_test!(a_key_that_was_made_anew_under_the_same_label_is_not_ours, |lab| {
    let store = lab.open();
    let key = store.create(Purpose::AccessToken, Algorithm::Es256).unwrap();
    lab.delete_objects();
    let anew = lab.open().create(Purpose::AccessToken, Algorithm::Es256).unwrap();
    assert_ne!(anew.key_id(), key.key_id());
    signs(&*anew, b"message");
    assert_eq!(outcome(&*key), Err(SignError::Unavailable(Outage::KeyAbsent)));
    let error = store.check().unwrap_err();
    assert!(matches!(error, KeyStoreError::NotItself { .. }), "{error}");
});

softhsm_test!(
    a_secret_opens_only_under_its_own_name_and_unchanged,
    |lab| {
        let store = lab.open();
        let pairwise = store.create_secret("pairwise").unwrap();
        store.create_secret("residency_digest").unwrap();
        let path = lab.config().secrets_file;
        let file = fs::read_to_string(&path).unwrap();
        let swapped = file
            .replace("\"pairwise\"", "\"x\"")
            .replace("\"residency_digest\"", "\"pairwise\"")
            .replace("\"x\"", "\"residency_digest\"");
        assert_ne!(swapped, file);
        for changed in [swapped, file.replace("\"version\": 1", "\"version\": 2"), "{}".to_owned()]
        {
            fs::write(&path, changed).unwrap();
            let error = store.secret("pairwise").unwrap_err();
            assert!(matches!(error, KeyStoreError::Sealed { .. }), "{error}");
        }
        fs::write(&path, file).unwrap();
        assert_eq!(store.secret("pairwise").unwrap().unwrap().expose(), pairwise.expose());
    },
    |lab| {
        // The wrapping key is lost: nothing is made in its place.
        lab.delete_objects();
        let store = lab.open();
        for error in [
            store.secret("pairwise").unwrap_err(),
            store.create_secret("another").unwrap_err(),
            store.check().unwrap_err(),
        ] {
            assert!(matches!(error, KeyStoreError::KeyAbsent { .. }), "{error}");
            assert!(error.to_string().contains("exequatur eu-central store"), "{error}");
        }
        assert!(lab.objects().is_empty());
    },
);

fn examined(config: &Pkcs11Config) -> DoctorReport {
    let expected = [
        (Purpose::AccessToken, Algorithm::Es256),
        (Purpose::Response, Algorithm::Es256),
        (Purpose::AccessToken, Algorithm::EdDsa),
    ];
    examine_pkcs11(config, &expected, Lab::entropy(), &Lab::clock())
}

softhsm_test!(
    the_doctor_says_what_works_and_what_is_missing,
    |lab| {
        let store = lab.open();
        store.create(Purpose::AccessToken, Algorithm::Es256).unwrap();
        store.create(Purpose::AccessToken, Algorithm::EdDsa).unwrap();
    },
    |lab| {
        let objects = lab.objects();
        let report = examined(&lab.config());
        let wrong: Vec<_> = report.checks.iter().filter(|check| !check.ok).collect();
        assert!(matches!(*wrong, [one] if one.name == "key response ES256"), "{report:?}");
        let names: Vec<_> = report.checks.iter().map(|check| check.name.as_str()).collect();
        let expected = [
            "library",
            "slot",
            "login",
            "mechanisms",
            "key store",
            "key access_token ES256",
            "key response ES256",
            "key access_token EdDSA",
            "speed with 1 session",
            "speed with 2 sessions",
            "speed with 4 sessions",
        ];
        assert_eq!(names, expected);
        assert_eq!(lab.objects(), objects);
    },
    |lab| {
        let report = examined(&Pkcs11Config { slot: "us-east".to_owned(), ..lab.config() });
        let outcomes: Vec<_> = report.checks.iter().map(|c| (c.name.as_str(), c.ok)).collect();
        assert_eq!(outcomes, [("library", true), ("slot", false)]);
        assert!(!report.is_healthy());
    },
);
