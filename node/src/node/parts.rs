//! What a node does beside answering requests: tasks that run as long as it serves.

use std::sync::Arc;

use exequatur_federation::ledger::{Fixed, OwnKey};
use tokio::task::JoinSet;

use super::{Seams, cluster::ClusterPart, duties::Duties, maintenance};
use crate::{
    consensus::Consensus, facade::Facade, hsm::KeyStore, revocation::ViewReport, store::Store,
    telemetry::health::Health,
};

/// What every node does.
pub(super) fn of_region(
    (facade, store): (&Arc<Facade>, &Arc<dyn Store>),
    keys: Arc<dyn KeyStore>,
    health: &Health,
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
    parts.spawn(view_report(facade, health).run());
    parts
}

/// What a node of a federation does beside that.
pub(super) fn of_federation(
    parts: &mut JoinSet<()>,
    facade: &Facade,
    (consensus, list_key): (&Arc<Consensus>, Option<OwnKey>),
    health: &Health,
) {
    let condition = health.condition("consensus");
    parts.spawn(ClusterPart::report(Arc::clone(consensus), condition));
    let duties = Duties {
        consensus: Arc::clone(consensus),
        clock: Arc::clone(&facade.clock),
        keys: facade.issuer.own_keys().into_iter().chain(list_key).collect(),
        configuration: Fixed(facade.law.digest),
    };
    parts.spawn(duties.run());
}

fn view_report(facade: &Facade, health: &Health) -> ViewReport {
    ViewReport {
        age: Arc::clone(&facade.view_age),
        bounds: facade.law.freshness,
        condition: health.condition("revocation_view"),
        meters: facade.metrics.view.clone(),
    }
}
