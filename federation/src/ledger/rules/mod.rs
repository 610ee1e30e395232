//! What commands may do: for each one function that judges and one that takes the effect, one file
//! a table.
//!
//! [`judge`] is asked before a proposal is sent and again when it is applied, so that both go by the
//! same rules. It sees the ledger, the proposal, and nothing else. What it permits is an
//! [`Effect`], and an effect cannot fail.

mod admission;
mod checkpoints;
mod config;
mod effect;
mod genesis;
mod keys;
mod members;
mod purge;
mod regions;
mod revocations;
mod together;

pub use checkpoints::{LOGS_PER_REGION_MAX, checkpoint_body, cosignature_message};
pub use config::REGIONS_GONE_MAX;
pub use keys::{ACTIVATION_WAIT, KEY_LIFETIME_MAX, KEYS_PER_REGION_MAX};
pub use members::TOMBSTONES_PER_REGION_MAX;
pub use purge::PURGE_MARGIN;
pub use revocations::{
    CLIENTS_PER_REGION_MAX, FOREIGN_REVOCATIONS_PER_HOUR_MAX, INDEXES_PER_REGION_MAX,
    REVOCATION_LIFETIME_MAX, RULES_PER_REGION_MAX,
};
pub use together::{PENDING_PER_REGION_MAX, PENDING_WAIT};

pub(super) use admission::{Admission, note};
pub(super) use keys::may_sign;
pub(super) use purge::purge;

use self::effect::Effect;
use super::{
    Command, Digest, Header, Objection, Outcome, Proposal,
    state::{FederationRow, Lix, PendingAction, RegionRow, State},
};
use crate::time::UnixTime;

/// A proposal that was admitted, with what its judge may look at.
pub(super) struct Case<'a> {
    pub state: &'a State,
    pub federation: &'a FederationRow,
    /// The proposing region.
    pub region: &'a RegionRow,
    pub header: &'a Header,
    /// Replicated time, the proposal's own counted.
    pub now: UnixTime,
    /// The entry.
    pub lix: Lix,
}

/// What a judge says when it does not object.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    pub outcome: Outcome,
    pub effect: Effect,
    /// A two-region action that this settles.
    pub settles: Option<PendingAction>,
}

pub(super) type Judgement = Result<Verdict, Objection>;

impl Verdict {
    /// The command takes effect.
    const fn take(effect: Effect) -> Self {
        Self { outcome: Outcome::Applied, effect, settles: None }
    }

    /// What the command says is so already.
    const fn duplicate() -> Self {
        Self { outcome: Outcome::Duplicate, effect: Effect::Nothing, settles: None }
    }
}

/// Judges the first entry.
pub(super) fn judge_genesis(pinned: &Digest, proposal: &Proposal) -> Judgement {
    genesis::judge(pinned, proposal)
}

/// Judges a command of an admitted proposal.
pub(super) fn judge(case: &Case<'_>, command: &Command) -> Judgement {
    match command {
        Command::Genesis(_) => Err(Objection::Genesis),
        Command::Revoke(c) => revocations::judge(case, c),
        Command::Tick(_) => Ok(Verdict::take(Effect::Nothing)),
        Command::PublishKey(c) => keys::publish(case, c),
        Command::AcknowledgeKey(c) => keys::acknowledge(case, c),
        Command::ActivateKey(c) => keys::activate(case, c),
        Command::RetireKey(c) => keys::retire(case, c),
        Command::RevokeKey(c) => keys::revoke(case, c),
        Command::AnchorCheckpoint(c) => checkpoints::anchor(case, c),
        Command::Cosign(c) => checkpoints::cosign(case, c),
        Command::AnnounceConfig(c) => config::announce(case, c),
        Command::ActivateConfig(c) => config::activate(case, c),
        Command::SetRegionState(c) => regions::set_state(case, c),
        Command::RevokeRegion(c) => regions::revoke(case, c),
        Command::Join(c) => members::join(case, c),
        Command::Leave(c) => members::leave(case, c),
        Command::RaiseLevel(c) => members::raise_level(case, c),
    }
}

/// Takes the effect of a verdict.
pub(super) fn take(state: &mut State, verdict: Verdict) {
    effect::take(state, verdict.effect);
    if let Some(action) = verdict.settles {
        std::sync::Arc::make_mut(&mut state.pending).remove(&action);
    }
}
