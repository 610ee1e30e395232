//! Assembles the façade: keys, secrets, revocations, status lists, issuers' keys, caches.

use std::{num::NonZeroU32, path::Path, sync::Arc};

use exequatur_federation::{
    client::Rate,
    config::NodeSettings,
    law::Law,
    revocation::{ListId, Revocation, RevocationView, StatusReference},
    subject::PairwiseKey,
};

use super::{PAIRWISE, Seams, StartError, key_plan, resolve};
use crate::{
    audit::{AuditLog, CountedRefusals},
    entropy::draw,
    facade::{ClientRateLimiter, Documents, Facade, TokenCache, rate::ClientRate},
    hsm::{KeyStore, Signer},
    issuer::Issuer,
    revocation::{SharedView, StatusIndexes},
    store::{Store, StoreError},
    telemetry::metrics::Metrics,
    upstream::{FetchLimits, Freshness, HttpFetcher, IssuerKeys, IssuerSource, TrustRoots},
};

/// What a façade is made of.
pub(super) struct Parts<'a> {
    pub(super) law: Arc<Law>,
    pub(super) settings: &'a NodeSettings,
    pub(super) directory: &'a Path,
    pub(super) keys: &'a Arc<dyn KeyStore>,
    pub(super) store: &'a Arc<dyn Store>,
    pub(super) audit: AuditLog,
    pub(super) metrics: &'a Arc<Metrics>,
    pub(super) seams: &'a Seams,
}

impl Parts<'_> {
    pub(super) async fn assemble(self) -> Result<Facade, StartError> {
        let pairwise = self
            .keys
            .secret(PAIRWISE)?
            .map(|secret| PairwiseKey::new(secret.expose()))
            .ok_or(StartError::SecretMissing { name: PAIRWISE })?;
        let seams = self.seams;
        let signers = signers(self.keys.as_ref(), self.settings)?;
        let issuer = Issuer::new(signers, self.metrics.signer.clone(), Arc::clone(&seams.clock));
        let list = draw_list(self.store.as_ref(), seams).await?;
        let rates =
            self.law.clients.iter().map(|(id, client)| (id.as_str().to_owned(), rate(client.rate)));
        Ok(Facade {
            documents: Documents::new(&self.law, &issuer)?,
            issuer,
            audit: self.audit,
            counted: Arc::new(CountedRefusals::default()),
            keys: Arc::new(issuer_keys(self.settings, self.directory, seams)?),
            pairwise,
            revocations: Arc::new(SharedView::new(revoked(self.store.as_ref(), seams).await?)),
            indexes: Arc::new(StatusIndexes::new(list, Arc::clone(&seams.entropy))),
            subjects: TokenCache::new(self.metrics.cache("subject_tokens")),
            tokens: TokenCache::new(self.metrics.cache("regional_tokens")),
            rates: ClientRateLimiter::new(rates, Arc::clone(&seams.clock)),
            metrics: Arc::clone(self.metrics),
            clock: Arc::clone(&seams.clock),
            entropy: Arc::clone(&seams.entropy),
            law: self.law,
        })
    }
}

fn signers(
    keys: &dyn KeyStore,
    settings: &NodeSettings,
) -> Result<[Arc<dyn Signer>; 2], StartError> {
    let [access_token, response] = key_plan(settings).map(|(purpose, algorithm)| {
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
pub(super) async fn draw_list(store: &dyn Store, seams: &Seams) -> Result<ListId, StartError> {
    loop {
        let bits = u64::from_be_bytes(draw(seams.entropy.as_ref())?);
        if store.draw_status_list(bits, seams.clock.now()).await? {
            return Ok(ListId::new(bits));
        }
    }
}

/// Everything that is still revoked, page by page.
async fn revoked(store: &dyn Store, seams: &Seams) -> Result<RevocationView, StoreError> {
    let mut view = RevocationView::default();
    let mut after = None;
    let now = seams.clock.now();
    loop {
        let page = store.revocations(after, now).await?;
        let Some(last) = page.last() else { return Ok(view) };
        after = Some((last.list_id, last.index));
        for row in page {
            let status = StatusReference { list: ListId::new(row.list_id), index: row.index };
            view.add(Revocation { status, expires: row.expires_at });
        }
    }
}
