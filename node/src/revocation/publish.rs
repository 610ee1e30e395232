//! Publication of the region's status lists (Token Status List draft -21): which live, which changed,
//! packed and signed one at a time. Nobody waits for it: what was published last is served
//! meanwhile, and when the key store fails, beyond its time.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc};

use exequatur_federation::{
    config::StatusLists,
    jose::SigningInput,
    ledger::{KeyPurpose, OwnKey},
    oauth::TYP_STATUS_LIST,
    revocation::{
        ListId,
        status_list::{DecoySeed, Marks, Publication, StatusArray, StatusListError},
    },
    time::{Ttl, UnixTime},
};
use tokio::time::{Duration, MissedTickBehavior, interval};

use super::{
    Feed, SharedView,
    published::{PublishedList, PublishedLists},
};
use crate::{
    clock::Clock,
    hsm::{SignError, Signer},
    store::{StatusList, Store},
    telemetry::metrics::StatusListMeters,
};

/// How long a list is published after its last use: the longest life of a token, and ten minutes
/// for notes that came late and clocks that differ.
const ALIVE: Ttl = Ttl::from_seconds(3_600 + 600);

/// How long before its start a node still counts decoys as marked. Of real marks it only learns
/// those whose tokens had not expired by then; if all decoys came back, a restart would tell them
/// apart.
const REMEMBERED: Ttl = Ttl::from_seconds(900);

/// How many `ttl` a copy may be used at all: long enough for an outage, and for a key store that
/// fails.
const EXPIRY_TTLS: u32 = 5;

/// What a publisher works with.
pub struct PublisherParts {
    /// The region's issuer.
    pub issuer: String,
    /// When lists are published and for how long.
    pub settings: StatusLists,
    /// Where lists are found.
    pub store: Arc<dyn Store>,
    /// What is revoked.
    pub view: Arc<SharedView>,
    /// Signs lists.
    pub signer: Arc<dyn Signer>,
    /// Who is told when lists hold what was revoked.
    pub feed: Arc<Feed>,
    /// Where lists are served from.
    pub published: Arc<PublishedLists>,
    /// What is counted.
    pub meters: StatusListMeters,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// See the module.
pub struct Publisher {
    parts: PublisherParts,
    started: UnixTime,
    lists: BTreeMap<ListId, Live>,
}

/// A list with living tokens.
struct Live {
    row: StatusList,
    /// Its decoys in their order, their seed, and how many are marked.
    decoys: Option<(DecoySeed, Vec<u32>, usize)>,
    marks: Marks,
    changed: bool,
    signed: Option<(UnixTime, Arc<PublishedList>)>,
}

/// Why a list was not published.
#[derive(Debug, thiserror::Error)]
enum PublishError {
    #[error(transparent)]
    List(#[from] StatusListError),
    #[error("the list could not be written as JSON")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Sign(#[from] SignError),
    #[error("the thread that packed the list broke off")]
    Thread(#[from] tokio::task::JoinError),
}

impl Publisher {
    /// A publisher that has published nothing yet.
    #[must_use]
    pub fn new(parts: PublisherParts) -> Self {
        let started = parts.clock.now();
        Self { parts, started, lists: BTreeMap::new() }
    }

    /// The key that signs lists, as the ledger holds keys.
    #[must_use]
    pub fn own_key(&self) -> Option<OwnKey> {
        OwnKey::new(KeyPurpose::StatusList, self.parts.signer.public_key())
    }

    /// Publishes for ever.
    pub async fn run(mut self) -> Infallible {
        let every = Duration::from_secs(self.parts.settings.publish_every.seconds().into());
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            self.publish().await;
        }
    }

    /// Publishes what changed and what is due, once.
    pub async fn publish(&mut self) {
        let mark = self.parts.feed.mark();
        let now = self.parts.clock.now();
        let mut complete = self.find(now).await;
        for (list, live) in &mut self.lists {
            live.update(*list, &self.parts.view, (self.started, now));
            if !live.is_due(now, self.parts.settings.ttl) {
                continue;
            }
            match self.parts.sign(*list, live.marks.clone(), now).await {
                Ok(published) => {
                    live.signed = Some((now, Arc::new(published)));
                    live.changed = false;
                    self.parts.meters.published.inc();
                }
                Err(error) => {
                    tracing::warn!(%list, %error, "a status list was not published");
                    self.parts.meters.failures.inc();
                    complete = false;
                }
            }
            // Others have their turn between two lists.
            tokio::task::yield_now().await;
        }
        let signed = |live: &Live| live.signed.as_ref().map(|(_, list)| Arc::clone(list));
        let lists = self.lists.iter().map(|(id, live)| (*id, signed(live)));
        self.parts.published.replace(lists.collect());
        if complete {
            self.parts.feed.published(mark);
        }
    }

    /// Looks which lists live; those of other nodes of the region are among them. `false` if the
    /// store does not say.
    async fn find(&mut self, now: UnixTime) -> bool {
        let rows = match self.parts.store.status_lists(now.minus(ALIVE)).await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::warn!(%error, "the status lists of other nodes are not known");
                return false;
            }
        };
        let mut lists = BTreeMap::new();
        for row in rows {
            let id = ListId::new(row.list_id);
            let live = self.lists.remove(&id).unwrap_or_else(|| Live::new(row));
            lists.insert(id, live);
        }
        self.parts.meters.live.set(i64::try_from(lists.len()).unwrap_or(i64::MAX));
        self.lists = lists;
        true
    }
}

impl PublisherParts {
    async fn sign(
        &self,
        list: ListId,
        marks: Marks,
        now: UnixTime,
    ) -> Result<PublishedList, PublishError> {
        let ttl = self.settings.ttl;
        let lifetime = Ttl::from_seconds(ttl.seconds().saturating_mul(EXPIRY_TTLS));
        let issuer = self.issuer.clone();
        let (algorithm, key) = (self.signer.algorithm(), self.signer.key_id().clone());
        // Packing a list takes milliseconds: not on a thread that serves requests.
        let packing = tokio::task::spawn_blocking(move || {
            let (issued, expires) = (now, now.plus(lifetime));
            let publication = Publication { issuer: &issuer, list, issued, expires, ttl };
            let payload = publication.payload(&StatusArray::of_marks(&marks))?;
            Ok(SigningInput::new(algorithm, TYP_STATUS_LIST, &key, &payload)?)
        });
        let input: Result<SigningInput, PublishError> = packing.await?;
        let input = input?;
        let signature = self.signer.sign(input.as_bytes()).await?;
        Ok(PublishedList::new(&input.with_signature(&signature)))
    }
}

impl Live {
    fn new(row: StatusList) -> Self {
        let decoys = row.decoy_seed.map(|seed| {
            let seed = DecoySeed::new(&seed);
            let indexes = seed.indexes();
            (seed, indexes, 0)
        });
        Self { row, decoys, marks: Marks::default(), changed: true, signed: None }
    }

    /// Marks what was revoked, and the decoys whose time has come.
    fn update(&mut self, list: ListId, view: &SharedView, (started, now): (UnixTime, UnixTime)) {
        self.changed |= self.marks.add_revoked(&view.current(), list);
        let drawn_at = self.row.drawn_at;
        let Some((seed, indexes, marked)) = &mut self.decoys else { return };
        let forgotten = started.minus(REMEMBERED);
        if *marked == 0 && drawn_at < forgotten {
            *marked = seed.marked(forgotten.since(drawn_at));
        }
        let count = seed.marked(now.since(drawn_at));
        let due = indexes.iter().take(count).skip(*marked);
        let added = due.filter(|index| self.marks.add(**index)).count();
        *marked = count.max(*marked);
        self.changed |= added > 0;
    }

    /// Whether it must be signed now. A clock that was set back makes it due as well.
    fn is_due(&self, now: UnixTime, ttl: Ttl) -> bool {
        match &self.signed {
            None => true,
            Some((at, _)) => {
                self.changed || now < *at || now.since(*at) >= u64::from(ttl.seconds())
            }
        }
    }
}

#[cfg(test)]
#[path = "publish_test.rs"]
mod tests;
