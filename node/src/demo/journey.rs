//! One token's way through the region, by real requests to real processes: minted, exchanged,
//! verified, introspected, revoked, introspected again; then a token that is refused, and what
//! stands in the audit log. Everything that the story tells and the JSON report holds is from here.
//!
//! Standards: RFC 8693 (exchange), RFC 9068 (verification), RFC 7662, RFC 7009.

use std::time::Duration;

use exequatur_federation::residency::Step;
use http::StatusCode;
use serde_json::{Map, Value};

use super::{
    configuration::OTHER_REGION,
    files::Layout,
    http::{Credentials, HttpClient, HttpError},
    program::{Program, ProgramError},
    requests::global_claims,
    rules::{self, RulesError},
};
use crate::node::Seams;

/// Whom the journey deals with, and how.
pub(crate) struct Traveller<'a> {
    pub(crate) http: &'a HttpClient,
    pub(crate) program: &'a Program,
    pub(crate) layout: &'a Layout,
    pub(crate) mint_url: &'a str,
    pub(crate) clients: &'a Clients,
    pub(crate) seams: &'a Seams,
}

/// The credentials of both clients.
pub(crate) struct Clients {
    /// It exchanges and revokes.
    pub(crate) gateway: Credentials,
    /// It introspects.
    pub(crate) api: Credentials,
}

/// What happened.
pub(crate) struct Journey {
    pub(crate) endpoints: Endpoints,
    pub(crate) global_claims: Map<String, Value>,
    pub(crate) steps: Vec<Step>,
    pub(crate) exchange: Exchange,
    pub(crate) regional: Regional,
    /// The introspection of the regional token as it was issued.
    pub(crate) before: Map<String, Value>,
    /// The same after its revocation.
    pub(crate) after: Map<String, Value>,
    pub(crate) refused: Refused,
    pub(crate) audit: Audit,
}

/// The region's endpoints, from its metadata.
pub(crate) struct Endpoints {
    pub(crate) token: String,
    pub(crate) introspection: String,
    pub(crate) revocation: String,
    pub(crate) jwks: String,
}

/// The answer of the token endpoint (RFC 8693 section 2.2.1).
pub(crate) struct Exchange {
    pub(crate) access_token: String,
    pub(crate) issued_token_type: String,
    pub(crate) token_type: String,
    pub(crate) expires_in: u64,
    pub(crate) scope: String,
    /// From the first byte of the request to the last of the answer.
    pub(crate) took: Duration,
}

/// The regional token, verified.
pub(crate) struct Regional {
    pub(crate) claims: Map<String, Value>,
    pub(crate) kid: String,
    pub(crate) algorithm: &'static str,
}

/// The answer to an exchange that the region refuses.
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    pub(crate) error: String,
    pub(crate) error_id: String,
    pub(crate) description: String,
    pub(crate) request_id: String,
    pub(crate) home_issuer: Option<String>,
}

/// The audit log, verified.
pub(crate) struct Audit {
    pub(crate) records: u64,
    pub(crate) root: String,
    /// The record that was saved before the regional token was signed: its public part.
    pub(crate) record: Map<String, Value>,
}

/// Why the journey ended early.
#[derive(Debug, thiserror::Error)]
pub enum JourneyError {
    /// A request was not answered as it must be.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// A command of `exequatur audit` failed.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The rules cannot be explained.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// Introspection says something else than what was just done.
    #[error("introspection says active: {got} {when}, where {expected} is right")]
    State {
        /// What it said.
        got: String,
        /// What it should say.
        expected: bool,
        /// When it was asked.
        when: &'static str,
    },
    /// The audit log does not hold the record of the regional token.
    #[error("the audit log holds no record of the regional token")]
    Unrecorded,
    /// A token cannot be read or does not verify.
    #[error("the {whose} token does not verify: {reason}")]
    Unverified {
        /// `global` or `regional`.
        whose: &'static str,
        /// What is wrong.
        reason: String,
    },
}

impl Traveller<'_> {
    /// Makes the journey.
    ///
    /// # Errors
    /// See [`JourneyError`].
    pub(crate) async fn travel(&self) -> Result<Journey, JourneyError> {
        let endpoints = self.discover().await?;
        let global_token = self.mint(&[]).await?;
        let global_claims = global_claims(&global_token)?;
        let steps = rules::steps(self.layout, &global_claims, self.seams)?;
        let exchange = self.exchange(&endpoints, &global_token).await?;
        let regional = self.verify(&endpoints, &exchange.access_token).await?;
        let token = &exchange.access_token;
        let before = self.introspect(&endpoints, token, (true, "after the exchange")).await?;
        self.revoke(&endpoints, token).await?;
        let after = self.introspect(&endpoints, token, (false, "after the revocation")).await?;
        let foreign_token = self.mint(&[("region", OTHER_REGION)]).await?;
        let refused = self.refused(&endpoints, &foreign_token).await?;
        let audit = self.audit(regional.claims.get("jti")).await?;
        Ok(Journey {
            endpoints,
            global_claims,
            steps,
            exchange,
            regional,
            before,
            after,
            refused,
            audit,
        })
    }
}
