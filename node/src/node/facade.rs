//! Assembles the façade: keys, secrets, revocations, status lists, issuers' keys, caches.

use std::{num::NonZeroU32, path::Path, sync::Arc};

use exequatur_federation::{
    client::Rate,
    config::NodeSettings,
    law::Law,
    revocation::{ListId, Revocation, RevocationView, StatusReference, status_list::DecoySeed},
    subject::PairwiseKey,
};

use super::{PAIRWISE, Seams, StartError, resolve, token_keys};
use crate::{
    audit::{AuditLog, CountedRefusals},
    entropy::draw,
    facade::{ClientRateLimiter, Documents, Facade, TokenCache, rate::ClientRate},
    hsm::{KeyStore, Signer},
    issuer::Issuer,
    revocation::{DrawnList, SharedView, StatusIndexes},
    store::{StatusList, Store, StoreError},
    telemetry::metrics::Metrics,
    upstream::{FetchLimits, Freshness, HttpFetcher, IssuerKeys, IssuerSource, TrustRoots},
};

/// The parts of a façade that need no database: whatever can be wrong with them stops a start
/// before the database is taken over from a node that may be running.
pub(super) struct Prepared {
    law: Arc<Law>,
    issuer: Issuer,
    pairwise: PairwiseKey,
    documents: Documents,
    keys: IssuerKeys,
    metrics: Arc<Metrics>,
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
        let issuer = Issuer::new(signers, metrics.signer.clone(), Arc::clone(&seams.clock));
        let pairwise = keys
            .secret(PAIRWISE)?
            .map(|secret| PairwiseKey::new(secret.expose()))
            .ok_or(StartError::SecretMissing { name: PAIRWISE })?;
        Ok(Self {
            documents: Documents::new(&law, &issuer)?,
            issuer,
            pairwise,
            keys: issuer_keys(settings, directory, seams)?,
            metrics: Arc::clone(metrics),
            law,
        })
    }

    /// Adds what the database holds.
    pub(super) fn complete(
        self,
        (audit, revocations): (AuditLog, Arc<SharedView>),
        list: &DrawnList,
        seams: &Seams,
    ) -> Facade {
        let rates =
            self.law.clients.iter().map(|(id, client)| (id.as_str().to_owned(), rate(client.rate)));
        Facade {
            documents: self.documents,
            issuer: self.issuer,
            audit,
            counted: Arc::new(CountedRefusals::default()),
            keys: Arc::new(self.keys),
            pairwise: self.pairwise,
            revocations,
            indexes: Arc::new(StatusIndexes::new(list, Arc::clone(&seams.entropy))),
            subjects: TokenCache::new(self.metrics.cache("subject_tokens")),
            tokens: TokenCache::new(self.metrics.cache("regional_tokens")),
            rates: ClientRateLimiter::new(rates, Arc::clone(&seams.clock)),
            metrics: self.metrics,
            clock: Arc::clone(&seams.clock),
            entropy: Arc::clone(&seams.entropy),
            law: self.law,
        }
    }
}

fn signers(
    keys: &dyn KeyStore,
    settings: &NodeSettings,
) -> Result<[Arc<dyn Signer>; 2], StartError> {
    let [access_token, response] = token_keys(settings).map(|(purpose, algorithm)| {
        let missing = StartError::KeyMissing { purpose, algorithm: algorithm.as_str() };
        keys.find(purpose, algorithm)?.ok_or(missing)
    });
    Ok([access_token?, response?])
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

/// Everything that is still revoked, page by page.
pub(super) async fn revoked(
    store: &dyn Store,
    seams: &Seams,
) -> Result<RevocationView, StoreError> {
    let mut view = RevocationView::default();
    let mut after = None;
    let now = seams.clock.now();
    loop {
        let page = store.revocations(after, now).await?;
        let Some(last) = page.last() else { return Ok(view) };
        after = Some((last.list_id, last.index));
        for row in &page {
            view.add(revocation(row));
        }
    }
}

/// A revocation as the database keeps it.
pub(super) fn revocation(row: &crate::audit::Revocation) -> Revocation {
    let status = StatusReference { list: ListId::new(row.list_id), index: row.index };
    Revocation { status, expires: row.expires_at }
}
