//! Does what the node owes the ledger: keys published, acknowledged, activated; its configuration
//! announced. What is owed is decided by [`Ledger::due`](exequatur_federation::ledger::Ledger::due).

use std::{sync::Arc, time::Duration};

use exequatur_federation::{
    ledger::{Command, Digest, Outcome, Own, OwnKey},
    membership::LEVELS,
};

use crate::{
    clock::Clock,
    consensus::{Answer, Consensus},
};

/// How often the ledger is looked at: a key that was made waits as long before others have it.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How long what was refused is left alone: the ledger must change before it is taken.
const REFUSED_PAUSE: Duration = Duration::from_secs(10);

/// What a node owes.
pub(super) struct Duties {
    pub(super) consensus: Arc<Consensus>,
    pub(super) clock: Arc<dyn Clock>,
    /// The keys that the region signs with.
    pub(super) keys: Vec<OwnKey>,
    /// Digest of the region's configuration.
    pub(super) configuration: Digest,
}

impl Duties {
    /// Works until the node stops.
    pub(super) async fn run(self) {
        let mut announced = false;
        let mut look = tokio::time::interval(LOOK_INTERVAL);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            let own = Own {
                bearer: self.consensus.own(),
                keys: &self.keys,
                configuration: (!announced).then_some(self.configuration),
                levels: LEVELS,
                now: self.clock.now(),
            };
            let ledger = self.consensus.ledger();
            let due = ledger.due(&own);
            let founded = ledger.id().is_some();
            let announces = due.iter().any(|command| matches!(command, Command::AnnounceConfig(_)));
            let (mut failed, mut refused) = (false, false);
            for command in due {
                let kind = command.kind();
                match self.consensus.propose(command).await {
                    Ok(Answer::Decided {
                        outcome: Outcome::Applied | Outcome::Duplicate | Outcome::Pending,
                        index,
                    }) => {
                        tracing::info!(?kind, index, "the federation holds what was due");
                    }
                    Ok(answer) => {
                        (failed, refused) = (true, true);
                        tracing::warn!(?kind, ?answer, "the federation refuses what was due");
                    }
                    Err(error) => {
                        failed = true;
                        tracing::debug!(?kind, %error, "what is due is not proposed yet");
                    }
                }
            }
            announced |= founded && !(announces && failed);
            if refused {
                tokio::time::sleep(REFUSED_PAUSE).await;
            }
        }
    }
}
