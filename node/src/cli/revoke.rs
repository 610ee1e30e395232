//! `exequatur revoke`: what an operator ends, in every region. Values of people come from a file or
//! standard input, never from an argument, which other users of the machine could read.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand, ValueEnum};
use exequatur_federation::{
    client::ClientId,
    revocation::{ListId, Measure},
    time::Ttl,
};
use serde::Serialize;
use zeroize::Zeroizing;

use super::{CliError, Exit, Output, cluster::connection::Change};
use crate::admin::{AdminClient, Party, Revocation, Revoked, What};

/// Longest value that is read: a token has at most 2 KiB, a subject 255 characters.
const VALUE_BYTES_MAX: u64 = 3 * 1_024;

/// End tokens, sessions, people, clients, lists and regions, in every region.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
A node is asked over its Unix socket (`listen.admin` of the region file), or with --address and an
operator's certificate. Each revocation is recorded in the region's audit log; values of people are
not, and the federation gets digests of them only.

`cutoff` ends what was issued, and logins, up to now. `block` also gives nothing out until it ends,
is lifted, or was renewed; 400 days at most.

Values of people are read from the file that --from names, or from standard input with `--from -`.

Exit codes: 0 every region holds it, 1 error here, 2 the node cannot be reached or cannot do it now,
3 refused, 4 in force in this region and not yet agreed on: it is sent until it is.

Examples:
  exequatur revoke subject --upstream global --from person.txt
  exequatur revoke subject --upstream global --from - --mode block --for 30d
  exequatur revoke lift --upstream global --from person.txt
  exequatur revoke client orders-gateway --mode block --for 1h
  exequatur revoke region ap-southeast")]
pub(super) enum Revoke {
    /// End the tokens of a client, or block it.
    Client(Client),
    /// End the block of a person, service or client.
    Lift(Lift),
    /// End every token of a status list.
    List(List),
    /// End everything that a region has issued.
    Region(Region),
    /// End a login session at a global provider.
    Session(Session),
    /// End the logins and tokens of a person, or block them.
    Subject(Subject),
    /// End one token of the region.
    Token(Token),
}

#[derive(Debug, Args)]
pub(super) struct Client {
    /// Its id.
    #[arg(value_name = "CLIENT")]
    client: String,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    change: Change,
}

#[derive(Debug, Args)]
pub(super) struct Lift {
    /// The client whose block ends.
    #[arg(long, value_name = "CLIENT", conflicts_with_all = ["upstream", "from"])]
    client: Option<String>,
    /// The `[[upstream]]` of the person whose block ends.
    #[arg(long, value_name = "NAME", required_unless_present = "client", requires = "from")]
    upstream: Option<String>,
    /// Its tenant.
    #[arg(long, value_name = "TENANT", requires = "upstream")]
    tenant: Option<String>,
    /// The subject is a service.
    #[arg(long, requires = "upstream")]
    service: bool,
    /// File with the subject's value, or `-`.
    #[arg(long, value_name = "FILE", requires = "upstream")]
    from: Option<PathBuf>,
    #[command(flatten)]
    change: Change,
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Its id: 16 hexadecimal digits, the end of the URI in `status` of its tokens.
    #[arg(value_name = "LIST", value_parser = list_id)]
    list: ListId,
    #[command(flatten)]
    change: Change,
}

#[derive(Debug, Args)]
#[command(after_help = "\
A region ends what it issued itself by its own operator. For another region two others have to ask
for the same: the first is told so (exit code 4). Its keys then verify nothing any more.")]
pub(super) struct Region {
    /// Its name.
    #[arg(value_name = "REGION")]
    region: String,
    #[command(flatten)]
    change: Change,
}

#[derive(Debug, Args)]
pub(super) struct Session {
    #[command(flatten)]
    of: Of,
    #[command(flatten)]
    change: Change,
}

#[derive(Debug, Args)]
pub(super) struct Subject {
    #[command(flatten)]
    of: Of,
    /// The subject is a service, by its client id at the provider.
    #[arg(long)]
    service: bool,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    change: Change,
}

#[derive(Debug, Args)]
pub(super) struct Token {
    /// File with the token, or `-`.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    #[command(flatten)]
    change: Change,
}

/// A value of a provider.
#[derive(Debug, Args)]
struct Of {
    /// Name of the `[[upstream]]`.
    #[arg(long, value_name = "NAME")]
    upstream: String,
    /// Its tenant, where it has several.
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// File with the value (`sub` or `sid` at the provider), or `-`.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
}

#[derive(Debug, Args)]
struct How {
    /// What becomes of it.
    #[arg(long, value_enum, default_value_t = Mode::Cutoff)]
    mode: Mode,
    /// How long a block lasts: `90s`, `15m`, `2h`, `30d`.
    #[arg(long = "for", value_name = "TIME", value_parser = Ttl::parse, required_if_eq("mode", "block"))]
    length: Option<Ttl>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// What was issued up to now is dead.
    Cutoff,
    /// And nothing is issued until it ends.
    Block,
}

#[derive(Serialize)]
struct Said<'a> {
    agreed: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    receipt: &'a str,
    may_return: bool,
}

impl Revoke {
    pub(super) fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        let (revocation, change) = match self {
            Self::Client(client) => {
                let what = What::Client(ClientId::new(&client.client));
                (Revocation { what, measure: client.how.measure()? }, &client.change)
            }
            Self::Lift(lift) => {
                (Revocation { what: lift.what()?, measure: Measure::Lift }, &lift.change)
            }
            Self::List(list) => (cutoff(What::List(list.list)), &list.change),
            Self::Region(region) => (cutoff(What::Region(region.region.clone())), &region.change),
            Self::Session(session) => {
                (cutoff(What::Session(session.of.read(false)?)), &session.change)
            }
            Self::Subject(subject) => {
                let what = What::Subject(subject.of.read(subject.service)?);
                (Revocation { what, measure: subject.how.measure()? }, &subject.change)
            }
            Self::Token(token) => (cutoff(What::Token(value(&token.from)?)), &token.change),
        };
        let ask = async |client: &mut AdminClient, id| client.revoke(id, &revocation).await;
        told(output, &change.ask(ask)?)
    }
}

const fn cutoff(what: What) -> Revocation {
    Revocation { what, measure: Measure::Cutoff }
}

fn told(output: &mut Output<'_>, revoked: &Revoked) -> Result<(), CliError> {
    let Revoked { receipt, agreed, may_return } = revoked;
    let said = Said { agreed: *agreed, receipt, may_return: *may_return };
    output.result(&said, |out| {
        if *agreed {
            writeln!(out, "every region holds it")?;
        }
        if !receipt.is_empty() {
            writeln!(out, "receipt: {receipt}")?;
        }
        if *may_return {
            writeln!(
                out,
                "the provider names no sessions: where it sends no `auth_time` either, a refresh \
                 token of the old login still works there; end it at the provider, or block"
            )?;
        }
        Ok(())
    })?;
    if *agreed {
        return Ok(());
    }
    let text = "it is in force in this region, and the other regions do not hold it yet: it is sent \
                until they do";
    Err(CliError::new(Exit::Degraded, text))
}

impl How {
    fn measure(&self) -> Result<Measure, CliError> {
        match (self.mode, self.length) {
            (Mode::Cutoff, None) => Ok(Measure::Cutoff),
            (Mode::Block, Some(length)) => Ok(Measure::Block(length)),
            (Mode::Cutoff, Some(_)) => {
                let text = "--for goes with `--mode block`: a cut-off is for ever";
                Err(CliError::new(Exit::Local, text))
            }
            (Mode::Block, None) => Err(CliError::new(Exit::Local, "a block needs --for")),
        }
    }
}

impl Of {
    fn read(&self, service: bool) -> Result<Party, CliError> {
        Ok(Party {
            upstream: self.upstream.clone(),
            tenant: self.tenant.clone(),
            value: value(&self.from)?,
            service,
        })
    }
}

impl Lift {
    fn what(&self) -> Result<What, CliError> {
        match (&self.client, &self.upstream, &self.from) {
            (Some(client), ..) => Ok(What::Client(ClientId::new(client))),
            (None, Some(upstream), Some(from)) => Ok(What::Subject(Party {
                upstream: upstream.clone(),
                tenant: self.tenant.clone(),
                value: value(from)?,
                service: self.service,
            })),
            (None, ..) => {
                let text = "name a person with --upstream and --from, or a client with --client";
                Err(CliError::new(Exit::Local, text))
            }
        }
    }
}

/// A value of a file or of standard input, without the end of its line.
fn value(from: &Path) -> Result<Zeroizing<String>, CliError> {
    let name = from.display();
    let unread = |error: std::io::Error| {
        CliError::new(Exit::Local, format_args!("`{name}` cannot be read: {error}"))
    };
    let mut text = Zeroizing::new(String::new());
    if from == Path::new("-") {
        std::io::stdin().take(VALUE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unread)?;
    } else {
        let file = std::fs::File::open(from).map_err(unread)?;
        file.take(VALUE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unread)?;
    }
    let value = text.trim_end_matches(['\r', '\n']);
    if value.is_empty() || text.len() as u64 > VALUE_BYTES_MAX {
        let text =
            format_args!("`{name}` does not hold one value of at most {VALUE_BYTES_MAX} bytes");
        return Err(CliError::new(Exit::Local, text));
    }
    Ok(Zeroizing::new(value.to_owned()))
}

fn list_id(text: &str) -> Result<ListId, String> {
    ListId::from_hex(text)
        .ok_or_else(|| "a list id is 16 hexadecimal digits in lower case".to_owned())
}
