//! `exequatur try TOKEN_FILE`: what the law would do to a real token, offline: every claim, every
//! rule, and the answer that a client would get. Nothing is fetched, recorded or issued.

mod cause;
mod report;

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use exequatur_federation::{
    client::{Client, ClientId, Grant},
    exchange::{ExchangeRequest, RehearsalFacts, rehearse},
    jose::UnverifiedJws,
    law::Law,
    oauth::{GRANT_TOKEN_EXCHANGE, TokenType},
    subject::PairwiseKey,
    time::UnixTime,
};

use super::{
    CliError, Exit, Files, Output,
    run::system_seams,
    token::{read_jwks, read_token_text},
};
use crate::entropy::draw;
use cause::Circumstances;
use report::Report;

/// Show what the law would do to a real token, offline.
#[derive(Debug, Args)]
#[command(after_help = "\
Without --jwks the signature is not checked. Pseudonyms are examples, made with a key that is thrown
away. Revocations are not looked up. Exit code 3 if the exchange would be refused.

Examples:
  exequatur try token.txt
  exequatur try - --client orders-gateway --resource orders < token.txt
  exequatur try token.txt --jwks provider.jwks --at 1782000000")]
pub(super) struct Try {
    /// File that holds the global token; `-` for standard input.
    token: PathBuf,
    #[command(flatten)]
    files: Files,
    /// The client that would ask; by default the only one that may exchange.
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// The target, by its id or its `audience`; by default the client's only one.
    #[arg(long, value_name = "RESOURCE")]
    resource: Option<String>,
    /// The scopes that would be asked for, separated by spaces.
    #[arg(long, value_name = "SCOPES")]
    scope: Option<String>,
    /// What the token would be presented as: access_token, id_token, jwt, or a whole URN.
    #[arg(long, value_name = "TYPE", default_value = "access_token", value_parser = token_type)]
    subject_token_type: String,
    /// The provider's JWK set, as fetched from its `jwks_uri`: then the signature is checked.
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// The time to take as now, in seconds since 1970, for a token that is expired meanwhile.
    #[arg(long, value_name = "UNIXTIME")]
    at: Option<u64>,
}

impl Try {
    pub(super) fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        let text = read_token_text(&self.token)?;
        let configured = self.files.load()?;
        let law = &configured.compiled.law;
        let client = self.client(law)?;
        let keys = self.jwks.as_ref().map(|path| read_jwks(path).map(Arc::new)).transpose()?;
        let seams = system_seams();
        let throw_away = draw(seams.entropy.as_ref()).map_err(|e| CliError::local(&e))?;
        let now = self.at.map_or_else(|| seams.clock.now(), UnixTime::from_seconds);
        let subject = UnverifiedJws::parse(&text);
        let rehearsal = rehearse(
            law,
            client,
            &self.request(),
            RehearsalFacts {
                now,
                subject: subject.clone(),
                keys: keys.clone(),
                pairwise: &PairwiseKey::new(&throw_away),
            },
        );
        let circumstances = Circumstances { law, client, token: &subject, now };
        let report = Report::new(&circumstances, keys.is_some(), &rehearsal);
        output.result(&report, |out| report.write(out))?;
        match &rehearsal.outcome {
            Ok(_) => Ok(()),
            Err(refusal) => {
                let text = format_args!("the exchange would be refused: `{}`", refusal.id);
                Err(CliError::new(Exit::Refused, text))
            }
        }
    }

    fn request(&self) -> ExchangeRequest {
        let named = |is_uri: bool| {
            let target = self.resource.iter().filter(move |name| name.contains(':') == is_uri);
            target.cloned().collect()
        };
        ExchangeRequest {
            grant_type: GRANT_TOKEN_EXCHANGE.to_owned(),
            subject_token_type: self.subject_token_type.clone(),
            resource: named(true),
            // A short name can only be an `audience`.
            audience: named(false),
            scope: self.scope.clone(),
            ..ExchangeRequest::default()
        }
    }

    fn client<'law>(&self, law: &'law Law) -> Result<&'law Client, CliError> {
        // A client without resources only crosses borders.
        let may_exchange =
            |c: &&Client| c.grants.contains(&Grant::TokenExchange) && !c.resources.is_empty();
        let choices: Vec<&Client> = law.clients.values().filter(may_exchange).collect();
        let listed = || {
            let ids: Vec<&str> = choices.iter().map(|c| c.id.as_str()).collect();
            if ids.is_empty() { "none".to_owned() } else { ids.join(", ") }
        };
        let local = |text: String| CliError::new(Exit::Local, text);
        match (&self.client, choices.as_slice()) {
            (Some(id), _) => law.clients.get(&ClientId::new(id)).ok_or_else(|| {
                local(format!(
                    "`{id}` is no client of this region; those that may exchange: {}",
                    listed()
                ))
            }),
            (None, [only]) => Ok(only),
            (None, []) => Err(local(
                "no client of this region may exchange tokens: add a [[client]] with \
                 grants = [\"token-exchange\"] and resources"
                    .to_owned(),
            )),
            (None, _) => Err(local(format!(
                "several clients may exchange: name one with --client: {}",
                listed()
            ))),
        }
    }
}

/// A short name or a whole URN; a URN is not checked, for the refusal of a wrong one is the answer.
fn token_type(text: &str) -> Result<String, String> {
    let known = [TokenType::AccessToken, TokenType::IdToken, TokenType::Jwt];
    let short = |kind: &TokenType| kind.urn().rsplit(':').next() == Some(text);
    match known.iter().find(|kind| short(kind)) {
        Some(kind) => Ok(kind.urn().to_owned()),
        None if text.starts_with("urn:") => Ok(text.to_owned()),
        None => Err("expected access_token, id_token, jwt, or a URN".to_owned()),
    }
}
