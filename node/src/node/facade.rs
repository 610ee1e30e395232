//! Assembles the façade: keys, secrets, revocations, status lists, issuers' keys, caches.

use std::{num::NonZeroU32, path::Path, sync::Arc};

use exequatur_federation::{
    client::Rate,
    config::{NodeSettings, StatusLists},
    jose::{Algorithm, JwkSet},
    law::Law,
    revocation::{ListId, Marks, Revocation, StatusReference, status_list::DecoySeed},
    seal::SealKeys,
    subject::PairwiseKey,
};

use super::{PAIRWISE, STATUS_LIST_KEY, Seams, StartError, resolve, seal::seal_keys, token_keys};
use crate::{
    audit::{AuditLog, CountedRefusals},
    entropy::draw,
    facade::{ClientRateLimiter, Documents, Facade, TokenCache, rate::ClientRate},
    hsm::{KeyStore, Purpose, Signer},
    issuer::Issuer,
    revocation::{
        DrawnList, Feed, IssuedAt, Outbox, PublishedLists, Publisher, PublisherParts, SharedView,
        StatusIndexes, ViewAge,
    },
    store::{Outstanding, StatusList, Store, StoreError, StoredRow},
    telemetry::metrics::Metrics,
    upstream::{FetchLimits, Freshness, HttpFetcher, IssuerKeys, IssuerSource, TrustRoots},
};

/// The parts of a façade that need no database: whatever can be wrong with them stops a start
/// before the database is taken over from a node that may be running.
pub(super) struct Prepared {
    law: Arc<Law>,
    issuer: Issuer,
    pairwise: PairwiseKey,
    seal: SealKeys,
    documents: Documents,
    keys: IssuerKeys,
    metrics: Arc<Metrics>,
    list_signer: Arc<dyn Signer>,
    settings: StatusLists,
    feed: Arc<Feed>,
}

/// What the database and the federation add to it.
pub(super) struct Added {
    pub(super) audit: AuditLog,
    pub(super) revocations: Arc<SharedView>,
    pub(super) outbox: Option<Outbox>,
    pub(super) view_age: Arc<ViewAge>,
    pub(super) list: DrawnList,
    pub(super) issued_at: IssuedAt,
    pub(super) store: Arc<dyn Store>,
}

impl Prepared {
    pub(super) fn new(
        law: Arc<Law>,
        (settings, directory): (&NodeSettings, &Path),
        keys: &dyn KeyStore,
        metrics: &Arc<Metrics>,
        seams: &Seams,
    ) -> Result<Self, StartError> {
        let signers = signers(keys, settings)?;
        let list_signer = signer(keys, STATUS_LIST_KEY)?;
        let list_keys = (list_signer.algorithm(), list_signer.public_key().clone());
        let list_keys = JwkSet::from_keys([list_keys]);
        let every = settings.status_list.publish_every;
        let meters = metrics.status_lists.clone();
        let issuer = Issuer::new(signers, metrics.signer.clone(), Arc::clone(&seams.clock));
        let pairwise = keys
            .secret(PAIRWISE)?
            .map(|secret| PairwiseKey::new(secret.expose()))
            .ok_or(StartError::SecretMissing { name: PAIRWISE })?;
        Ok(Self {
            documents: Documents::new(&law, &issuer, (&list_keys, every))?,
            issuer,
            pairwise,
            seal: seal_keys(keys, &law)?,
            keys: issuer_keys(settings, directory, seams)?,
            metrics: Arc::clone(metrics),
            list_signer,
            settings: settings.status_list,
            feed: Arc::new(Feed::new(&law.issuer, Arc::clone(&seams.entropy), meters)?),
            law,
        })
    }

    /// Adds what the database and the federation hold.
    pub(super) fn complete(
        self,
        Added { audit, revocations, outbox, view_age, list, issued_at, store }: Added,
        seams: &Seams,
    ) -> (Facade, Publisher) {
        let lists = Arc::new(PublishedLists::default());
        let publisher = Publisher::new(PublisherParts {
            issuer: self.law.issuer.clone(),
            settings: self.settings,
            store,
            view: Arc::clone(&revocations),
            signer: self.list_signer,
            feed: Arc::clone(&self.feed),
            published: Arc::clone(&lists),
            meters: self.metrics.status_lists.clone(),
            clock: Arc::clone(&seams.clock),
        });
        let rates =
            self.law.clients.iter().map(|(id, client)| (id.as_str().to_owned(), rate(client.rate)));
        let facade = Facade {
            documents: self.documents,
            issuer: self.issuer,
            audit,
            counted: Arc::new(CountedRefusals::default()),
            keys: Arc::new(self.keys),
            pairwise: self.pairwise,
            seal: self.seal,
            issued_at,
            revocations,
            outbox,
            view_age,
            indexes: Arc::new(StatusIndexes::new(&list, Arc::clone(&seams.entropy))),
            subjects: TokenCache::new(self.metrics.cache("subject_tokens")),
            tokens: TokenCache::new(self.metrics.cache("regional_tokens")),
            foreign: TokenCache::new(self.metrics.cache("foreign_tokens")),
            rates: ClientRateLimiter::new(rates, Arc::clone(&seams.clock)),
            metrics: self.metrics,
            clock: Arc::clone(&seams.clock),
            entropy: Arc::clone(&seams.entropy),
            law: self.law,
            lists,
            feed: self.feed,
        };
        (facade, publisher)
    }
}

fn signers(
    keys: &dyn KeyStore,
    settings: &NodeSettings,
) -> Result<[Arc<dyn Signer>; 2], StartError> {
    let [access_token, response] = token_keys(settings).map(|key| signer(keys, key));
    Ok([access_token?, response?])
}

fn signer(
    keys: &dyn KeyStore,
    (purpose, algorithm): (Purpose, Algorithm),
) -> Result<Arc<dyn Signer>, StartError> {
    let missing = StartError::KeyMissing { purpose, algorithm: algorithm.as_str() };
    keys.find(purpose, algorithm)?.ok_or(missing)
}

fn rate(rate: Rate) -> ClientRate {
    let at_least_one = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
    ClientRate { per_second: at_least_one(rate.per_second), burst: at_least_one(rate.burst) }
}

fn issuer_keys(
    settings: &NodeSettings,
    directory: &Path,
    seams: &Seams,
) -> Result<IssuerKeys, StartError> {
    let system = TrustRoots::system();
    let mut sources = Vec::with_capacity(settings.upstreams.len());
    for (issuer, fetch) in &settings.upstreams {
        let connector = match &fetch.ca_file {
            None => system.connector(FetchLimits::STANDARD)?,
            Some(file) => {
                system.with_ca_file(&resolve(directory, file))?.connector(FetchLimits::STANDARD)?
            }
        };
        let fetcher = Arc::new(HttpFetcher::new(connector, FetchLimits::STANDARD));
        sources.push(IssuerSource::new(issuer, fetch.jwks_uri.as_deref(), fetcher)?);
    }
    Ok(IssuerKeys::new(sources, Freshness::STANDARD, Arc::clone(&seams.clock))?)
}

/// Takes a new status list for ever.
pub(super) async fn draw_list(store: &dyn Store, seams: &Seams) -> Result<DrawnList, StartError> {
    loop {
        let list_id = u64::from_be_bytes(draw(seams.entropy.as_ref())?);
        let seed = draw(seams.entropy.as_ref())?;
        let drawn_at = seams.clock.now();
        let list = StatusList { list_id, drawn_at, used_at: drawn_at, decoy_seed: Some(seed) };
        if store.draw_status_list(list).await? {
            let (id, decoys) = (ListId::new(list_id), DecoySeed::new(&seed));
            return Ok(DrawnList { id, drawn_at, decoys });
        }
    }
}

/// Every token of this region that is still revoked, page by page.
pub(super) async fn revoked(store: &dyn Store, seams: &Seams) -> Result<Marks, StoreError> {
    let mut marks = Marks::default();
    let mut after = None;
    let now = seams.clock.now();
    loop {
        let page = store.revocations(after, now).await?;
        let Some(last) = page.last() else { return Ok(marks) };
        after = Some((last.list_id, last.index));
        for row in &page {
            marks.add_token(revocation(row));
        }
    }
}

/// Every row of the outbox that has not expired, whatever became of it.
pub(super) async fn outbox_rows(
    store: &dyn Store,
    seams: &Seams,
) -> Result<Vec<StoredRow>, StoreError> {
    let mut which = Outstanding { after: None, beyond: Some(0), now: seams.clock.now() };
    let mut rows = Vec::new();
    loop {
        let page = store.outbox(which).await?;
        let Some(last) = page.last() else { return Ok(rows) };
        which.after = Some(last.key);
        rows.extend(page);
    }
}

/// A revocation as the database keeps it.
pub(super) fn revocation(row: &crate::audit::Revocation) -> Revocation {
    let status = StatusReference { list: ListId::new(row.list_id), index: row.index };
    Revocation { status, expires: row.expires_at }
}
