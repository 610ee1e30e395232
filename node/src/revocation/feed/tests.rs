//! Feeds as their clients see them.

use std::pin::Pin;

use exequatur_federation::revocation::ListId;
use futures_util::StreamExt as _;

use super::*;
use crate::{entropy::SystemEntropy, telemetry::metrics::Metrics};

type Pieces = Pin<Box<dyn Stream<Item = Bytes> + Send>>;

fn feed() -> Arc<Feed> {
    let meters = Metrics::new().status_lists.clone();
    let entropy = Arc::new(SystemEntropy::default());
    Arc::new(Feed::new("https://eu.example", entropy, meters).unwrap())
}

fn follow(feed: &Arc<Feed>, last: Option<&str>) -> Pieces {
    Box::pin(feed.follow(&ClientId::new("api"), last).unwrap())
}

fn status(index: u32) -> StatusReference {
    StatusReference { list: ListId::new(1), index }
}

async fn piece(pieces: &mut Pieces) -> String {
    String::from_utf8(pieces.next().await.unwrap().to_vec()).unwrap()
}

fn last_id(text: &str) -> String {
    text.lines().filter_map(|line| line.strip_prefix("id: ")).next_back().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_new_client_is_told_to_read_the_lists_and_then_gets_events() {
    let feed = feed();
    let mut pieces = follow(&feed, None);
    let text = piece(&mut pieces).await;
    assert!(text.starts_with("retry: 1000\n\nevent: reset\nid: "), "{text}");
    feed.revoked(status(5));
    feed.revoked(status(6));
    let text = piece(&mut pieces).await;
    assert_eq!(text.matches("event: revoked").count(), 2, "{text}");
    let first = "{\"list\":\"https://eu.example/statuslists/0000000000000001\",\"index\":5}";
    assert!(text.contains(first), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_comes_again_goes_on_and_one_from_another_start_begins_anew() {
    let feed = feed();
    let mut pieces = follow(&feed, None);
    let last = last_id(&piece(&mut pieces).await);
    drop(pieces);
    feed.revoked(status(5));
    let text = piece(&mut follow(&feed, Some(&last))).await;
    assert!(!text.contains("reset") && text.contains("\"index\":5"), "{text}");
    let restarted = self::feed();
    for last in [last_id(&text), String::new(), "9".repeat(20_000), format!("{last}0000")] {
        let text = piece(&mut follow(&restarted, Some(&last))).await;
        assert!(text.contains("event: reset"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn silence_is_filled_and_lasts_an_hour_at_most() {
    let feed = feed();
    let mut pieces = follow(&feed, None);
    piece(&mut pieces).await;
    let began = Instant::now();
    assert_eq!(piece(&mut pieces).await, ":\n\n");
    assert!(began.elapsed() >= KEEP_ALIVE);
    while pieces.next().await.is_some() {}
    assert!(began.elapsed() >= LIFETIME - KEEP_ALIVE);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_holds_up_nobody_and_begins_anew() {
    let feed = feed();
    let (mut slow, mut quick) = (follow(&feed, None), follow(&feed, None));
    piece(&mut slow).await;
    piece(&mut quick).await;
    let mut got = 0;
    for index in 0..200_000_u32 {
        feed.revoked(status(index));
        if index % 1_000 == 999 {
            while got <= index {
                let text = piece(&mut quick).await;
                assert!(!text.contains("reset") && text.len() < 16 * 1_024);
                got += u32::try_from(text.matches("event: revoked").count()).unwrap();
            }
        }
    }
    assert_eq!(got, 200_000);
    feed.published(feed.mark());
    assert!(piece(&mut slow).await.contains("event: reset"));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_told_makes_clients_begin_anew_once_the_lists_are_published() {
    let feed = feed();
    let mut pieces = follow(&feed, None);
    piece(&mut pieces).await;
    feed.replaced();
    assert_eq!(piece(&mut pieces).await, ":\n\n");
    feed.published(feed.mark());
    assert!(piece(&mut pieces).await.contains("event: reset"));
}

#[tokio::test(start_paused = true)]
async fn feeds_end_when_the_node_stops() {
    let feed = feed();
    let mut pieces = follow(&feed, None);
    piece(&mut pieces).await;
    feed.close();
    assert_eq!(pieces.next().await, None);
    assert_eq!(follow(&feed, None).next().await, None);
}
