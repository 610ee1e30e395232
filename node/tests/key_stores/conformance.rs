//! What every key store must do. One function, run on each of them.

use std::{collections::BTreeSet, sync::Arc};

use exequatur_federation::jose::Algorithm;
use exequatur_node::hsm::{KeyStore, KeyStoreError, Purpose, Secret32, Signer};
use tokio::task::JoinSet;

/// Signatures made at once: as many as the connections of a busy node.
const CONCURRENT: usize = 64;

/// Opens the same key store anew.
pub(crate) type Open<'a> = &'a dyn Fn() -> Box<dyn KeyStore>;

/// Runs the suite on an empty key store that has these algorithms.
pub(crate) fn conforms(open: Open<'_>, algorithms: &[Algorithm]) {
    searching_makes_nothing(open);
    for algorithm in algorithms {
        a_key_is_made_once_and_found_again(open, *algorithm);
    }
    keys_of_different_purposes_differ(open, algorithms);
    many_signatures_are_made_at_once(open);
    a_secret_is_drawn_once_and_found_again(open);
    names_of_secrets_are_checked(open);
    open().check().unwrap();
    assert!(open().health().available);
}

/// Signs and verifies, on a runtime of its own.
pub(crate) fn signs(signer: &dyn Signer, message: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let signature = runtime.block_on(signer.sign(message)).unwrap();
    let verifies = |message| signer.public_key().verify(signer.algorithm(), message, &signature);
    assert!(verifies(message));
    assert!(!verifies(b"another message"));
}

fn searching_makes_nothing(open: Open<'_>) {
    for _ in 0..2 {
        let store = open();
        for purpose in Purpose::ALL {
            for algorithm in Algorithm::ALL {
                assert!(store.find(purpose, algorithm).unwrap().is_none());
            }
        }
        assert!(store.secret("pairwise").unwrap().is_none());
        store.check().unwrap();
    }
}

fn a_key_is_made_once_and_found_again(open: Open<'_>, algorithm: Algorithm) {
    let store = open();
    let made = store.create(Purpose::AccessToken, algorithm).unwrap();
    assert_eq!(made.algorithm(), algorithm);
    assert_eq!(*made.key_id(), made.public_key().thumbprint());
    // Lengths at which a mechanism that is given the message itself would show.
    for length in [0, 1, 31, 32, 33, 600, 5_000] {
        signs(&*made, &vec![7; length]);
    }
    let again = store.create(Purpose::AccessToken, algorithm);
    assert!(matches!(again, Err(KeyStoreError::AlreadyExists { .. })));
    for store in [store, open()] {
        let found = store.find(Purpose::AccessToken, algorithm).unwrap().unwrap();
        assert_eq!(found.public_key(), made.public_key());
        signs(&*found, b"after reopening");
    }
    assert!(open().find(Purpose::Identity, algorithm).unwrap().is_none());
}

fn keys_of_different_purposes_differ(open: Open<'_>, algorithms: &[Algorithm]) {
    let store = open();
    store.create(Purpose::Audit, Algorithm::Es256).unwrap();
    store.create(Purpose::Response, Algorithm::Es256).unwrap();
    let mut ids = BTreeSet::new();
    let mut keys = 0;
    for purpose in [Purpose::AccessToken, Purpose::Audit, Purpose::Response] {
        for algorithm in algorithms {
            if let Some(key) = store.find(purpose, *algorithm).unwrap() {
                ids.insert(key.key_id().clone());
                keys += 1;
            }
        }
    }
    assert_eq!((ids.len(), keys), (algorithms.len() + 2, algorithms.len() + 2));
}

fn many_signatures_are_made_at_once(open: Open<'_>) {
    let store = open();
    let signer = store.find(Purpose::AccessToken, Algorithm::Es256).unwrap().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let signatures = runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for number in 0..CONCURRENT {
            let signer = Arc::clone(&signer);
            tasks.spawn(async move {
                let message = format!("message {number}");
                let signature = signer.sign(message.as_bytes()).await.unwrap();
                // Each answer belongs to its own question.
                let algorithm = signer.algorithm();
                assert!(signer.public_key().verify(algorithm, message.as_bytes(), &signature));
                signature
            });
        }
        tasks.join_all().await
    });
    assert_eq!(signatures.into_iter().collect::<BTreeSet<_>>().len(), CONCURRENT);
}

fn a_secret_is_drawn_once_and_found_again(open: Open<'_>) {
    let store = open();
    let pairwise = store.create_secret("pairwise").unwrap();
    let digest = store.create_secret("residency_digest").unwrap();
    assert_ne!(pairwise.expose(), digest.expose());
    assert_ne!(pairwise.expose(), &[0; 32]);
    assert!(matches!(store.create_secret("pairwise"), Err(KeyStoreError::AlreadyExists { .. })));
    let taken = Secret32::from_bytes([0x5a; 32]);
    store.keep_secret("border1_2_1", &taken).unwrap();
    let other = Secret32::from_bytes([0x5b; 32]);
    let again = store.keep_secret("border1_2_1", &other);
    assert!(matches!(again, Err(KeyStoreError::AlreadyExists { .. })));
    for store in [store, open()] {
        assert_eq!(store.secret("border1_2_1").unwrap().unwrap().expose(), &[0x5a; 32]);
        let found = store.secret("pairwise").unwrap().unwrap();
        assert_eq!(found.expose(), pairwise.expose());
        assert!(store.secret("residency_trailer").unwrap().is_none());
    }
}

fn names_of_secrets_are_checked(open: Open<'_>) {
    let store = open();
    for name in ["", "Pairwise", "../pairwise", "a b"] {
        assert!(matches!(store.secret(name), Err(KeyStoreError::NameMalformed { .. })));
        assert!(matches!(store.create_secret(name), Err(KeyStoreError::NameMalformed { .. })));
        let secret = Secret32::from_bytes([1; 32]);
        let kept = store.keep_secret(name, &secret);
        assert!(matches!(kept, Err(KeyStoreError::NameMalformed { .. })));
    }
}
