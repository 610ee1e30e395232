//! What a leader takes into the log: the rules that need to know who is at the other end of the
//! connection and what time it is here, which `apply` does not.

use super::{Proposal, Rejection};
use crate::{membership::NodeId, region::RegionNumber, time::UnixTime};

/// How far a proposal's time may be from the leader's clock: more than clocks drift apart between
/// two looks at a time server, less than a token lives.
pub const CLOCK_SECONDS_APART_MAX: u64 = 60;

/// Who brings a proposal to the leader, as the connection proves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bearer {
    /// The region.
    pub region: RegionNumber,
    /// The node.
    pub node: NodeId,
}

/// Whether a leader takes a proposal from its bearer.
///
/// A command without a signature is believed to its bearer, so it must be the bearer's own. One
/// with a signature speaks for the region that signed, whoever brings it.
///
/// # Errors
/// It is another's, or its time is too far from `now`.
pub fn admit(proposal: &Proposal, bearer: Bearer, now: UnixTime) -> Result<(), Rejection> {
    let header = &proposal.header;
    let own = header.region == bearer.region && header.node == bearer.node;
    if !own && !proposal.command.is_signed() {
        return Err(Rejection::NotTheBearers);
    }
    let at = header.proposed_at;
    let seconds = at.since(now).max(now.since(at));
    if seconds > CLOCK_SECONDS_APART_MAX {
        return Err(Rejection::ClocksApart { seconds });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Command, Fixed, Header, RaiseLevel, Tick};

    const NOW: UnixTime = UnixTime::from_seconds(1_000_000);

    fn region(number: u16) -> RegionNumber {
        RegionNumber::new(number).unwrap()
    }

    fn node(bits: u64) -> NodeId {
        NodeId::new(bits).unwrap()
    }

    fn bearer() -> Bearer {
        Bearer { region: region(1), node: node(11) }
    }

    fn proposal(of: u16, by: u64, seconds: u64, command: Command) -> Proposal {
        let signature = command.is_signed().then_some(Fixed([0; 64]));
        let proposed_at = UnixTime::from_seconds(seconds);
        let header =
            Header { region: region(of), node: node(by), serial: 1, level: 1, proposed_at };
        Proposal { header, command, signature }
    }

    #[test]
    fn what_is_not_signed_must_be_the_bearers_own() {
        let tick = |of, by| proposal(of, by, NOW.seconds(), Command::Tick(Tick {}));
        assert_eq!(admit(&tick(1, 11), bearer(), NOW), Ok(()));
        assert_eq!(admit(&tick(2, 11), bearer(), NOW), Err(Rejection::NotTheBearers));
        assert_eq!(admit(&tick(1, 12), bearer(), NOW), Err(Rejection::NotTheBearers));
    }

    #[test]
    fn what_is_signed_may_be_brought_by_another_region() {
        let raise = Command::RaiseLevel(RaiseLevel { level: 2 });
        assert_eq!(admit(&proposal(2, 22, NOW.seconds(), raise), bearer(), NOW), Ok(()));
    }

    #[test]
    fn a_clock_may_be_a_minute_apart_and_not_a_second_more() {
        let at = |seconds| proposal(1, 11, seconds, Command::Tick(Tick {}));
        let now = NOW.seconds();
        for seconds in [now - 60, now, now + 60] {
            assert_eq!(admit(&at(seconds), bearer(), NOW), Ok(()), "{seconds}");
        }
        for seconds in [now - 61, now + 61] {
            let apart = Err(Rejection::ClocksApart { seconds: 61 });
            assert_eq!(admit(&at(seconds), bearer(), NOW), apart, "{seconds}");
        }
    }
}
