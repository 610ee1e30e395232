//! What a driven node is asked, and what it answers.
//!
//! - `revoke LIST FIRST COUNT`: successive tokens of a list of its own region (16 hexadecimal
//!   digits): `decided INDEX`, or `failed REASON`.
//! - `sessions FIRST COUNT`: as many login sessions, to make a ledger large.
//! - `digest`: `INDEX DIGEST` of what is applied.
//! - `revoked REGION LIST INDEX`: whether the ledger says so of a token: `yes` or `no`.
//! - `revoke-region REGION`: asks for the end of a region: `decided INDEX`, or `failed REASON`.
//! - `single COUNT`, `load CALLERS TOKENS SECONDS`: see [`measure`](super::measure).

use std::{sync::Arc, time::Duration};

use exequatur_federation::{
    ledger::{Command, Fixed, Lix, Mode, Outcome, Revoke, RevokeRegion, StatusTarget, Target},
    region::RegionNumber,
    revocation::{LIST_SIZE, ListId},
    time::{Ttl, UnixTime},
};
use exequatur_node::consensus::{Answer, Consensus, PROPOSALS_PER_CALL_MAX, ProposeError};

use super::measure;

/// How long what is revoked would have lived.
const LIFETIME: Ttl = Ttl::from_seconds(3_600);

/// No token is as young as this one, so that only its own index covers it.
const YOUNGEST: Lix = Lix { epoch: u32::MAX, index: u64::MAX };

/// How often is looked whether the ledger has begun.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The answer to a question.
pub(crate) async fn answer(consensus: &Arc<Consensus>, question: &str) -> String {
    let words: Vec<&str> = question.split(' ').collect();
    // Until the ledger has begun it has no time, by which everything here would have expired.
    while consensus.ledger().id().is_none() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let answer = match words.as_slice() {
        ["revoke", list, first, count] => match tokens(list, first, count) {
            Some(targets) => Ok(revoke(consensus, targets).await),
            None => Err(()),
        },
        ["sessions", first, count] => match (first.parse(), count.parse::<u64>()) {
            (Ok(first), Ok(count)) => Ok(sessions(consensus, first, count).await),
            _ => Err(()),
        },
        ["digest"] => {
            let view = consensus.view();
            let index = view.applied.map_or(0, |id| id.index);
            Ok(format!("{index} {}", view.ledger.digest()))
        }
        ["revoked", region, list, index] => match status(region, list, index) {
            Some((owner, token)) => {
                let view = consensus.view();
                let owned = view.ledger.revocations(owner);
                let revoked = owned.is_some_and(|owned| owned.covers(token, YOUNGEST));
                Ok(if revoked { "yes" } else { "no" }.to_owned())
            }
            None => Err(()),
        },
        ["revoke-region", region] => match region.parse().ok().and_then(RegionNumber::new) {
            Some(region) => {
                let command = Command::RevokeRegion(RevokeRegion { region });
                Ok(match consensus.propose(command).await {
                    Ok(Answer::Decided { index, .. }) => format!("decided {index}"),
                    other => format!("failed {other:?}"),
                })
            }
            None => Err(()),
        },
        ["single", count] => match count.parse() {
            Ok(count) => Ok(measure::single(consensus, count).await),
            Err(_) => Err(()),
        },
        ["load", callers, tokens, seconds] => {
            match (callers.parse(), tokens.parse(), seconds.parse()) {
                (Ok(callers), Ok(tokens), Ok(seconds)) => {
                    Ok(measure::load(consensus, (callers, tokens), seconds).await)
                }
                _ => Err(()),
            }
        }
        _ => Err(()),
    };
    answer.unwrap_or_else(|()| format!("failed this is no question: `{question}`"))
}

fn status(region: &str, list: &str, index: &str) -> Option<(RegionNumber, StatusTarget)> {
    let owner = RegionNumber::new(region.parse().ok()?)?;
    Some((owner, StatusTarget { list: ListId::from_hex(list)?, index: index.parse().ok()? }))
}

fn tokens(list: &str, first: &str, count: &str) -> Option<Vec<Target>> {
    let list = ListId::from_hex(list)?;
    let (first, count): (u32, u32) = (first.parse().ok()?, count.parse().ok()?);
    let end = first.checked_add(count).filter(|end| *end <= LIST_SIZE)?;
    Some((first..end).map(|index| Target::Status(StatusTarget { list, index })).collect())
}

async fn sessions(consensus: &Consensus, first: u64, count: u64) -> String {
    let mut said = String::new();
    let mut next = first;
    let end = first.saturating_add(count);
    while next < end {
        let call = end.min(next.saturating_add(PROPOSALS_PER_CALL_MAX as u64 / 8));
        let targets = (next..call).map(|number| {
            // Spread, as digests are.
            let spread = u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
            Target::Session(Fixed(spread.to_be_bytes()))
        });
        said = revoke(consensus, targets.collect()).await;
        if !said.starts_with("decided") {
            break;
        }
        next = call;
    }
    said
}

/// Revokes targets of the node's own region.
async fn revoke(consensus: &Consensus, targets: Vec<Target>) -> String {
    match consensus.revoke_many(revocations(consensus, targets)).await {
        Ok(answers) => {
            let mut last = 0;
            for answer in answers {
                let Answer::Decided { index, outcome: Outcome::Applied | Outcome::Duplicate } =
                    answer
                else {
                    return format!("failed {answer:?}");
                };
                last = last.max(index);
            }
            format!("decided {last}")
        }
        Err(ProposeError::NoQuorum) => "failed no-quorum".to_owned(),
        Err(error) => format!("failed {error}"),
    }
}

/// Revocations that take effect now.
pub(crate) fn revocations(consensus: &Consensus, targets: Vec<Target>) -> Vec<Revoke> {
    let owner = consensus.own().region;
    let expires_at: UnixTime = consensus.ledger().time().plus(LIFETIME);
    let revoke = |target| Revoke { owner, target, mode: Mode::Cutoff, expires_at };
    targets.into_iter().map(revoke).collect()
}
