//! What the three regions do together: agree on a leader, hold the same log, lose the leader and go
//! on. Asked of real processes through the operator's commands.

use std::time::Duration;

use serde_json::Value;

use super::{
    founding::Seat,
    http::HttpClient,
    program::{ProgramError, Report},
    region::{Region, RegionError},
};
use crate::{clock::Clock, node::Seams};

/// Elections take under two seconds; a loaded machine may need far longer.
const AGREED_WITHIN: Duration = Duration::from_secs(30);
/// Between two looks: short against an election.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Entries that may follow a revocation: keys that nodes acknowledge.
const LOOK_BACK: usize = 64;

/// The regions' processes, in the order of their seats; `None` while one is gone.
pub(crate) struct Regions<'s> {
    seats: &'s [Seat],
    running: Vec<Option<Region>>,
}

/// What the regions agree on.
#[derive(Clone, Debug)]
pub(crate) struct Agreed {
    /// Name of the leader's region.
    pub(crate) leader: String,
    /// The leader's term.
    pub(crate) term: u64,
    /// How many nodes vote.
    pub(crate) voters: u64,
    /// The last entry that the leader has applied.
    pub(crate) applied_index: u64,
}

/// A leader that was killed.
#[derive(Clone, Debug)]
pub(crate) struct Failover {
    /// Its region.
    pub(crate) killed: String,
    /// The region that leads after it.
    pub(crate) new_leader: String,
    /// From the kill until every other region knew the new leader.
    pub(crate) took: Duration,
}

/// An entry of the log.
#[derive(Clone, Debug)]
pub(crate) struct LogEntry {
    /// Where it stands.
    pub(crate) index: u64,
    /// The commands in it, as `exequatur cluster entry` decodes them.
    pub(crate) commands: Vec<String>,
    /// All of its bytes, in hexadecimal digits.
    pub(crate) frame: String,
}

/// Why the regions are not as the story tells.
#[derive(Debug, thiserror::Error)]
pub enum FederationError {
    /// No leader.
    #[error("the regions have agreed on no leader within {} s: {said}", AGREED_WITHIN.as_secs())]
    NoLeader {
        /// What was said last.
        said: String,
    },
    /// No revocation reached the last region.
    #[error("no revocation has reached the last region within {} s", AGREED_WITHIN.as_secs())]
    NoRevocation,
    /// A command failed.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// A region's process.
    #[error("{region}: {source}")]
    Region {
        /// Which.
        region: &'static str,
        /// What is wrong with it.
        source: RegionError,
    },
}

impl<'s> Regions<'s> {
    /// Starts every region.
    ///
    /// # Errors
    /// [`FederationError::Region`].
    pub(crate) fn start(seats: &'s [Seat]) -> Result<Self, FederationError> {
        let running = seats.iter().map(|seat| start(seat).map(Some)).collect::<Result<_, _>>()?;
        Ok(Self { seats, running })
    }

    /// Waits until every region is ready and all know one leader.
    ///
    /// # Errors
    /// See [`FederationError`].
    pub(crate) async fn wait_until_agreed(
        &mut self,
        http: &HttpClient,
        seams: &Seams,
    ) -> Result<Agreed, FederationError> {
        for (seat, region) in self.seats.iter().zip(&mut self.running) {
            if let Some(region) = region {
                let ready = region.wait_until_ready(http, seat.layout.operations).await;
                ready.map_err(|source| FederationError::Region { region: seat.name(), source })?;
            }
        }
        self.agreed(None, seams.clock.as_ref()).await
    }

    /// Waits until every region that runs knows one leader, another than `not` if one is named.
    async fn agreed(
        &self,
        not: Option<&str>,
        clock: &dyn Clock,
    ) -> Result<Agreed, FederationError> {
        let started = clock.monotonic();
        let mut said = "no answer".to_owned();
        while clock.monotonic().saturating_sub(started) < AGREED_WITHIN {
            match self.look().await {
                Ok(Some(agreed)) if Some(agreed.leader.as_str()) != not => return Ok(agreed),
                Ok(_) => "they differ".clone_into(&mut said),
                Err(error) => said = error.to_string(),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(FederationError::NoLeader { said })
    }

    /// What the running regions say, if it is the same.
    async fn look(&self) -> Result<Option<Agreed>, ProgramError> {
        let mut found: Option<Agreed> = None;
        for (seat, _) in self.seats.iter().zip(&self.running).filter(|(_, region)| region.is_some())
        {
            let Some(agreed) = agreed_by(&seat.status().await?)? else { return Ok(None) };
            let same =
                found.as_ref().is_none_or(|f| f.leader == agreed.leader && f.term == agreed.term);
            if !same {
                return Ok(None);
            }
            found = Some(agreed);
        }
        Ok(found)
    }

    /// The last entry of the log with a revocation, as the last region holds it: waits until it is
    /// there.
    ///
    /// # Errors
    /// It does not come, or a command failed.
    pub(crate) async fn last_revocation(
        &self,
        clock: &dyn Clock,
    ) -> Result<LogEntry, FederationError> {
        let none = || FederationError::NoRevocation;
        let program = &self.seats.last().ok_or_else(none)?.program;
        let started = clock.monotonic();
        while clock.monotonic().saturating_sub(started) < AGREED_WITHIN {
            let mut entry = LogEntry::of(&program.report(&["cluster", "entry"]).await?)?;
            for _ in 0..LOOK_BACK {
                if entry.commands.iter().any(|command| command.starts_with("Revoke(")) {
                    return Ok(entry);
                }
                let Some(before) = entry.index.checked_sub(1) else { break };
                let index = before.to_string();
                entry = LogEntry::of(&program.report(&["cluster", "entry", &index]).await?)?;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(none())
    }

    /// Kills the leader, waits for the next one, and starts the killed region again.
    ///
    /// # Errors
    /// See [`FederationError`].
    pub(crate) async fn lose_leader(
        &mut self,
        leader: &str,
        http: &HttpClient,
        seams: &Seams,
    ) -> Result<Failover, FederationError> {
        let place = self.seats.iter().position(|seat| seat.name() == leader);
        let (seat, slot) = place
            .and_then(|place| Some((self.seats.get(place)?, self.running.get_mut(place)?)))
            .ok_or_else(|| FederationError::NoLeader { said: format!("no region `{leader}`") })?;
        let failed = |source| FederationError::Region { region: seat.name(), source };
        let started = seams.clock.monotonic();
        if let Some(region) = slot.take() {
            region.kill().await.map_err(failed)?;
        }
        let next = self.agreed(Some(leader), seams.clock.as_ref()).await?;
        let took = seams.clock.monotonic().saturating_sub(started);
        if let Some(slot) = place.and_then(|place| self.running.get_mut(place)) {
            *slot = Some(start(seat)?);
        }
        self.wait_until_agreed(http, seams).await?;
        Ok(Failover { killed: leader.to_owned(), new_leader: next.leader, took })
    }

    /// Resolves when a region ends by itself, which it should not.
    pub(crate) async fn ended(&mut self) -> FederationError {
        let ends = self.seats.iter().zip(&mut self.running).filter_map(|(seat, region)| {
            let region = region.as_mut()?;
            Some(Box::pin(async move {
                FederationError::Region { region: seat.name(), source: region.ended().await }
            }))
        });
        futures_util::future::select_all(ends).await.0
    }

    /// Ends every region, all at the same time.
    ///
    /// # Errors
    /// A process could not be waited for.
    pub(crate) async fn stop(self) -> Result<(), FederationError> {
        let stopping = self.seats.iter().zip(self.running).filter_map(|(seat, region)| {
            let region = region?;
            Some(async move {
                let stopped = region.stop().await;
                stopped.map_err(|source| FederationError::Region { region: seat.name(), source })
            })
        });
        let stopped = futures_util::future::join_all(stopping).await;
        stopped.into_iter().collect()
    }
}

impl LogEntry {
    fn of(entry: &Report) -> Result<Self, ProgramError> {
        let text = |command: &Value| command.get("command")?.as_str().map(str::to_owned);
        // Entries without commands have no such member.
        let commands = entry.list("commands").unwrap_or_default();
        Ok(Self {
            index: entry.count("index")?,
            commands: commands.iter().filter_map(text).collect(),
            frame: entry.text("frame")?.to_owned(),
        })
    }
}

impl Seat {
    fn name(&self) -> &'static str {
        self.layout.site.name
    }

    async fn status(&self) -> Result<Report, ProgramError> {
        self.program.report(&["cluster", "status"]).await
    }
}

fn start(seat: &Seat) -> Result<Region, FederationError> {
    Region::start(&seat.program, &seat.layout.log)
        .map_err(|source| FederationError::Region { region: seat.name(), source })
}

/// What a status says, if there is a leader in it.
fn agreed_by(status: &Report) -> Result<Option<Agreed>, ProgramError> {
    let nodes = status.list("nodes")?;
    let word = |node: &Value, name: &str| node.get(name).and_then(Value::as_str).map(str::to_owned);
    let Ok(leader) = status.text("leader") else { return Ok(None) };
    let leads = nodes.iter().find(|node| word(node, "node").as_deref() == Some(leader));
    let Some(leader) = leads.and_then(|node| word(node, "region")) else { return Ok(None) };
    let votes = |node: &&Value| node.get("voter") == Some(&Value::Bool(true));
    let voters = nodes.iter().filter(votes).count();
    Ok(Some(Agreed {
        leader,
        term: status.count("term")?,
        voters: u64::try_from(voters).unwrap_or(u64::MAX),
        applied_index: status.count("applied_index")?,
    }))
}
