//! Tells the feed what is revoked of this region's own tokens, wherever it was asked for: here, on
//! another node of the region, or in a region that stands in for it.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc};

use exequatur_federation::revocation::{ListId, ListStamp, StatusReference, status_list::Marks};

use super::{Feed, SharedView};

/// What was told so far.
pub struct Teller {
    view: Arc<SharedView>,
    feed: Arc<Feed>,
    told: BTreeMap<ListId, Told>,
}

struct Told {
    stamp: ListStamp,
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
            // An error means that the view is gone, and with it the node.
            let gone = match &mut agreements {
                None => changes.changed().await.is_err(),
                Some(agreements) => tokio::select! {
                    changed = changes.changed() => changed.is_err(),
                    changed = agreements.changed() => changed.is_err(),
                },
            };
            if gone {
                std::future::pending::<()>().await;
            }
        }
    }

    pub(super) fn look(&mut self, tells: bool) {
        let view = self.view.current();
        for list in view.own_lists() {
            let (id, stamp) = (list.list(), list.stamp());
            let known = self.told.get(&id);
            if known.is_some_and(|told| told.stamp == stamp) {
                continue;
            }
            let (mut marks, was_cut) =
                known.map(|told| (told.marks.clone(), told.cut)).unwrap_or_default();
            let fresh: Vec<u32> = list.indexes().filter(|index| marks.add(*index)).collect();
            let cut = list.cutoff().is_some();
            if tells && cut && !was_cut {
                self.feed.replaced();
            } else if tells {
                for index in fresh {
                    self.feed.revoked(StatusReference { list: id, index });
                }
            }
            self.told.insert(id, Told { stamp, marks, cut });
        }
        self.told.retain(|list, _| view.own_list(*list).stamp() != ListStamp::NOTHING);
    }
}

#[cfg(test)]
mod tests {
    use exequatur_federation::{
        revocation::{Marks as Held, Revocation},
        time::UnixTime,
    };

    use super::*;
    use crate::{entropy::SystemEntropy, telemetry::metrics::Metrics};

    fn revocation(index: u32, expires: u64) -> Revocation {
        let status = StatusReference { list: ListId::new(1), index };
        Revocation { status, expires: UnixTime::from_seconds(expires) }
    }

    #[tokio::test]
    async fn each_revocation_is_told_once_and_what_was_there_before_is_not() {
        let view = Arc::new(SharedView::alone(Held::default()));
        view.mark([revocation(4, 100)]);
        let meters = Metrics::new().status_lists.clone();
        let entropy = Arc::new(SystemEntropy::default());
        let feed = Arc::new(Feed::new("https://eu.example", entropy, meters).unwrap());
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
}
