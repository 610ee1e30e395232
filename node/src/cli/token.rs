//! `exequatur token inspect|verify`: reads tokens from files; a token is a secret and never an
//! argument.

use std::{
    io::{self, Read as _, Write},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use exequatur_federation::{
    jose::{Algorithm, JwkSet, TOKEN_BYTES_MAX, UnverifiedJws},
    oauth::TYP_ACCESS_TOKEN,
    time::{Ttl, UnixTime},
    trust::check_times,
};
use serde::Serialize;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{CliError, Exit, Output};
use crate::clock::{Clock as _, SystemClock};

/// Longest lifetime that a region gives to an access token.
const LIFETIME_MAX: Ttl = Ttl::from_seconds(3_600);
/// How far the clocks of issuer and verifier may differ.
const SLACK: Ttl = Ttl::from_seconds(60);

/// Largest JWK set that is read: as much as a node fetches.
const JWKS_BYTES_MAX: u64 = 256 * 1024;

/// Read and verify tokens.
#[derive(Debug, Subcommand)]
pub(super) enum Token {
    /// Show a token's header and claims without verifying anything.
    Inspect(Inspect),
    /// Verify an access token of a region as a service would, offline.
    #[command(after_help = "\
Exit code 3 if the token is not valid.

Example:
  exequatur token verify token.txt --jwks region.jwks --issuer https://eu.id.example \\
      --audience https://api.eu.example/orders")]
    Verify(Verify),
}

/// Show a token's header and claims without verifying anything.
#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// File that holds the token; `-` for standard input.
    token: PathBuf,
}

/// Verify an access token of a region as a service would, offline.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// File that holds the token; `-` for standard input.
    token: PathBuf,
    /// The region's JWK set, as fetched from its `jwks_uri`.
    #[arg(long, value_name = "FILE")]
    jwks: PathBuf,
    /// The `iss` that the token must have.
    #[arg(long)]
    issuer: String,
    /// The `aud` that the token must have.
    #[arg(long)]
    audience: String,
}

#[derive(Serialize)]
struct Inspected<'a> {
    verified: bool,
    algorithm: Algorithm,
    typ: Option<&'a str>,
    kid: Option<&'a str>,
    claims: &'a Map<String, Value>,
}

impl Token {
    pub(super) fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        match self {
            Self::Inspect(Inspect { token }) => show(&read_token(token)?, false, output),
            Self::Verify(verify) => {
                let token = read_token(&verify.token)?;
                verify.check(&token)?;
                show(&token, true, output)
            }
        }
    }
}

impl Verify {
    fn check(&self, token: &UnverifiedJws) -> Result<(), CliError> {
        let refused = |why: &str| CliError::new(Exit::Refused, format_args!("not valid: {why}"));
        let keys = read_jwks(&self.jwks)?;
        if token.typ() != Some(TYP_ACCESS_TOKEN) {
            return Err(refused("`typ` is not `at+jwt`, so this is no access token of a region"));
        }
        let jwk = keys
            .select(token.kid())
            .ok_or_else(|| refused("the JWK set has no key with the token's `kid`"))?;
        let signed =
            jwk.algorithm(&Algorithm::ALL).is_some_and(|a| token.verify(&jwk.key, a).is_ok());
        if !signed {
            return Err(refused("the signature does not verify under that key"));
        }
        let claim = |name| token.payload().get(name).and_then(Value::as_str);
        if claim("iss") != Some(&self.issuer) {
            return Err(refused("`iss` is another issuer"));
        }
        if claim("aud") != Some(&self.audience) {
            return Err(refused("`aud` is another audience"));
        }
        let now = SystemClock::start().now();
        check_times(token.payload(), now, SLACK, LIFETIME_MAX)
            .map(|_: UnixTime| ())
            .map_err(|_| refused("it is expired or not yet valid"))
    }
}

/// Reads a token from a file or from standard input.
pub(super) fn read_token(path: &Path) -> Result<UnverifiedJws, CliError> {
    let text = read_token_text(path)?;
    UnverifiedJws::parse(&text).map_err(|error| {
        CliError::new(Exit::Refused, format_args!("`{}` holds no JWT: {error}", path.display()))
    })
}

/// Reads the text of a token from a file or from standard input.
pub(super) fn read_token_text(path: &Path) -> Result<Zeroizing<String>, CliError> {
    if path.as_os_str().len() > 100 && path.to_string_lossy().matches('.').count() == 2 {
        let why = "this looks like a token, and other users can read arguments: \
                   name a file that holds it, or `-` for standard input";
        return Err(CliError::new(Exit::Local, why));
    }
    let limit = TOKEN_BYTES_MAX as u64 + 2;
    let mut text = Zeroizing::new(String::new());
    let read = if path.as_os_str() == "-" {
        io::stdin().take(limit).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(limit).read_to_string(&mut text))
    };
    read.map_err(|error| unreadable(path, &error))?;
    let trimmed = text.trim_end().len();
    text.truncate(trimmed);
    Ok(text)
}

/// Reads a JWK set from a file.
pub(super) fn read_jwks(path: &Path) -> Result<JwkSet, CliError> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(JWKS_BYTES_MAX).read_to_end(&mut bytes))
        .map_err(|error| unreadable(path, &error))?;
    JwkSet::parse(&bytes).map_err(|error| {
        let path = path.display();
        CliError::new(Exit::Local, format_args!("`{path}` is no usable JWK set: {error}"))
    })
}

fn unreadable(path: &Path, error: &io::Error) -> CliError {
    CliError::new(Exit::Local, format_args!("`{}` cannot be read: {error}", path.display()))
}

fn show(token: &UnverifiedJws, verified: bool, output: &mut Output<'_>) -> Result<(), CliError> {
    let inspected = Inspected {
        verified,
        algorithm: token.claimed_algorithm(),
        typ: token.typ(),
        kid: token.kid(),
        claims: token.payload(),
    };
    output.result(&inspected, |out| text(&inspected, out))?;
    Ok(())
}

fn text(token: &Inspected<'_>, out: &mut dyn Write) -> io::Result<()> {
    let verified = if token.verified { "yes" } else { "no: nothing below is proved" };
    writeln!(out, "verified   {verified}")?;
    writeln!(out, "algorithm  {}", token.algorithm.as_str())?;
    writeln!(out, "typ        {}", token.typ.unwrap_or("(none)"))?;
    writeln!(out, "kid        {}", token.kid.unwrap_or("(none)"))?;
    writeln!(out, "claims")?;
    for (name, value) in token.claims {
        writeln!(out, "  {name:<18} {value}")?;
    }
    Ok(())
}
