//! Where regions have not done alike: what an operator must see before anything is built on it.

use super::{
    Ledger,
    state::{KeyState, Staged},
};
use crate::region::RegionNumber;

/// One difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drift {
    /// An active region has not said which configuration it goes by.
    NotAnnounced(RegionNumber),
    /// A region has staged another law than the one in force, and it is not in force yet.
    Staged {
        /// Which region.
        region: RegionNumber,
        /// The staged version.
        version: u64,
    },
    /// An active region has not staged a law that another has.
    NotStaged {
        /// Which region.
        region: RegionNumber,
        /// The version that it lacks.
        version: u64,
    },
    /// Keys of a region are published and do not sign yet, because nodes have not acknowledged them.
    KeysWait {
        /// Which region.
        region: RegionNumber,
        /// How many keys.
        keys: usize,
    },
}

impl Ledger {
    /// Every difference, by region. Nothing before the genesis.
    #[must_use]
    pub fn drift(&self) -> Vec<Drift> {
        let staged = |region: RegionNumber| {
            self.config(region).and_then(|row| row.staged.as_ref()).map(|Staged { law, .. }| *law)
        };
        let active: Vec<RegionNumber> = self.state.active().collect();
        let newest = active.iter().filter_map(|region| staged(*region)).max_by_key(|l| l.version);
        let mut found = Vec::new();
        for region in active {
            if self.config(region).and_then(|row| row.own).is_none() {
                found.push(Drift::NotAnnounced(region));
            }
            match (staged(region), newest) {
                (Some(law), _) => found.push(Drift::Staged { region, version: law.version }),
                (None, Some(law)) => {
                    found.push(Drift::NotStaged { region, version: law.version });
                }
                (None, None) => {}
            }
            let own = self.state.keys.iter().filter(|((of, _), _)| *of == region);
            let keys = own.filter(|(_, row)| row.state == KeyState::Published).count();
            if keys > 0 {
                found.push(Drift::KeysWait { region, keys });
            }
        }
        found
    }
}
