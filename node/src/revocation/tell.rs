//! Tells the feed what is revoked of this region's own tokens, wherever it was asked for: here, on
//! another node of the region, or in a region that stands in for it.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

use exequatur_federation::revocation::{ListId, ListStamp, StatusReference, status_list::Marks};

use super::{Feed, SharedView};

/// Between two looks: what comes at the same time is told at once, and a storm of revocations does
/// not become one of looks. Short against any `ttl`.
const PAUSE: Duration = Duration::from_millis(10);

/// What was told so far.
pub struct Teller {
    view: Arc<SharedView>,
    feed: Arc<Feed>,
    told: BTreeMap<ListId, Told>,
}

#[derive(Default)]
struct Told {
    /// What the list was like; `None` before it was looked at.
    stamp: Option<ListStamp>,
    marks: Marks,
    /// Whether the whole list was said to be dead.
    cut: bool,
}

impl Teller {
    /// Takes what is revoked now as told: whoever follows from now on reads the lists first.
    #[must_use]
    pub fn new(view: Arc<SharedView>, feed: Arc<Feed>) -> Self {
        let mut teller = Self { view, feed, told: BTreeMap::new() };
        teller.look(false);
        teller
    }

    /// Tells each change as it comes, for ever.
    pub async fn run(mut self) -> Infallible {
        let mut changes = self.view.changes();
        let mut agreements = self.view.agreements();
        loop {
            self.look(true);
            let agreed = async {
                match &mut agreements {
                    Some(agreements) => agreements.changed().await.is_err(),
                    None => std::future::pending().await,
                }
            };
            let gone = tokio::select! {
                changed = changes.changed() => changed.is_err(),
                gone = agreed => gone,
            };
            if gone {
                // The view is gone, and with it the node.
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    pub(super) fn look(&mut self, tells: bool) {
        let view = self.view.current();
        for list in view.own_lists() {
            let told = self.told.entry(list.list()).or_default();
            let stamp = Some(list.stamp());
            if told.stamp == stamp {
                continue;
            }
            let fresh = told.marks.add_tokens(&list);
            let cut = list.cutoff().is_some();
            if tells && cut && !told.cut {
                self.feed.replaced();
            } else if tells {
                for index in fresh {
                    self.feed.revoked(StatusReference { list: list.list(), index });
                }
            }
            (told.stamp, told.cut) = (stamp, cut);
        }
        self.told.retain(|list, _| view.own_list(*list).stamp() != ListStamp::NOTHING);
    }
}

#[cfg(test)]
mod tests {
    use exequatur_federation::{
        ledger::{Mode, Revoke, StatusTarget, Target},
        region::RegionNumber,
        revocation::{Marks as Held, Revocation},
        time::UnixTime,
    };

    use super::*;
    use crate::{consensus::SharedLedger, entropy::SystemEntropy, telemetry::metrics::Metrics};

    fn feed() -> Arc<Feed> {
        let meters = Metrics::new().status_lists.clone();
        let entropy = Arc::new(SystemEntropy::default());
        Arc::new(Feed::new("https://eu.example", entropy, meters).unwrap())
    }

    fn revocation(index: u32, expires: u64) -> Revocation {
        let status = StatusReference { list: ListId::new(1), index };
        Revocation { status, expires: UnixTime::from_seconds(expires) }
    }

    #[tokio::test]
    async fn each_revocation_is_told_once_and_what_was_there_before_is_not() {
        let view = Arc::new(SharedView::alone(Held::default()));
        view.mark([revocation(4, 100)]);
        let feed = feed();
        let mut teller = Teller::new(Arc::clone(&view), Arc::clone(&feed));
        assert_eq!(feed.told(), 0);
        view.mark([revocation(5, 100), revocation(6, 50)]);
        teller.look(true);
        view.mark([revocation(5, 200)]);
        teller.look(true);
        assert_eq!(feed.told(), 2);
        view.purge(UnixTime::from_seconds(300));
        teller.look(true);
        assert_eq!(feed.told(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_by_the_ledger_alone_is_told() {
        let region = RegionNumber::new(1).unwrap();
        let ledger = SharedLedger::empty();
        let view = Arc::new(SharedView::united(region, ledger.clone(), Held::default()));
        let feed = feed();
        let teller = Teller::new(view, Arc::clone(&feed));
        let target = Target::Status(StatusTarget { list: ListId::new(1), index: 7 });
        let expires_at = UnixTime::from_seconds(100);
        let later = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            ledger.hold(Revoke { owner: region, target, mode: Mode::Cutoff, expires_at });
            tokio::time::sleep(Duration::from_secs(1)).await;
        };
        tokio::select! {
            () = later => {}
            never = teller.run() => match never {},
        }
        assert_eq!(feed.told(), 1);
    }
}
