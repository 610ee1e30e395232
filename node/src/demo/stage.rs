//! One run of the demo: prepares the files, starts the region, has the story told, and ends
//! everything again in the right order. It decides nothing about what is told.

use std::io::Write;

use super::{
    DemoError, DemoOptions, Streams,
    commands::Commands,
    configuration::{API, GATEWAY, SecretHashes},
    directory::{Directory, FilesError},
    files::{self, Layout, Wish},
    http::{Credentials, HttpClient},
    journey::{Clients, Journey, Traveller},
    page::Page,
    program::{Program, ProgramError},
    region::Region,
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

/// Everything that the region needs to start, and its clients to ask it.
struct Prepared {
    layout: Layout,
    program: Program,
    clients: Clients,
    http: HttpClient,
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
        let mut region = Region::start(&prepared.program, &prepared.layout.log)?;
        let travelled = tokio::select! {
            () = signals.any() => Err(DemoError::Interrupted),
            journey = Box::pin(self.travel(&prepared, &mut region, &mut page)) => journey,
        };
        let told = travelled.and_then(|journey| match &mut report_on {
            Some(out) => {
                directory.keep();
                report(&journey, &prepared.layout, *out)
            }
            None => self.story(&journey, (&prepared, &directory), &mut page),
        });
        let result = match told {
            Ok(()) if !self.options.once => stay_up(&mut region, signals).await,
            ended => ended,
        };
        // On every way out the region is ended and waited for; the first error is the cause.
        let stopped = region.stop().await;
        result.and(stopped.map_err(DemoError::from))?;
        if !self.options.once {
            // The terminal may be what went away.
            let _unwritten = story::ended(&mut page, &directory).is_err();
        }
        Ok(())
    }

    /// Writes the files and makes the region's keys and database.
    async fn prepare(
        &self,
        directory: &Directory,
        page: &mut Page<'_>,
    ) -> Result<Prepared, DemoError> {
        story::opening(page)?;
        story::up(page, "global issuer", &self.issuer, None)?;
        let slot = match self.options.hsm {
            true => Some(softhsm::make_slot(directory, self.seams.entropy.as_ref()).await?),
            false => None,
        };
        let program = Program::current()?;
        let (gateway, gateway_hash) = new_client(&program, GATEWAY).await?;
        let (api, api_hash) = new_client(&program, API).await?;
        let secret_hashes = SecretHashes { gateway: &gateway_hash, api: &api_hash };
        let wish = Wish {
            upstream: &self.issuer,
            plain_http: self.options.plain_http,
            hsm: slot.as_ref(),
            secret_hashes,
        };
        let layout = files::write(directory, &wish, self.seams)?;
        for credentials in [&gateway, &api] {
            files::write_credentials(directory, credentials)?;
        }
        story::up(page, "files", &directory.path().display().to_string(), None)?;
        let mut program = program.with_files(layout.config.clone(), layout.federation.clone());
        if let Some(slot) = &slot {
            program = program.with_environment(softhsm::ENVIRONMENT, &slot.environment);
        }
        let started = self.seams.clock.monotonic();
        program.run(&["init"]).await?;
        let took = self.seams.clock.monotonic().saturating_sub(started);
        let said = if slot.is_some() {
            "keys made in SoftHSM, database made"
        } else {
            "software keys and database made"
        };
        story::up(page, "exequatur init", said, Some(took))?;
        let http = HttpClient::new(read_authority(&layout)?.as_deref())?;
        Ok(Prepared { layout, program, clients: Clients { gateway, api }, http })
    }

    async fn travel(
        &self,
        prepared: &Prepared,
        region: &mut Region,
        page: &mut Page<'_>,
    ) -> Result<Journey, DemoError> {
        let Prepared { layout, program, clients, http } = prepared;
        let started = self.seams.clock.monotonic();
        region.wait_until_ready(http, layout.operations).await?;
        let took = self.seams.clock.monotonic().saturating_sub(started);
        story::up(page, "exequatur run", &format!("ready at {}", layout.issuer), Some(took))?;
        let traveller = Traveller {
            http,
            program,
            layout,
            mint_url: &self.mint_url,
            clients,
            seams: self.seams,
        };
        Ok(traveller.travel().await?)
    }

    fn story(
        &self,
        journey: &Journey,
        (prepared, directory): (&Prepared, &Directory),
        page: &mut Page<'_>,
    ) -> Result<(), DemoError> {
        story::tell(page, journey, &self.mint_url)?;
        if !self.options.once {
            let commands = Commands {
                directory: directory.path(),
                layout: &prepared.layout,
                endpoints: &journey.endpoints,
                mint_url: &self.mint_url,
                executable: prepared.program.executable(),
                error_id: &journey.refused.error_id,
            };
            story::closing(page, commands)?;
        }
        page.flush()?;
        Ok(())
    }
}

fn report(journey: &Journey, layout: &Layout, out: &mut dyn Write) -> Result<(), DemoError> {
    serde_json::to_writer(&mut *out, &Report::new(journey, layout))?;
    writeln!(out)?;
    out.flush()?;
    Ok(())
}

/// Waits for a signal, or for the region to fail.
async fn stay_up(region: &mut Region, signals: &mut Signals) -> Result<(), DemoError> {
    tokio::select! {
        () = signals.any() => Ok(()),
        error = region.ended() => Err(error.into()),
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

fn read_authority(layout: &Layout) -> Result<Option<String>, FilesError> {
    let Some(path) = &layout.authority else { return Ok(None) };
    match std::fs::read_to_string(path) {
        Ok(pem) => Ok(Some(pem)),
        Err(source) => Err(FilesError::Io { path: path.clone(), verb: "read", source }),
    }
}
