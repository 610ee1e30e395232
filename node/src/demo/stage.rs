//! One run of the demo: prepares the files, starts the regions, has the story told, and ends
//! everything again in the right order. It decides nothing about what is told.

use std::io::Write;

use super::{
    DemoError, DemoOptions, Streams,
    certificate::Authority,
    commands::Commands,
    configuration::{API, GATEWAY, SITES, SecretHashes, Site},
    directory::{Directory, FilesError},
    federation::{Agreed, Failover, LogEntry, Regions},
    files::{self, Layout, Place, Wish},
    founding::{self, Seat},
    http::{Credentials, HttpClient},
    journey::{Clients, Journey, Traveller},
    page::Page,
    program::{Program, ProgramError},
    report::Report,
    signals::Signals,
    softhsm, story,
};
use crate::node::Seams;

/// One run, after the global issuer is up.
pub(super) struct Stage<'a> {
    pub(super) options: &'a DemoOptions,
    pub(super) seams: &'a Seams,
    pub(super) issuer: String,
    pub(super) mint_url: String,
}

/// Everything that the regions need to start, and the clients to ask them.
struct Prepared {
    seats: Vec<Seat>,
    clients: Clients,
    http: HttpClient,
}

/// What is told: one token's way, and what the regions did together.
pub(super) struct Told {
    pub(super) journey: Journey,
    pub(super) agreed: Agreed,
    pub(super) entry: LogEntry,
    pub(super) failover: Failover,
}

impl Stage<'_> {
    /// Runs the demo to its end; see [`run`](super::run).
    pub(super) async fn run(
        &self,
        streams: Streams<'_>,
        signals: &mut Signals,
    ) -> Result<(), DemoError> {
        let mut directory =
            Directory::prepare(self.options.dir.as_deref(), self.seams.entropy.as_ref())?;
        let (told_on, mut report_on) = match self.options.output_json {
            true => (streams.progress, Some(streams.out)),
            false => (streams.out, None),
        };
        let mut page = Page::new(told_on, self.options.colour && report_on.is_none());
        let prepared = tokio::select! {
            () = signals.any() => return Err(DemoError::Interrupted),
            prepared = Box::pin(self.prepare(&directory, &mut page)) => prepared?,
        };
        let mut regions = Regions::start(&prepared.seats)?;
        let travelled = tokio::select! {
            () = signals.any() => Err(DemoError::Interrupted),
            told = Box::pin(self.travel(&prepared, &mut regions, &mut page)) => told,
        };
        let told = travelled.and_then(|told| match &mut report_on {
            Some(out) => {
                directory.keep();
                report(&told, &prepared.seats, *out)
            }
            None => self.story(&told, (&prepared, &directory), &mut page),
        });
        let result = match told {
            Ok(()) if !self.options.once => stay_up(&mut regions, signals).await,
            ended => ended,
        };
        // On every way out the regions are ended and waited for; the first error is the cause.
        let stopped = regions.stop().await;
        result.and(stopped.map_err(DemoError::from))?;
        if !self.options.once {
            // The terminal may be what went away.
            let _unwritten = story::ended(&mut page, &directory).is_err();
        }
        Ok(())
    }

    /// Writes the files, makes the regions' keys and databases, and founds the federation.
    async fn prepare(&self, above: &Directory, page: &mut Page<'_>) -> Result<Prepared, DemoError> {
        story::opening(page)?;
        story::up(page, "global issuer", &self.issuer, None)?;
        let now = self.seams.clock.now();
        let program = Program::current()?;
        let (gateway, gateway_hash) = new_client(&program, GATEWAY).await?;
        let (api, api_hash) = new_client(&program, API).await?;
        let secret_hashes = SecretHashes { gateway: &gateway_hash, api: &api_hash };
        let plain_http = self.options.plain_http;
        let wish = Wish { upstream: &self.issuer, plain_http, secret_hashes };
        let authority = match plain_http {
            true => None,
            false => {
                let made = Authority::new("Exequatur demo authority", now);
                Some(made.map_err(FilesError::from)?)
            }
        };
        if let Some(authority) = &authority {
            above.write(files::AUTHORITY_FILE, &authority.pem)?;
        }
        let mut seats = Vec::new();
        for site in SITES {
            let place = self.place(site, above).await?;
            let layout = files::write((above, &place), &wish, authority.as_ref(), self.seams)?;
            let program =
                Program::current()?.with_files(layout.config.clone(), layout.federation.clone());
            let program = match &place.slot {
                Some(slot) => program.with_environment(softhsm::ENVIRONMENT, &slot.environment),
                None => program,
            };
            seats.push(Seat { place, layout, program });
        }
        for credentials in [&gateway, &api] {
            files::write_credentials(above, credentials)?;
        }
        let layouts: Vec<&Layout> = seats.iter().map(|seat| &seat.layout).collect();
        founding::draft(above, &layouts)?;
        story::up(page, "files", &above.path().display().to_string(), None)?;
        let started = self.seams.clock.monotonic();
        founding::found(above, &seats, now).await?;
        let took = self.seams.clock.monotonic().saturating_sub(started);
        let said = match self.options.hsm {
            true => "three regions' keys in SoftHSM, their databases, one genesis",
            false => "three regions' keys in files, their databases, one genesis",
        };
        story::up(page, "init, bootstrap, join", said, Some(took))?;
        let http = HttpClient::new(authority.map(|authority| authority.pem).as_deref())?;
        Ok(Prepared { seats, clients: Clients { gateway, api }, http })
    }

    /// A region's directory, and its slot if keys are to be in SoftHSM.
    async fn place(&self, site: Site, above: &Directory) -> Result<Place, DemoError> {
        let directory = above.below(site.name)?;
        let slot = match self.options.hsm {
            true => {
                let entropy = self.seams.entropy.as_ref();
                Some(softhsm::make_slot(site.name, &directory, entropy).await?)
            }
            false => None,
        };
        Ok(Place { site, directory, slot })
    }

    async fn travel(
        &self,
        prepared: &Prepared,
        regions: &mut Regions<'_>,
        page: &mut Page<'_>,
    ) -> Result<Told, DemoError> {
        let Prepared { seats, clients, http } = prepared;
        let started = self.seams.clock.monotonic();
        let agreed = regions.wait_until_agreed(http, self.seams).await?;
        let took = self.seams.clock.monotonic().saturating_sub(started);
        for Seat { layout, .. } in seats {
            story::up(page, layout.site.name, &format!("ready at {}", layout.issuer), None)?;
        }
        let said = format!("{} leads, {} vote", agreed.leader, agreed.voters);
        story::up(page, "leader", &said, Some(took))?;
        let home = seats.first().ok_or(DemoError::NoRegion)?;
        let traveller = Traveller {
            http,
            program: &home.program,
            layout: &home.layout,
            mint_url: &self.mint_url,
            clients,
            seams: self.seams,
        };
        let journey = traveller.travel().await?;
        let entry = regions.last_revocation(self.seams.clock.as_ref()).await?;
        let failover = regions.lose_leader(&agreed.leader, http, self.seams).await?;
        Ok(Told { journey, agreed, entry, failover })
    }

    fn story(
        &self,
        told: &Told,
        (prepared, directory): (&Prepared, &Directory),
        page: &mut Page<'_>,
    ) -> Result<(), DemoError> {
        story::tell(page, &told.journey, &self.mint_url)?;
        story::together(page, told)?;
        if let (false, Some(home)) = (self.options.once, prepared.seats.first()) {
            let commands = Commands {
                directory: directory.path(),
                layout: &home.layout,
                endpoints: &told.journey.endpoints,
                mint_url: &self.mint_url,
                executable: home.program.executable(),
                error_id: &told.journey.refused.error_id,
            };
            story::closing(page, commands)?;
        }
        page.flush()?;
        Ok(())
    }
}

fn report(told: &Told, seats: &[Seat], out: &mut dyn Write) -> Result<(), DemoError> {
    let layouts: Vec<&Layout> = seats.iter().map(|seat| &seat.layout).collect();
    serde_json::to_writer(&mut *out, &Report::new(told, &layouts))?;
    writeln!(out)?;
    out.flush()?;
    Ok(())
}

/// Waits for a signal, or for a region to fail.
async fn stay_up(regions: &mut Regions<'_>, signals: &mut Signals) -> Result<(), DemoError> {
    tokio::select! {
        () = signals.any() => Ok(()),
        error = regions.ended() => Err(error.into()),
    }
}

/// A client's credentials and the hash of its secret, as the command line makes them.
async fn new_client(
    program: &Program,
    id: &'static str,
) -> Result<(Credentials, String), ProgramError> {
    let report = program.report(&["client", "secret"]).await?;
    let secret = zeroize::Zeroizing::new(report.text("client_secret")?.to_owned());
    Ok((Credentials { id, secret }, report.text("secret_sha256")?.to_owned()))
}
