//! The cache of keys under rotation, floods, poison and failure (F50, F51, F52), with a clock
//! that is set by hand.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use exequatur_federation::{
    jose::{JwkSet, JwkSetError},
    time::{Ttl, UnixTime},
};
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, join_all},
};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    DuplicateIssuer, Fetch, FetchError, FetchLimits, Freshness, HttpFetcher, IssuerKeys,
    IssuerSource, IssuerStatus, KeysError, RefreshError, RemoteUrl, TrustRoots,
    testing::{Answer, FakeClock, Pages, Server, jwk, jwks},
};
use crate::clock::Clock;

const ISSUER: &str = "https://login.example.com";
const METADATA: &str = "https://login.example.com/.well-known/openid-configuration";
const JWKS: &str = "https://login.example.com/jwks";
const DAY: u64 = 24 * 3_600;

/// One issuer whose keys stand at a configured address.
struct Bench {
    pages: Arc<Pages>,
    clock: Arc<FakeClock>,
    keys: Arc<IssuerKeys>,
}

impl Bench {
    fn new(pages: Arc<Pages>) -> Self {
        let source = IssuerSource::new(ISSUER, Some(JWKS), Arc::clone(&pages) as _).unwrap();
        let clock = Arc::new(FakeClock::default());
        let keys = IssuerKeys::new([source], Freshness::STANDARD, Arc::clone(&clock) as _);
        Self { pages, clock, keys: Arc::new(keys.unwrap()) }
    }

    /// A bench that has fetched keys under these ids, just now.
    async fn holding(kids: &[&str]) -> Self {
        let bench = Self::new(Pages::open());
        bench.pages.put(JWKS, jwks(kids));
        bench.keys.refresh_due().await;
        bench
    }

    async fn ask(&self, kid: &str) -> Result<Arc<JwkSet>, KeysError> {
        self.keys.keys_for(ISSUER, Some(kid)).await
    }

    fn status(&self) -> IssuerStatus {
        self.keys.status().remove(0)
    }
}

fn has(found: &Result<Arc<JwkSet>, KeysError>, kid: &str) -> bool {
    found.as_ref().is_ok_and(|set| set.select(Some(kid)).is_some())
}

fn retry_after(found: &Result<Arc<JwkSet>, KeysError>) -> Option<u32> {
    match found {
        Err(KeysError::Unavailable { retry_after, .. }) => Some(retry_after.seconds()),
        Ok(_) | Err(KeysError::UnknownIssuer) => None,
    }
}

#[tokio::test]
async fn fifty_first_callers_share_one_fetch() {
    let bench = Bench::new(Pages::closed());
    bench.pages.put(JWKS, jwks(&["a"]));
    let callers = join_all((0..50).map(|_| bench.ask("a")));
    let opener = async { bench.pages.let_pass(1) };
    let (found, ()) = tokio::join!(callers, opener);
    assert!(found.iter().all(|f| has(f, "a")));
    assert_eq!(bench.pages.fetches(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_on_many_threads_share_one_fetch() {
    let bench = Arc::new(Bench::new(Pages::open()));
    bench.pages.put(JWKS, jwks(&["a"]));
    let mut callers = JoinSet::new();
    for _ in 0..50 {
        let bench = Arc::clone(&bench);
        callers.spawn(async move { bench.ask("a").await });
    }
    assert!(callers.join_all().await.iter().all(|f| has(f, "a")));
    assert_eq!(bench.pages.fetches(), 1);
}

#[tokio::test]
async fn known_keys_are_served_without_waiting_or_fetching() {
    let bench = Bench::holding(&["a", "b"]).await;
    for kid in [Some("a"), Some("b"), None] {
        let found = bench.keys.keys_for(ISSUER, kid).now_or_never();
        assert!(found.is_some_and(|f| f.is_ok()), "{kid:?}");
    }
    assert_eq!(bench.pages.fetches(), 1);
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_take_the_fetch_with_it() {
    let bench = Bench::new(Pages::closed());
    bench.pages.put(JWKS, jwks(&["a"]));
    assert!(bench.ask("a").now_or_never().is_none(), "it waits for the fetch");
    bench.pages.let_pass(1);
    assert!(has(&bench.ask("a").await, "a"));
    assert_eq!(bench.pages.fetches(), 1, "the second caller saw the first one's fetch through");
}

#[tokio::test]
async fn a_rotated_key_is_seen_after_one_fetch() {
    let bench = Bench::holding(&["old"]).await;
    bench.pages.put(JWKS, jwks(&["old", "new"]));
    let found = bench.ask("new").await;
    assert!(has(&found, "new") && has(&found, "old"));
    assert_eq!(bench.pages.fetches(), 2);
}

#[tokio::test]
async fn a_flood_of_unknown_key_ids_fetches_once_in_thirty_seconds() {
    let bench = Bench::holding(&["a"]).await;
    for window in 1..=3 {
        for _ in 0..30 {
            let names: Vec<String> = (0..200).map(|i| format!("made-up-{window}-{i}")).collect();
            let found = join_all(names.iter().map(|n| bench.ask(n))).await;
            assert!(found.iter().all(|f| has(f, "a")), "answered from what the issuer said");
            assert_eq!(bench.pages.fetches(), 1 + window);
            bench.clock.advance(1);
        }
    }
}

#[tokio::test]
async fn a_flood_before_the_first_fetch_counts_that_fetch() {
    let bench = Bench::new(Pages::open());
    bench.pages.put(JWKS, jwks(&["a"]));
    let names: Vec<String> = (0..200).map(|i| format!("made-up-{i}")).collect();
    for _ in 0..30 {
        drop(join_all(names.iter().map(|n| bench.ask(n))).await);
        bench.clock.advance(1);
    }
    assert_eq!(bench.pages.fetches(), 1);
}

#[tokio::test]
async fn whether_a_key_exists_is_unknown_while_the_issuer_fails() {
    let bench = Bench::holding(&["a"]).await;
    bench.pages.fail(JWKS, FetchError::Status { status: 500 });
    let found = bench.ask("new").await;
    assert_eq!(retry_after(&found), Some(31), "not `invalid`: the key may exist");
    assert_eq!(retry_after(&bench.ask("new").await), Some(31));
    assert_eq!(bench.pages.fetches(), 2);
    assert!(has(&bench.ask("a").await, "a"), "known keys go on verifying");
}

#[tokio::test]
async fn an_issuer_that_was_never_reached_is_asked_ever_more_rarely() {
    let bench = Bench::new(Pages::open());
    bench.pages.fail(JWKS, FetchError::Connect { reason: "refused".to_owned() });
    let mut asked_at = Vec::new();
    for second in 0..200 {
        let before = bench.pages.fetches();
        let found = join_all((0..20).map(|_| bench.ask("a"))).await;
        assert!(found.iter().all(|f| retry_after(f).is_some_and(|s| (1..=61).contains(&s))));
        if bench.pages.fetches() > before {
            assert_eq!(bench.pages.fetches(), before + 1);
            asked_at.push(second);
        }
        bench.clock.advance(1);
    }
    assert_eq!(asked_at, [0, 1, 3, 7, 15, 31, 63, 123, 183]);
    bench.pages.put(JWKS, jwks(&["a"]));
    bench.clock.advance(60);
    assert!(has(&bench.ask("a").await, "a"));
}

#[tokio::test]
async fn a_poisoned_set_is_refused_whole_and_the_old_one_kept() {
    let private = |member: &str| {
        let mut key = jwk("p");
        key[member] = json!("AQAB");
        key
    };
    let mut off_curve = jwk("c");
    off_curve["y"] = off_curve["x"].clone();
    let mut wrong_type = jwk("w");
    wrong_type["alg"] = json!("RS256");
    let cases: [(&str, Vec<Value>); 7] = [
        ("duplicate kid", vec![jwk("d"), jwk("d")]),
        ("symmetric", vec![json!({"kty": "oct", "k": "AQAB", "kid": "h"})]),
        ("symmetric, for HS256", vec![json!({"kty": "oct", "k": "AQAB", "alg": "HS256"})]),
        ("private part", vec![private("d")]),
        ("private prime", vec![private("p")]),
        ("off curve", vec![off_curve]),
        ("algorithm of another type", vec![wrong_type]),
    ];
    for (what, mut poison) in cases {
        let bench = Bench::holding(&["old"]).await;
        let before = bench.keys.current(ISSUER).unwrap();
        poison.insert(0, jwk("new"));
        bench.pages.put(JWKS, json!({"keys": poison}).to_string());
        bench.clock.advance(600);
        bench.keys.refresh_due().await;
        let status = bench.status();
        assert_eq!((status.fetches, status.sets_refused), (2, 1), "{what}");
        assert!(matches!(status.last_error.as_deref(), Some(RefreshError::Set { .. })), "{what}");
        assert!(Arc::ptr_eq(&before, &bench.keys.current(ISSUER).unwrap()), "{what}");
        assert!(has(&bench.ask("old").await, "old"), "{what}");
        assert!(retry_after(&bench.ask("new").await).is_some(), "{what}: the good key waits too");
        // The issuer mends its set.
        bench.pages.put(JWKS, jwks(&["new"]));
        bench.clock.advance(60);
        bench.keys.refresh_due().await;
        assert!(has(&bench.ask("new").await, "new"), "{what}");
        assert!(!has(&bench.ask("old").await, "old"), "{what}");
    }
}

#[tokio::test]
async fn a_set_that_is_no_set_or_has_no_key_for_us_is_refused_and_the_old_one_kept() {
    let mut encryption = jwk("e");
    encryption["use"] = json!("enc");
    let encryption = json!({"keys": [encryption]}).to_string();
    let texts =
        ["", "{}", "[]", "<html>", r#"{"keys":[]}"#, r#"{"keys":[],"keys":[]}"#, &encryption];
    for text in texts {
        let bench = Bench::holding(&["old"]).await;
        bench.pages.put(JWKS, text);
        bench.clock.advance(600);
        bench.keys.refresh_due().await;
        assert!(bench.status().last_error.is_some(), "{text}");
        assert!(has(&bench.ask("old").await, "old"), "{text}");
    }
}

#[tokio::test]
async fn a_withdrawn_key_is_gone_after_the_next_refresh() {
    let bench = Bench::holding(&["stolen", "good"]).await;
    bench.pages.put(JWKS, jwks(&["good"]));
    bench.clock.advance(599);
    bench.keys.refresh_due().await;
    assert!(has(&bench.ask("stolen").await, "stolen"));
    bench.clock.advance(1);
    bench.keys.refresh_due().await;
    assert!(!has(&bench.ask("stolen").await, "stolen"));
}

#[tokio::test]
async fn old_keys_are_served_for_a_day_and_not_a_second_longer() {
    let bench = Bench::holding(&["a"]).await;
    bench.pages.fail(JWKS, FetchError::Status { status: 503 });
    bench.clock.advance(DAY);
    bench.keys.refresh_due().await;
    assert!(has(&bench.ask("a").await, "a"));
    assert!(bench.keys.current(ISSUER).is_some());
    bench.clock.advance(1);
    let found = bench.ask("a").await;
    assert!(retry_after(&found).is_some(), "{found:?}");
    assert!(bench.keys.current(ISSUER).is_none());
    assert!(retry_after(&bench.keys.keys_for(ISSUER, None).await).is_some());
    assert!(!bench.status().usable);
    bench.pages.put(JWKS, jwks(&["a"]));
    bench.clock.advance(60);
    assert!(has(&bench.ask("a").await, "a"));
}

#[tokio::test]
async fn an_unchanged_set_keeps_its_address_in_memory() {
    let bench = Bench::holding(&["a"]).await;
    let first = bench.keys.current(ISSUER).unwrap();
    bench.clock.advance(600);
    bench.keys.refresh_due().await;
    assert_eq!(bench.pages.fetches(), 2);
    assert_eq!(bench.status().age_seconds, Some(0));
    assert!(Arc::ptr_eq(&first, &bench.keys.current(ISSUER).unwrap()));
    bench.pages.put(JWKS, jwks(&["a"]));
    bench.clock.advance(600);
    bench.keys.refresh_due().await;
    assert!(!Arc::ptr_eq(&first, &bench.keys.current(ISSUER).unwrap()), "same id, another key");
}

#[tokio::test]
async fn one_issuer_never_answers_with_the_keys_of_another() {
    let pages = Pages::open();
    let other = "https://other.example";
    pages.put(JWKS, jwks(&["ours"]));
    pages.put("https://other.example/jwks", jwks(&["theirs"]));
    let sources = [(ISSUER, JWKS), (other, "https://other.example/jwks")]
        .map(|(i, j)| IssuerSource::new(i, Some(j), Arc::clone(&pages) as _).unwrap());
    let clock = Arc::new(FakeClock::default());
    let keys = IssuerKeys::new(sources, Freshness::STANDARD, clock).unwrap();
    keys.refresh_due().await;
    assert!(!has(&keys.keys_for(ISSUER, Some("theirs")).await, "theirs"));
    assert!(has(&keys.keys_for(other, Some("theirs")).await, "theirs"));
    for unknown in ["https://login.example.com/", "https://evil.example", ""] {
        let found = keys.keys_for(unknown, Some("ours")).await;
        assert_eq!(found.unwrap_err(), KeysError::UnknownIssuer, "{unknown}");
    }
}

#[test]
fn an_issuer_given_twice_and_an_unacceptable_address_are_refused() {
    let source = |jwks| IssuerSource::new(ISSUER, jwks, Pages::open());
    let twice = [source(None).unwrap(), source(Some(JWKS)).unwrap()];
    let clock = Arc::new(FakeClock::default());
    let found = IssuerKeys::new(twice, Freshness::STANDARD, clock).err();
    assert_eq!(found, Some(DuplicateIssuer { issuer: ISSUER.to_owned() }));
    assert!(source(Some("http://login.example.com/jwks")).is_err());
    assert!(IssuerSource::new("http://login.example.com", None, Pages::open()).is_err());
}

#[tokio::test]
async fn the_address_of_the_keys_is_discovered_kept_and_asked_for_again_when_it_fails() {
    let pages = Pages::open();
    let metadata = |uri: &str| json!({"issuer": ISSUER, "jwks_uri": uri}).to_string();
    let source = IssuerSource::new(ISSUER, None, Arc::clone(&pages) as _).unwrap();
    let clock = Arc::new(FakeClock::default());
    let keys = IssuerKeys::new([source], Freshness::STANDARD, Arc::clone(&clock) as _).unwrap();
    pages.put(METADATA, metadata(JWKS));
    pages.put(JWKS, jwks(&["a"]));
    keys.refresh_due().await;
    clock.advance(600);
    keys.refresh_due().await;
    assert_eq!(pages.asked(), [METADATA, JWKS, JWKS]);
    // The issuer moves its keys: the old address ends, the metadata names the new one.
    let moved = "https://login.example.com/keys/v2";
    pages.put(METADATA, metadata(moved));
    pages.put(moved, jwks(&["b"]));
    pages.fail(JWKS, FetchError::Status { status: 404 });
    clock.advance(600);
    keys.refresh_due().await;
    assert!(has(&keys.keys_for(ISSUER, Some("a")).await, "a"));
    clock.advance(1);
    keys.refresh_due().await;
    assert_eq!(pages.asked()[3..], [JWKS, METADATA, moved]);
    assert!(has(&keys.keys_for(ISSUER, Some("b")).await, "b"));
}

#[tokio::test]
async fn metadata_of_another_issuer_gives_no_keys() {
    let pages = Pages::open();
    let source = IssuerSource::new(ISSUER, None, Arc::clone(&pages) as _).unwrap();
    let clock = Arc::new(FakeClock::default());
    let keys = IssuerKeys::new([source], Freshness::STANDARD, clock).unwrap();
    pages.put(METADATA, json!({"issuer": "https://evil.example", "jwks_uri": JWKS}).to_string());
    pages.put(JWKS, jwks(&["a"]));
    let found = keys.keys_for(ISSUER, Some("a")).await;
    assert!(retry_after(&found).is_some());
    assert!(found.unwrap_err().to_string().contains("https://evil.example"));
    assert_eq!(pages.asked(), [METADATA], "its keys are not even fetched");
}

#[tokio::test]
async fn readiness_says_which_issuer_and_why() {
    let bench = Bench::new(Pages::open());
    let text = |bench: &Bench| bench.status().to_string();
    assert_eq!(text(&bench), format!("issuer `{ISSUER}`: no keys yet: no fetch has ended yet"));
    bench.pages.fail(JWKS, FetchError::Status { status: 502 });
    bench.keys.refresh_due().await;
    assert_eq!(
        text(&bench),
        format!("issuer `{ISSUER}`: no keys yet: `{JWKS}`: answered with status 502")
    );
    bench.pages.put(JWKS, jwks(&["a", "b"]));
    bench.clock.advance(1);
    bench.keys.refresh_due().await;
    bench.clock.advance(7);
    assert_eq!(text(&bench), format!("issuer `{ISSUER}`: 2 keys, 7 s old"));
    bench.pages.put(JWKS, json!({"keys": [jwk("a"), jwk("a")]}).to_string());
    bench.clock.advance(DAY);
    bench.keys.refresh_due().await;
    let status = text(&bench);
    assert!(status.contains("too old (86407 s)"), "{status}");
    assert!(status.contains(&JwkSetError::DuplicateKid.to_string()), "{status}");
}

/// The failures of F50 at a real server: cached keys until they are too old, then closed.
#[tokio::test]
async fn whatever_an_issuer_does_cached_keys_last_a_day_and_then_nothing_is_accepted() {
    let limits = |deadline| FetchLimits { body_bytes_max: 4_096, deadline };
    let patient = limits(Duration::from_secs(30));
    let good = jwks(&["a"]);
    let metadata_host = "http://169.254.169.254/latest/meta-data/iam";
    let failures = [
        ("not found", Answer::Whole(404, Vec::new(), String::new())),
        ("5xx", Answer::Whole(503, Vec::new(), good.clone())),
        ("wrong content type", Answer::typed("text/html", good.clone())),
        ("endless", Answer::Endless),
        ("oversize", Answer::json(format!("{good}{}", " ".repeat(4_096)))),
        ("redirect", Answer::redirect(302, metadata_host)),
        ("no JSON", Answer::json("<html>")),
        ("silent", Answer::Silence),
        ("stalled", Answer::Stall),
    ];
    let checks = failures.into_iter().map(|(what, failure)| {
        let good = good.clone();
        async move {
            let server = Server::start().await;
            server.answer("/jwks", Answer::json(good));
            let hangs = matches!(failure, Answer::Silence | Answer::Stall);
            let later = if hangs { limits(Duration::from_millis(50)) } else { patient };
            let fetch = Arc::new(Changing::new(patient, later));
            let issuer = server.url("").to_string();
            let jwks_uri = server.url("/jwks");
            let source =
                IssuerSource::new(&issuer, Some(jwks_uri.as_str()), Arc::clone(&fetch) as _);
            let clock = Arc::new(FakeClock::default());
            let freshness = Freshness::STANDARD;
            let keys =
                IssuerKeys::new([source.unwrap()], freshness, Arc::clone(&clock) as _).unwrap();
            assert!(has(&keys.keys_for(&issuer, Some("a")).await, "a"), "{what}");

            server.answer("/jwks", failure);
            fetch.change();
            clock.advance(DAY);
            keys.refresh_due().await;
            assert_eq!(server.requests().len(), 2, "{what}");
            assert!(keys.status()[0].last_error.is_some(), "{what}");
            assert!(has(&keys.keys_for(&issuer, Some("a")).await, "a"), "{what}");
            clock.advance(1);
            let found = keys.keys_for(&issuer, Some("a")).await;
            assert!(retry_after(&found).is_some(), "{what}: {found:?}");
        }
    });
    join_all(checks).await;
}

/// Fetches over HTTP within one set of limits, later within another: a deadline that is meant to
/// be missed must not be missed by accident before.
struct Changing {
    fetchers: [HttpFetcher<HttpsConnector<HttpConnector>>; 2],
    changed: AtomicBool,
}

impl Changing {
    fn new(first: FetchLimits, later: FetchLimits) -> Self {
        let fetcher =
            |limits| HttpFetcher::new(TrustRoots::none().connector(limits).unwrap(), limits);
        Self { fetchers: [fetcher(first), fetcher(later)], changed: AtomicBool::new(false) }
    }

    fn change(&self) {
        self.changed.store(true, Ordering::SeqCst);
    }
}

impl Fetch for Changing {
    fn fetch<'a>(&'a self, url: &'a RemoteUrl) -> BoxFuture<'a, Result<Bytes, FetchError>> {
        let [first, later] = &self.fetchers;
        if self.changed.load(Ordering::SeqCst) { later.fetch(url) } else { first.fetch(url) }
    }
}

/// The clock of a paused runtime, so that the background loop's own timer moves it.
struct RuntimeClock(tokio::time::Instant);

impl Clock for RuntimeClock {
    fn now(&self) -> UnixTime {
        UnixTime::default().plus(Ttl::from_seconds(0))
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

#[tokio::test(start_paused = true)]
async fn the_background_loop_refreshes_retries_and_sees_abandoned_fetches_through() {
    let pages = Pages::closed();
    let source = IssuerSource::new(ISSUER, Some(JWKS), Arc::clone(&pages) as _).unwrap();
    let clock = Arc::new(RuntimeClock(tokio::time::Instant::now()));
    let keys = IssuerKeys::new([source], Freshness::STANDARD, clock).unwrap();
    let script = async {
        let seconds = |s| tokio::time::sleep(Duration::from_secs(s));
        pages.let_pass(8);
        // Down at the start: 0, 1, 3 and 7 s are tries.
        seconds(8).await;
        assert_eq!(pages.fetches(), 4);
        pages.put(JWKS, jwks(&["a"]));
        seconds(8).await;
        assert_eq!((pages.fetches(), keys.current(ISSUER).is_some()), (5, true));
        // Then once in ten minutes.
        seconds(1_800).await;
        assert_eq!(pages.fetches(), 8);
        // A request begins a fetch and goes away; the loop brings it home.
        pages.put(JWKS, jwks(&["b"]));
        assert!(keys.keys_for(ISSUER, Some("b")).now_or_never().is_none());
        pages.let_pass(1);
        seconds(1).await;
        assert!(keys.current(ISSUER).is_some_and(|set| set.select(Some("b")).is_some()));
        assert_eq!(pages.fetches(), 9);
    };
    tokio::select! {
        never = keys.keep_fresh() => match never {},
        () = script => {}
    }
}
