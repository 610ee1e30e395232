//! What a node does beside answering requests: tasks that run as long as it serves.

use std::sync::Arc;

use exequatur_federation::ledger::Fixed;
use tokio::task::JoinSet;

use super::{Seams, cluster::ClusterPart, duties::Duties, maintenance};
use crate::{
    consensus::Consensus,
    facade::Facade,
    hsm::KeyStore,
    revocation::ViewReport,
    store::Store,
    telemetry::{health::Health, metrics::Metrics},
};

/// What every node does.
pub(super) fn of_region(
    (facade, store): (&Arc<Facade>, &Arc<dyn Store>),
    keys: Arc<dyn KeyStore>,
    (health, metrics): (&Health, &Metrics),
    seams: &Seams,
) -> JoinSet<()> {
    let mut parts = JoinSet::new();
    let issuer_keys = Arc::clone(&facade.keys);
    parts.spawn(async move { match issuer_keys.keep_fresh().await {} });
    let upkeep = maintenance::Maintenance {
        facade: Arc::clone(facade),
        store: Arc::clone(store),
        keys,
        entropy: Arc::clone(&seams.entropy),
        conditions: maintenance::Conditions::register(health),
    };
    parts.spawn(upkeep.run());
    let view_report = ViewReport {
        age: Arc::clone(&facade.view_age),
        bounds: facade.law.freshness,
        condition: health.condition("revocation_view"),
        meters: metrics.view.clone(),
    };
    parts.spawn(view_report.run());
    parts
}

/// What a node of a federation does beside that.
pub(super) fn of_federation(
    parts: &mut JoinSet<()>,
    facade: &Facade,
    consensus: &Arc<Consensus>,
    health: &Health,
) {
    let condition = health.condition("consensus");
    parts.spawn(ClusterPart::report(Arc::clone(consensus), condition));
    let duties = Duties {
        consensus: Arc::clone(consensus),
        clock: Arc::clone(&facade.clock),
        keys: facade.issuer.own_keys(),
        configuration: Fixed(facade.law.digest),
    };
    parts.spawn(duties.run());
}
