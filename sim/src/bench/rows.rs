//! How each row is measured. A row is the median of its windows, and where a row has a floor its
//! windows alternate with the floor's, so that a change of the machine's pace meets both.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use exequatur_federation::time::UnixTime;
use exequatur_node::clock::{Clock as _, SystemClock};
use serde_json::Value;

use super::{
    disk,
    exchange::{Plan, RunError},
    histogram::Histogram,
    issuer::GlobalIssuer,
    key::KeyError,
    load::{self, Load, Measured, Requests},
    program::Program,
    region::{Parties, Region},
    request::Target,
};

/// Windows of one row. Odd, so that the median is one of them.
const WINDOWS: usize = 3;
/// Caches fill, threads start, the database's log grows to its working size.
const WARM_UP: Duration = Duration::from_millis(500);
/// Requests that the floor is sent in turn: it has no cache that could know one again.
const FLOOR_REQUESTS: u64 = 1_024;
/// Tokens that are asked about in turn.
const INTROSPECTED_TOKENS: u64 = 256;
/// Durable writes of a run.
const DURABLE_WRITES: u32 = 201;
/// A window that only finds out how many requests the others may need.
const PROBE: Duration = Duration::from_millis(500);

const TOKEN_ANSWER: &str = "\"access_token\":\"";
const ACTIVE_ANSWER: &str = "\"active\":true";

/// A server that is measured.
pub(crate) struct Server<'a> {
    /// Where requests go.
    pub(crate) address: SocketAddr,
    /// What they must name.
    pub(crate) target: Target<'a>,
    /// The process.
    pub(crate) program: &'a Program,
}

/// How the client of a row authenticates.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Method {
    /// `private_key_jwt`
    Assertion,
    /// `client_secret_basic`
    Secret,
}

/// What one window showed, and what it cost the server.
#[derive(Debug)]
struct Window {
    measured: Measured,
    /// Microseconds on the core for each answer.
    core_us: u64,
}

/// The windows of one row.
#[derive(Debug, Default)]
pub(crate) struct Series(Vec<Window>);

impl Series {
    /// The median of the windows' rates.
    pub(crate) fn per_second(&self) -> u64 {
        median(self.0.iter().map(|window| window.measured.per_second))
    }

    /// The median of the windows' percentiles, in microseconds.
    pub(crate) fn percentile(&self, percent: u64) -> u32 {
        median(self.0.iter().map(|window| window.measured.latencies.percentile(percent)))
    }

    /// The median of the windows' core time for one answer, in microseconds.
    pub(crate) fn core_us(&self) -> u64 {
        median(self.0.iter().map(|window| window.core_us))
    }

    fn push(&mut self, row: &str, window: Window) {
        let number = self.0.len() + 1;
        let Measured { per_second, latencies, .. } = &window.measured;
        let (p50, p99) = (latencies.percentile(50), latencies.percentile(99));
        let core = window.core_us;
        eprintln!(
            "{row} {number}/{WINDOWS}: {per_second}/s, p50 {p50} µs, p99 {p99} µs, core {core} µs"
        );
        self.0.push(window);
    }
}

/// Who sends requests, and how many.
pub(crate) struct Generator<'a> {
    plan: &'a Plan,
    parties: Parties<'a>,
    issuer: &'a GlobalIssuer,
    clock: SystemClock,
    /// Exchanges a second that no row exceeds by much: the floor's.
    ceiling: u64,
}

impl<'a> Generator<'a> {
    /// Finds out how fast the floor is, roughly.
    pub(crate) async fn new(
        plan: &'a Plan,
        parties: Parties<'a>,
        issuer: &'a GlobalIssuer,
        floor: &Server<'_>,
    ) -> Result<Self, RunError> {
        let mut generator = Self { plan, parties, issuer, clock: SystemClock::start(), ceiling: 0 };
        let requests = generator.fresh(Method::Secret, &floor.target, FLOOR_REQUESTS)?;
        let mut load = generator.load(floor, Requests::Cycle(requests), TOKEN_ANSWER);
        load.window = PROBE;
        generator.ceiling = window("floor", floor, &load).await?.measured.per_second;
        Ok(generator)
    }

    /// Windows of the floor and of the node in turn, with new subject tokens for the node.
    pub(crate) async fn beside_floor(
        &self,
        row: &'static str,
        method: Method,
        floor: &Server<'_>,
        node: &Server<'_>,
    ) -> Result<(Series, Series), RunError> {
        let (mut floors, mut nodes) = (Series::default(), Series::default());
        for _ in 0..WINDOWS {
            let floor_window = self.floor_window(method, floor).await?;
            let count = self.needed(floor_window.measured.per_second);
            floors.push("floor", floor_window);
            let requests = Requests::Once(self.fresh(method, &node.target, count)?);
            nodes.push(row, window(row, node, &self.load(node, requests, TOKEN_ANSWER)).await?);
        }
        Ok((floors, nodes))
    }

    /// Windows of the floor alone.
    pub(crate) async fn floor_alone(&self, floor: &Server<'_>) -> Result<Series, RunError> {
        let mut series = Series::default();
        for _ in 0..WINDOWS {
            series.push("floor", self.floor_window(Method::Secret, floor).await?);
        }
        Ok(series)
    }

    /// Windows with new subject tokens.
    pub(crate) async fn alone(
        &self,
        row: &'static str,
        node: &Server<'_>,
    ) -> Result<Series, RunError> {
        let mut series = Series::default();
        for _ in 0..WINDOWS {
            let count = self.needed(self.ceiling);
            let requests = Requests::Once(self.fresh(Method::Secret, &node.target, count)?);
            series.push(row, window(row, node, &self.load(node, requests, TOKEN_ANSWER)).await?);
        }
        Ok(series)
    }

    /// Windows with one subject token, again and again.
    pub(crate) async fn cached(&self, node: &Server<'_>) -> Result<Series, RunError> {
        let one = Requests::Cycle(self.fresh(Method::Secret, &node.target, 1)?);
        let load = self.load(node, one, TOKEN_ANSWER);
        repeated("cached_subject", node, &load).await
    }

    /// Windows of introspection, of tokens that were issued before.
    pub(crate) async fn introspection(&self, node: &Server<'_>) -> Result<Series, RunError> {
        const ROW: &str = "introspection";
        let exchanges = self.fresh(Method::Secret, &node.target, INTROSPECTED_TOKENS)?;
        let mut requests = Vec::new();
        for exchange in exchanges.iter() {
            let answer = load::ask(node.address, exchange).await;
            let answer = answer.map_err(|cause| RunError::window(ROW, cause, node.program))?;
            let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
            let token = answer.get("access_token").and_then(Value::as_str).unwrap_or_default();
            let asking = self.parties.resource_server;
            requests.push(asking.introspect(node.target.host, token));
        }
        let load = self.load(node, Requests::Cycle(requests.into()), ACTIVE_ANSWER);
        repeated(ROW, node, &load).await
    }

    /// Windows of one connection, in turn with durable writes in the same directory.
    pub(crate) async fn single(
        &self,
        node: &Server<'_>,
        directory: &Path,
    ) -> Result<(Series, Histogram), RunError> {
        const ROW: &str = "single";
        let (mut series, mut writes) = (Series::default(), Histogram::new());
        let parts = u32::try_from(WINDOWS).unwrap_or(1);
        for _ in 0..WINDOWS {
            let part = disk::durable_writes(directory, DURABLE_WRITES / parts);
            writes.merge(&part.map_err(RunError::Disk)?);
            // One connection cannot do more than half of what many do.
            let count = self.needed(self.ceiling / 2);
            let requests = Requests::Once(self.fresh(Method::Secret, &node.target, count)?);
            let mut load = self.load(node, requests, TOKEN_ANSWER);
            load.connections = 1;
            series.push(ROW, window(ROW, node, &load).await?);
        }
        Ok((series, writes))
    }

    async fn floor_window(&self, method: Method, floor: &Server<'_>) -> Result<Window, RunError> {
        let requests = Requests::Cycle(self.fresh(method, &floor.target, FLOOR_REQUESTS)?);
        window("floor", floor, &self.load(floor, requests, TOKEN_ANSWER)).await
    }

    fn load(&self, server: &Server<'_>, requests: Requests, expected: &'static str) -> Load {
        Load {
            address: server.address,
            connections: self.plan.connections,
            requests,
            expected,
            warm_up: WARM_UP,
            window: Duration::from_secs(self.plan.seconds.into()),
        }
    }

    /// Requests that one window needs at a rate, and a fifth more.
    fn needed(&self, per_second: u64) -> u64 {
        let milliseconds = u64::from(self.plan.seconds) * 1_000 + 500;
        per_second * milliseconds / 1_000 * 6 / 5 + 1
    }

    /// Exchange requests, each with a subject token that was never sent.
    fn fresh(
        &self,
        method: Method,
        target: &Target<'_>,
        count: u64,
    ) -> Result<Arc<[Vec<u8>]>, KeyError> {
        let now = self.clock.now();
        (0..count).map(|_| self.exchange(method, target, now)).collect()
    }

    fn exchange(
        &self,
        method: Method,
        target: &Target<'_>,
        now: UnixTime,
    ) -> Result<Vec<u8>, KeyError> {
        let token = self.issuer.mint(now)?;
        match method {
            Method::Assertion => self.parties.by_key.exchange(target, &token, now),
            Method::Secret => Ok(self.parties.by_secret.exchange(target, &token)),
        }
    }
}

impl<'a> Server<'a> {
    /// A running region.
    pub(crate) fn node(region: &'a Region, program: &'a Program) -> Self {
        Self { address: region.public(), target: region.target(), program }
    }
}

async fn repeated(row: &'static str, node: &Server<'_>, load: &Load) -> Result<Series, RunError> {
    let mut series = Series::default();
    for _ in 0..WINDOWS {
        series.push(row, window(row, node, load).await?);
    }
    Ok(series)
}

async fn window(row: &'static str, server: &Server<'_>, load: &Load) -> Result<Window, RunError> {
    let before = server.program.core_time()?;
    let measured = load::run(load).await;
    let measured = measured.map_err(|cause| RunError::window(row, cause, server.program))?;
    let spent = server.program.core_time()?.saturating_sub(before).as_micros();
    let core_us = u64::try_from(spent).unwrap_or(u64::MAX) / measured.answered.max(1);
    Ok(Window { measured, core_us })
}

fn median<T: Ord + Default>(values: impl Iterator<Item = T>) -> T {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    let middle = values.len() / 2;
    values.into_iter().nth(middle).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        assert_eq!(median([9, 1, 5].into_iter()), 5);
        assert_eq!(median([7].into_iter()), 7);
        assert_eq!(median(std::iter::empty::<u64>()), 0);
    }
}
