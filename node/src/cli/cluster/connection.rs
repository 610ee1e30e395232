//! Which node is asked, and with what: arguments that every verb has.

use std::path::PathBuf;

use clap::Args;
use exequatur_federation::{config::AdminAddress, membership::NodeId};

use super::{
    super::{CliError, Exit, Files, run::runtime},
    outcome,
};
use crate::{
    admin::{AdminClient, CallError, Credentials, RequestId, Target},
    entropy::SystemEntropy,
    node::resolve,
};

/// Which node is asked.
#[derive(Debug, Args)]
pub(super) struct Connection {
    #[command(flatten)]
    files: Files,
    /// Ask the node at this address instead of the one of the region file.
    #[arg(long, value_name = "HOST:PORT", requires = "tls_certificate")]
    address: Option<String>,
    /// PEM file of the operator's certificate, for a node that is asked over TCP.
    #[arg(long, value_name = "FILE", requires_all = ["tls_key", "ca"])]
    tls_certificate: Option<PathBuf>,
    /// PEM file of its private key.
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// PEM file of the authority that certifies the node.
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    ca: Option<PathBuf>,
}

/// A request that changes something.
#[derive(Debug, Args)]
pub(in crate::cli) struct Change {
    #[command(flatten)]
    connection: Connection,
    /// Send a request again whose outcome is unknown: its id, as the error names it. The same node
    /// then does it once only.
    #[arg(long, value_name = "ID", value_parser = request_id)]
    request_id: Option<RequestId>,
}

/// The one consent that a change of voters may need.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Survival {
    /// Go on although the loss of one region would then stop the federation.
    #[arg(long)]
    pub(super) accept_reduced_survival: bool,
}

impl Connection {
    /// Asks once, without changing anything.
    pub(super) fn ask<T>(
        &self,
        call: impl AsyncFnOnce(&mut AdminClient) -> Result<T, CallError>,
    ) -> Result<T, CliError> {
        self.call(None, call)
    }

    fn call<T>(
        &self,
        id: Option<RequestId>,
        call: impl AsyncFnOnce(&mut AdminClient) -> Result<T, CallError>,
    ) -> Result<T, CliError> {
        let target = self.target()?;
        runtime()?.block_on(async {
            let connected = AdminClient::connect(&target).await;
            let mut client = connected.map_err(|error| outcome::unconnected(&error))?;
            call(&mut client).await.map_err(|error| outcome::unmet(&error, id))
        })
    }

    fn target(&self) -> Result<Target, CliError> {
        if let Some(address) = &self.address {
            return self.tcp(address.clone());
        }
        let configured = self.files.load()?;
        match &configured.compiled.settings.listen.admin {
            Some(AdminAddress::Unix(path)) => {
                Ok(Target::Unix(resolve(&configured.directory, path)))
            }
            Some(AdminAddress::Tcp(address)) => self.tcp(address.to_string()),
            None => {
                let text = format_args!(
                    "`{}` has no `listen.admin`: add it and start the node again, or name a node \
                     with --address",
                    self.files.config.display()
                );
                Err(CliError::new(Exit::Local, text))
            }
        }
    }

    fn tcp(&self, address: String) -> Result<Target, CliError> {
        match (&self.tls_certificate, &self.tls_key, &self.ca) {
            (Some(certificate), Some(private_key), Some(ca)) => {
                let credentials = Credentials {
                    certificate: certificate.clone(),
                    private_key: private_key.clone(),
                    ca: ca.clone(),
                };
                Ok(Target::Tcp { address, credentials })
            }
            _ => {
                let text = format_args!(
                    "the node listens on `{address}`, where operators need a certificate: name \
                     --tls-certificate, --tls-key and --ca"
                );
                Err(CliError::new(Exit::Local, text))
            }
        }
    }
}

impl Change {
    /// Asks for a change, under an id that makes it safe to ask again.
    pub(in crate::cli) fn ask<T>(
        &self,
        call: impl AsyncFnOnce(&mut AdminClient, RequestId) -> Result<T, CallError>,
    ) -> Result<T, CliError> {
        let drawn = || RequestId::draw(&SystemEntropy::default());
        let id = self.request_id.map_or_else(drawn, Ok).map_err(|e| CliError::local(&e))?;
        self.connection.call(Some(id), async |client| call(client, id).await)
    }
}

/// Reads a node's id.
pub(super) fn node_id(text: &str) -> Result<NodeId, String> {
    let none = || "a node id is 16 hexadecimal digits in lower case, and not 0".to_owned();
    NodeId::from_hex(text).ok_or_else(none)
}

fn request_id(text: &str) -> Result<RequestId, String> {
    let none = || "a request id is 32 hexadecimal digits in lower case".to_owned();
    RequestId::from_hex(text).ok_or_else(none)
}
