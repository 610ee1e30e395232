//! How old the view of revocations may be for an answer to be given, and what happens past that.
//!
//! A node asks the leader again and again how far the ledger goes. When its published view has got
//! there, the view is as of the moment at which the question was *sent*: whatever was acknowledged
//! before is in it. What crosses a border is answered only while that moment is younger than
//! `max_staleness`. The region's own people may be served for longer (`on_stale`), with short tokens
//! that say so, until `local_max` after that moment. A node that has had no answer since its start
//! serves nobody: it cannot know how long ago it last had one, and would otherwise begin anew with
//! every restart.
//!
//! Whether a region is alone or has others is a fact here; a region alone knows its own revocations.

use std::time::Duration;

use crate::{
    refusal::{self, RefusalId},
    time::{Ttl, UnixTime},
};

/// The wall clock and the clock of the machine's uptime may drift apart by this much between two
/// probes; more means that one of them was set, and then neither tells how old the view is.
const CLOCKS_APART_MAX: Duration = Duration::from_secs(1);

/// One reading of two clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Since the machine was started, the time that it slept included (CLOCK_BOOTTIME). It never
    /// steps.
    pub boottime: Duration,
    /// Since 1970, by the wall clock, which may be set.
    pub wall: Duration,
}

/// What a region's configuration says about the age of its view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Age at which the view is stale.
    pub max_staleness: Ttl,
    /// What happens to this region's own people then.
    pub on_stale: OnStale,
}

/// What happens to a region's own people while the view is stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnStale {
    /// They are served for a while.
    Local {
        /// Longest lifetime of tokens issued meanwhile.
        stale_ttl: Ttl,
        /// Age of the view at which that ends.
        local_max: Ttl,
    },
    /// They are refused.
    Refuse,
}

/// Whom an answer concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// This region's own people and services, and nobody else.
    Resident,
    /// What comes from another region or goes to one.
    Border,
}

/// Since when the view is known to have been complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsOf {
    /// There are no other regions: what is revoked is what was revoked here.
    Alone,
    /// No probe has succeeded since the node started.
    Never,
    /// When the last probe that succeeded was sent.
    Probe(Moment),
}

/// The view's age as facts of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewFacts {
    /// Now.
    pub now: Moment,
    /// As of when the view is.
    pub as_of: AsOf,
}

/// What a view is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// For everything.
    Fresh,
    /// For the region's own people, with short tokens.
    Local {
        /// Longest lifetime of a token.
        ttl_max: Ttl,
        /// How long that will go on.
        left: Duration,
    },
    /// For nothing.
    Stale,
}

/// Judges a view.
#[must_use]
pub fn judge(bounds: &Bounds, traffic: Traffic, facts: &ViewFacts) -> Freshness {
    let probed = match facts.as_of {
        AsOf::Alone => return Freshness::Fresh,
        AsOf::Never => return Freshness::Stale,
        AsOf::Probe(at) => at,
    };
    // A clock that never steps is behind itself only if it is another machine's.
    let Some(age) = facts.now.boottime.checked_sub(probed.boottime) else {
        return Freshness::Stale;
    };
    if age < length(bounds.max_staleness) && probed.is_in_step_with(&facts.now) {
        return Freshness::Fresh;
    }
    match (traffic, bounds.on_stale) {
        (Traffic::Border, _) | (Traffic::Resident, OnStale::Refuse) => Freshness::Stale,
        (Traffic::Resident, OnStale::Local { stale_ttl, local_max }) => {
            let left = length(local_max).saturating_sub(age);
            if left.is_zero() {
                return Freshness::Stale;
            }
            Freshness::Local { ttl_max: stale_ttl, left }
        }
    }
}

impl Moment {
    /// Whether both clocks have gone on alike since this moment.
    fn is_in_step_with(&self, later: &Self) -> bool {
        let passed = later.boottime.saturating_sub(self.boottime);
        let expected = self.wall.saturating_add(passed);
        expected.abs_diff(later.wall) <= CLOCKS_APART_MAX
    }

    /// The wall clock in whole seconds.
    #[must_use]
    pub const fn unix_time(&self) -> UnixTime {
        UnixTime::from_seconds(self.wall.as_secs())
    }
}

impl ViewFacts {
    /// Facts of a region without others, or of a rehearsal.
    #[must_use]
    pub const fn alone(now: Moment) -> Self {
        Self { now, as_of: AsOf::Alone }
    }

    /// How old the view is. Nothing if that is not known.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        match self.as_of {
            AsOf::Alone => Some(Duration::ZERO),
            AsOf::Never => None,
            AsOf::Probe(at) => self.now.boottime.checked_sub(at.boottime),
        }
    }

    /// The moment that the view is as of, by the wall clock of that moment. Nothing if there is
    /// none.
    #[must_use]
    pub const fn as_of(&self) -> Option<UnixTime> {
        match self.as_of {
            AsOf::Alone => Some(self.now.unix_time()),
            AsOf::Never => None,
            AsOf::Probe(at) => Some(at.unix_time()),
        }
    }
}

impl Freshness {
    /// Whether to go on.
    ///
    /// # Errors
    /// The view is good for nothing.
    pub fn permit(self) -> Result<(), RefusalId> {
        match self {
            Self::Fresh | Self::Local { .. } => Ok(()),
            Self::Stale => Err(refusal::VIEW_STALE),
        }
    }

    /// Whether a token that was laid out under this view may leave now that the view is `now`: a
    /// token of a fresh view lives too long for a stale one.
    ///
    /// # Errors
    /// It may not.
    pub fn permit_token(self, now: Self) -> Result<(), RefusalId> {
        match (self, now) {
            (Self::Fresh, Self::Fresh) | (Self::Local { .. }, Self::Fresh | Self::Local { .. }) => {
                Ok(())
            }
            (Self::Fresh, Self::Local { .. }) | (Self::Stale, _) | (_, Self::Stale) => {
                Err(refusal::VIEW_STALE)
            }
        }
    }

    /// Longest lifetime of a token, if the view limits it.
    #[must_use]
    pub const fn ttl_max(self) -> Option<Ttl> {
        match self {
            Self::Local { ttl_max, .. } => Some(ttl_max),
            Self::Fresh | Self::Stale => None,
        }
    }

    /// Whether the view is not fresh.
    #[must_use]
    pub const fn is_stale(self) -> bool {
        !matches!(self, Self::Fresh)
    }
}

impl OnStale {
    /// The setting as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local { .. } => "local",
            Self::Refuse => "refuse",
        }
    }
}

/// Whole minutes, a begun one counted, for people.
#[must_use]
pub const fn minutes_left(left: Duration) -> u64 {
    left.as_secs().saturating_add((left.subsec_nanos() > 0) as u64).div_ceil(60)
}

fn length(ttl: Ttl) -> Duration {
    Duration::from_secs(u64::from(ttl.seconds()))
}

#[cfg(test)]
#[path = "freshness_test.rs"]
mod tests;
