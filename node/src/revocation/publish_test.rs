//! The publisher with a real database and real keys, read as a verifier reads its lists.

use std::{path::Path, sync::Mutex};

use exequatur_federation::{
    jose::{Algorithm, from_base64url, parse_object},
    region::RegionId,
    revocation::{
        LIST_SIZE, Revocation, StatusReference,
        status_list::{ARRAY_BYTES_MAX, uri},
    },
};
use serde_json::{Map, Value};
use tempfile::TempDir;

use super::*;
use crate::{
    entropy::SystemEntropy,
    hsm::{
        KeyStore as _, Outage, Purpose, Signing,
        software::{SoftwareConfig, SoftwareKeyStore},
    },
    revocation::{Found, Teller},
    store::{Access, Binding, Location, LogId, create, open},
    telemetry::metrics::Metrics,
};

const ISSUER: &str = "https://eu.example";
/// The seed of the lists under test, and the first of its decoys.
const SEED: [u8; 32] = [7; 32];
const FIRST_DECOY: u64 = 385_098;
const DAY: u64 = 86_400;

struct TestClock(Mutex<u64>);

impl Clock for TestClock {
    fn now(&self) -> UnixTime {
        UnixTime::from_seconds(*self.0.lock().unwrap())
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(*self.0.lock().unwrap())
    }
}

/// A real signer that can be out of order.
struct Fragile {
    real: Arc<dyn Signer>,
    broken: Mutex<bool>,
    signatures: Mutex<usize>,
}

impl Signer for Fragile {
    fn key_id(&self) -> &exequatur_federation::jose::KeyId {
        self.real.key_id()
    }

    fn algorithm(&self) -> Algorithm {
        self.real.algorithm()
    }

    fn public_key(&self) -> &exequatur_federation::jose::PublicKey {
        self.real.public_key()
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> Signing<'a> {
        if *self.broken.lock().unwrap() {
            return Box::pin(async { Err(SignError::Unavailable(Outage::BreakerOpen)) });
        }
        *self.signatures.lock().unwrap() += 1;
        self.real.sign(message)
    }
}

struct Lab {
    store: Arc<dyn Store>,
    clock: Arc<TestClock>,
    view: Arc<SharedView>,
    signer: Arc<Fragile>,
    feed: Arc<Feed>,
    published: Arc<PublishedLists>,
    publisher: Publisher,
    _directory: TempDir,
}

impl Lab {
    async fn at(now: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = store(directory.path()).await;
        let clock = Arc::new(TestClock(Mutex::new(now)));
        let real = signer(directory.path());
        let signer =
            Arc::new(Fragile { real, broken: Mutex::new(false), signatures: Mutex::new(0) });
        let meters = Metrics::new().status_lists.clone();
        let entropy = Arc::new(SystemEntropy::default());
        let feed = Arc::new(Feed::new(ISSUER, entropy, meters.clone()).unwrap());
        let view = Arc::new(SharedView::default());
        let published = Arc::new(PublishedLists::default());
        let publisher = Publisher::new(PublisherParts {
            issuer: ISSUER.to_owned(),
            settings: StatusLists {
                ttl: Ttl::from_seconds(60),
                publish_every: Ttl::from_seconds(10),
            },
            store: Arc::clone(&store),
            view: Arc::clone(&view),
            signer: Arc::<Fragile>::clone(&signer),
            feed: Arc::clone(&feed),
            published: Arc::clone(&published),
            meters,
            clock: Arc::<TestClock>::clone(&clock),
        });
        Self { store, clock, view, signer, feed, published, publisher, _directory: directory }
    }

    async fn draw(&self, list_id: u64, seed: Option<[u8; 32]>) {
        let now = self.clock.now();
        let list = StatusList { list_id, drawn_at: now, used_at: now, decoy_seed: seed };
        assert!(self.store.draw_status_list(list).await.unwrap());
    }

    async fn publish_at(&mut self, now: u64) {
        *self.clock.0.lock().unwrap() = now;
        self.publisher.publish().await;
    }

    fn revoke(&self, list: u64, index: u32, expires: u64) {
        let status = StatusReference { list: ListId::new(list), index };
        self.view.mark([Revocation { status, expires: UnixTime::from_seconds(expires) }]);
    }

    /// The claims of a list after its signature was verified, and its statuses.
    fn read(&self, list: u64) -> (Map<String, Value>, StatusArray) {
        let Found::Published(published) = self.published.find(ListId::new(list)) else {
            panic!("list {list} is not published");
        };
        let text = String::from_utf8(published.body.to_vec()).unwrap();
        let (signed, signature) = text.rsplit_once('.').unwrap();
        let signature = from_base64url(signature).unwrap();
        let key = self.signer.public_key();
        assert!(key.verify(self.signer.algorithm(), signed.as_bytes(), &signature));
        let (header, payload) = signed.split_once('.').unwrap();
        let header = parse_object(&from_base64url(header).unwrap()).unwrap();
        assert_eq!(header["typ"], "statuslist+jwt");
        let payload = parse_object(&from_base64url(payload).unwrap()).unwrap();
        let list = &payload["status_list"];
        let lst = list["lst"].as_str().unwrap();
        let array = StatusArray::decode(list["bits"].as_u64().unwrap(), lst, ARRAY_BYTES_MAX);
        (payload.clone(), array.unwrap())
    }

    fn marked(&self, list: u64) -> Vec<u64> {
        let (_, array) = self.read(list);
        (0..LIST_SIZE.into()).filter(|index| array.status(*index) == Some(1)).collect()
    }

    fn signatures(&self) -> usize {
        *self.signer.signatures.lock().unwrap()
    }
}

async fn store(directory: &Path) -> Arc<dyn Store> {
    let location = Location::Sqlite { path: directory.join("region.db") };
    let binding = Binding { region: RegionId::new("eu-central").unwrap(), log: LogId(1) };
    create(&location, &binding).await.unwrap();
    open(&location, &binding, Access::Write).await.unwrap()
}

fn signer(directory: &Path) -> Arc<dyn Signer> {
    let config = SoftwareConfig {
        region: RegionId::new("eu-central").unwrap(),
        key_file: directory.join("keys.sealed"),
        passphrase_file: directory.join("passphrase"),
    };
    let keys = SoftwareKeyStore::initialise(config, Arc::new(SystemEntropy::default())).unwrap();
    keys.create(Purpose::StatusList, Algorithm::Es256).unwrap()
}

#[tokio::test]
async fn a_list_says_who_it_is_how_long_it_holds_and_what_was_revoked() {
    let mut lab = Lab::at(1_000).await;
    lab.draw(1, None).await;
    lab.revoke(1, 5, 1_300);
    lab.revoke(2, 6, 1_300);
    lab.publish_at(1_000).await;
    let (claims, _) = lab.read(1);
    assert_eq!(claims["sub"], uri(ISSUER, ListId::new(1)));
    assert_eq!(claims["iss"], ISSUER);
    let times = ["iat", "exp", "ttl"].map(|name| claims[name].as_u64().unwrap());
    assert_eq!(times, [1_000, 1_300, 60]);
    assert_eq!(lab.marked(1), [5]);
    // What is revoked in a list that nobody of this region drew is not served.
    assert!(matches!(lab.published.find(ListId::new(2)), Found::Unknown));
    assert_eq!(lab.published.ids(), [ListId::new(1)]);
}

#[tokio::test]
async fn only_what_changed_or_is_due_is_signed() {
    let mut lab = Lab::at(1_000).await;
    lab.draw(1, None).await;
    lab.draw(2, None).await;
    lab.publish_at(1_000).await;
    assert_eq!(lab.signatures(), 2);
    lab.publish_at(1_010).await;
    assert_eq!(lab.signatures(), 2);
    lab.revoke(2, 6, 1_300);
    lab.publish_at(1_020).await;
    assert_eq!(lab.signatures(), 3);
    // The first is as old as its `ttl`, the second is not.
    lab.publish_at(1_060).await;
    assert_eq!(lab.signatures(), 4);
    // A clock that was set back must not leave lists of the future.
    lab.publish_at(1_030).await;
    assert_eq!(lab.signatures(), 5);
    assert_eq!(lab.read(1).0["iat"], 1_030);
}

#[tokio::test]
async fn marks_stay_for_as_long_as_the_list_lives() {
    let mut lab = Lab::at(1_000).await;
    lab.draw(1, None).await;
    lab.revoke(1, 5, 1_300);
    lab.publish_at(1_000).await;
    lab.view.purge(UnixTime::from_seconds(2_000));
    assert!(lab.view.current().is_empty());
    lab.publish_at(2_000).await;
    assert_eq!(lab.marked(1), [5]);
    let last = 1_000 + u64::from(ALIVE.seconds());
    lab.publish_at(last).await;
    assert_eq!(lab.marked(1), [5]);
    lab.publish_at(last + 1).await;
    assert!(matches!(lab.published.find(ListId::new(1)), Found::Unknown));
}

#[tokio::test]
async fn decoys_come_with_time_and_never_go() {
    let mut lab = Lab::at(DAY).await;
    lab.draw(1, Some(SEED)).await;
    lab.publish_at(DAY).await;
    let first = lab.marked(1);
    assert_eq!(first.len(), 624);
    assert!(first.contains(&FIRST_DECOY));
    lab.revoke(1, 5, DAY + 900);
    lab.publish_at(DAY + 600).await;
    let later = lab.marked(1);
    assert_eq!(later.len(), 667 + 1);
    assert!(first.iter().all(|index| later.contains(index)) && later.contains(&5));
}

#[tokio::test]
async fn a_node_that_starts_forgets_old_decoys_as_it_forgets_old_marks() {
    let mut lab = Lab::at(DAY).await;
    lab.draw(1, Some(SEED)).await;
    // Another node starts an hour later, while the list is in use.
    lab.store.use_status_list(1, UnixTime::from_seconds(DAY + 3_600)).await.unwrap();
    lab.publisher.started = UnixTime::from_seconds(DAY + 3_600);
    lab.publish_at(DAY + 3_600).await;
    let seed = DecoySeed::new(&SEED);
    let recent = seed.marked(3_600) - seed.marked(3_600 - u64::from(REMEMBERED.seconds()));
    assert_eq!(lab.marked(1).len(), recent);
    assert!(!lab.marked(1).contains(&FIRST_DECOY));
}

#[tokio::test]
async fn while_the_key_fails_the_last_publication_is_served() {
    let mut lab = Lab::at(1_000).await;
    lab.draw(1, None).await;
    lab.publish_at(1_000).await;
    *lab.signer.broken.lock().unwrap() = true;
    lab.draw(2, None).await;
    lab.revoke(1, 5, 1_300);
    lab.publish_at(5_000).await;
    assert_eq!(lab.read(1).0["iat"], 1_000);
    assert!(matches!(lab.published.find(ListId::new(2)), Found::Unsigned));
    *lab.signer.broken.lock().unwrap() = false;
    lab.publish_at(5_010).await;
    assert_eq!(lab.marked(1), [5]);
    assert!(lab.marked(2).is_empty());
}

#[tokio::test]
async fn the_feed_knows_what_the_lists_hold_only_when_all_were_published() {
    let mut lab = Lab::at(1_000).await;
    lab.draw(1, None).await;
    let mut teller = Teller::new(Arc::clone(&lab.view), Arc::clone(&lab.feed));
    lab.revoke(1, 5, 1_300);
    teller.look(true);
    let begins_with = async |feed: &Arc<Feed>| {
        let client = exequatur_federation::client::ClientId::new("api");
        let mut pieces = Box::pin(feed.follow(&client, None).unwrap());
        let piece = futures_util::StreamExt::next(&mut pieces).await.unwrap();
        String::from_utf8(piece.to_vec()).unwrap()
    };
    *lab.signer.broken.lock().unwrap() = true;
    lab.publish_at(1_000).await;
    assert!(begins_with(&lab.feed).await.contains("\"index\":5"));
    *lab.signer.broken.lock().unwrap() = false;
    lab.publish_at(1_010).await;
    let text = begins_with(&lab.feed).await;
    assert!(text.contains("event: reset") && !text.contains("\"index\":5"), "{text}");
    lab.feed.replaced();
    lab.publish_at(1_020).await;
    assert!(begins_with(&lab.feed).await.contains("event: reset"));
}
