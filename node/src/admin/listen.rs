//! The service's listener: a Unix socket, or TCP with mutual TLS. Bound first, served later.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use rustls::{ServerConfig, server::NoServerSessionStorage, version::TLS13};
use tokio::net::TcpListener;

use super::{
    AdminService, SocketError,
    clients::{ClientsError, ClientsWatch},
    service::REQUEST_BYTES_MAX,
    socket::OperatorSocket,
};
use crate::{
    clock::Clock,
    entropy::Entropy,
    net::{
        certificate::{CertificateWatch, POLL_INTERVAL, PairError, PairFiles},
        limits::Limits,
        serve::{Drained, Server},
        tls::{Tls, provider},
    },
    telemetry::metrics::Metrics,
};

/// ALPN's name of HTTP/2: gRPC has no other.
const ALPN_HTTP2: &[u8] = b"h2";

/// Connections open at once: a command is one, and operators are few.
const CONNECTIONS_MAX: usize = 64;

/// Requests at once on one connection.
const STREAMS_MAX: u32 = 16;

/// How long actions under way may take once the node was told to stop: one action's own limit.
const DRAIN: Duration = Duration::from_secs(30);

/// Where operators connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminEndpoint {
    /// A Unix socket.
    Unix(PathBuf),
    /// TCP with mutual TLS.
    Tcp {
        /// The address.
        address: SocketAddr,
        /// The service's certificate.
        certificate: PairFiles,
        /// PEM file of the authorities that certify operators.
        client_ca: PathBuf,
    },
}

/// Why the service does not listen.
#[derive(Debug, thiserror::Error)]
pub enum AdminListenError {
    /// The address is not free or not ours.
    #[error("cannot listen on `{address}` (`listen.admin`)")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The certificate cannot be served.
    #[error(transparent)]
    Certificate(#[from] PairError),
    /// Nobody certifies operators.
    #[error(transparent)]
    Clients(#[from] ClientsError),
    /// The Unix socket cannot be made.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// A bound listener.
pub struct AdminListener {
    bound: Bound,
    metrics: Arc<Metrics>,
}

enum Bound {
    Unix(OperatorSocket),
    Tcp { listener: TcpListener, tls: Tls, watches: Box<(CertificateWatch, ClientsWatch)> },
}

impl AdminListener {
    /// Binds what operators connect to.
    ///
    /// # Errors
    /// See [`AdminListenError`]. Nothing is left open.
    pub async fn bind(
        endpoint: AdminEndpoint,
        (clock, entropy): (Arc<dyn Clock>, &dyn Entropy),
        metrics: &Arc<Metrics>,
    ) -> Result<Self, AdminListenError> {
        let bound = match endpoint {
            AdminEndpoint::Unix(path) => Bound::Unix(OperatorSocket::bind(&path, entropy)?),
            AdminEndpoint::Tcp { address, certificate, client_ca } => {
                let not_after = metrics.admin_certificate_not_after_seconds.clone();
                let measured = (Arc::clone(metrics), not_after);
                let certificate = CertificateWatch::measured(certificate, clock, measured).await?;
                let clients = ClientsWatch::open(client_ca, Arc::clone(metrics)).await?;
                let tls = mutual(&certificate, &clients)?;
                let listener = TcpListener::bind(address)
                    .await
                    .map_err(|source| AdminListenError::Bind { address, source })?;
                Bound::Tcp { listener, tls, watches: Box::new((certificate, clients)) }
            }
        };
        Ok(Self { bound, metrics: Arc::clone(metrics) })
    }

    /// The TCP address that it listens on, if it is one.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.bound {
            Bound::Unix(_) => None,
            Bound::Tcp { listener, .. } => listener.local_addr().ok(),
        }
    }

    /// Serves until `stop` resolves and actions under way have ended. The service's worker must
    /// run meanwhile.
    pub async fn serve(self, service: AdminService, stop: impl Future<Output = ()>) -> Drained {
        let meters = self.metrics.connections("admin");
        let limits = limits();
        match self.bound {
            Bound::Unix(socket) => {
                let service = service.router(None);
                Server { service, tls: Tls::Plain, limits, meters }.serve(socket, stop).await
            }
            Bound::Tcp { listener, tls, watches } => {
                let (certificate, clients) = *watches;
                let service = service.router(Some(clients.current()));
                let served = Server { service, tls, limits, meters }.serve(listener, stop);
                let certificate = certificate.watch(POLL_INTERVAL);
                let clients = clients.watch(POLL_INTERVAL);
                let watched = async { tokio::join!(certificate, clients) };
                tokio::select! {
                    drained = served => drained,
                    _ = watched => Drained { cut: 0 },
                }
            }
        }
    }
}

/// TLS 1.3 with the certificates and authorities that are current at each handshake. Sessions are
/// not resumed: each connection proves its certificate anew.
fn mutual(certificate: &CertificateWatch, clients: &ClientsWatch) -> Result<Tls, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(clients.current())
        .with_cert_resolver(certificate.current());
    config.alpn_protocols = vec![ALPN_HTTP2.to_vec()];
    config.max_early_data_size = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Tls::Terminate(Arc::new(config)))
}

const fn limits() -> Limits {
    Limits {
        // Twice a message, so that a message that is too long is told so.
        body_bytes_max: 2 * REQUEST_BYTES_MAX,
        connections_max: CONNECTIONS_MAX,
        streams_max: STREAMS_MAX,
        drain: DRAIN,
        ..Limits::public()
    }
}
