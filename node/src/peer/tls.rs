//! Mutual TLS between nodes: 1.3 only, one application protocol, nothing resumed, so that every
//! connection is judged by the certificates of its own moment.

use std::{io, sync::Arc, time::Duration};

use exequatur_federation::{
    ledger::Fixed,
    membership::{Certified, NodeId, PEER_PROTOCOL},
};
use rustls::{
    ClientConfig, CommonState, ServerConfig, SignatureScheme,
    client::{ResolvesClientCert, Resumption},
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert},
    sign::CertifiedKey,
    time_provider::TimeProvider,
    version::TLS13,
};
use rustls_pki_types::{ServerName, UnixTime};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use super::{
    credentials::{Credentials, CurrentCredentials},
    directory::Directory,
    name::{PeerName, Usage},
    transport::{ConnectError, PeerAcceptor, PeerConnector, Secured},
    verifier::{AnyNode, Dialled},
};
use crate::{clock::Clock, net::tls::provider};

/// The label under which both ends name their connection (RFC 8446 section 7.5).
const EXPORTER_LABEL: &[u8] = b"EXPORTER-exequatur-peer";

/// TLS asks for a name; nodes have none of its kind. It is not sent.
const NAME_OF_NOBODY: &str = "node.exequatur.invalid";

/// Connects to nodes over TCP and TLS.
pub struct TlsConnector {
    directory: Arc<Directory>,
    credentials: Arc<CurrentCredentials>,
    clock: Arc<dyn Clock>,
}

/// Secures connections of nodes by TLS.
pub struct TlsAcceptor {
    credentials: Arc<CurrentCredentials>,
    clock: Arc<dyn Clock>,
    inner: tokio_rustls::TlsAcceptor,
}

impl TlsConnector {
    /// A connector to the nodes of `directory`.
    #[must_use]
    pub fn new(
        directory: Arc<Directory>,
        credentials: Arc<CurrentCredentials>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { directory, credentials, clock }
    }

    fn config(&self, name: PeerName) -> Result<ClientConfig, rustls::Error> {
        let credentials = self.credentials.load();
        let own = Arc::clone(&credentials.own);
        let time = Arc::new(Time(Arc::clone(&self.clock)));
        let mut config = ClientConfig::builder_with_details(provider(), time)
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Dialled { name, credentials }))
            .with_client_cert_resolver(Arc::new(Own(own)));
        config.alpn_protocols = vec![PEER_PROTOCOL.to_vec()];
        config.resumption = Resumption::disabled();
        config.enable_sni = false;
        Ok(config)
    }
}

impl PeerConnector for TlsConnector {
    type Io = tokio_rustls::client::TlsStream<TcpStream>;

    async fn connect(&self, node: NodeId) -> Result<Secured<Self::Io>, ConnectError> {
        let entry = self.directory.nodes.get(&node).ok_or(ConnectError::Unknown { node })?;
        let number = self.directory.regions.get(&entry.region).copied();
        let region = number.ok_or(ConnectError::Unknown { node })?;
        let name = PeerName { region: entry.region.clone(), node };
        let config = self.config(name).map_err(|source| ConnectError::Tls { node, source })?;
        let unreachable =
            |source| ConnectError::Io { node, address: entry.address.clone(), source };
        let stream = TcpStream::connect(&entry.address).await.map_err(unreachable)?;
        // A message is one write: Nagle's algorithm would only delay it.
        stream.set_nodelay(true).map_err(unreachable)?;
        let nobody = ServerName::try_from(NAME_OF_NOBODY)
            .map_err(|error| unreachable(io::Error::other(error)))?;
        let io = tokio_rustls::TlsConnector::from(Arc::new(config))
            .connect(nobody, stream)
            .await
            .map_err(unreachable)?;
        let (_, tls) = io.get_ref();
        let channel = tls
            .export_keying_material([0; 32], EXPORTER_LABEL, None)
            .map(Fixed)
            .map_err(|source| ConnectError::Tls { node, source })?;
        speaks_our_protocol(tls).map_err(unreachable)?;
        Ok(Secured { io, certified: Certified { region, node }, channel })
    }
}

impl TlsAcceptor {
    /// An acceptor that goes by the credentials of each moment.
    ///
    /// # Errors
    /// The cryptographic provider does not speak TLS 1.3.
    pub fn new(
        credentials: Arc<CurrentCredentials>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, rustls::Error> {
        let provider = provider();
        let verifier = AnyNode::new(Arc::clone(&credentials), &provider);
        let time = Arc::new(Time(Arc::clone(&clock)));
        let mut config = ServerConfig::builder_with_details(provider, time)
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_cert_resolver(Arc::new(OwnOfTheMoment(Arc::clone(&credentials))));
        config.alpn_protocols = vec![PEER_PROTOCOL.to_vec()];
        config.max_early_data_size = 0;
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        let inner = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        Ok(Self { credentials, clock, inner })
    }
}

impl<Raw> PeerAcceptor<Raw> for TlsAcceptor
where
    Raw: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Io = tokio_rustls::server::TlsStream<Raw>;

    async fn secure(&self, raw: Raw) -> Result<Secured<Self::Io>, io::Error> {
        let io = self.inner.accept(raw).await?;
        let (_, tls) = io.get_ref();
        speaks_our_protocol(tls)?;
        let chain = tls.peer_certificates().and_then(<[_]>::split_first);
        let chain = chain.ok_or_else(|| io::Error::other("no certificate came"))?;
        // Verified in the handshake already; asked again for what it says.
        let now = Time(Arc::clone(&self.clock)).current_time();
        let now = now.ok_or_else(|| io::Error::other("no time"))?;
        let credentials: Arc<Credentials> = self.credentials.load();
        let (_, certified) =
            credentials.verify(chain, Usage::Client, now).map_err(io::Error::other)?;
        let channel = tls
            .export_keying_material([0; 32], EXPORTER_LABEL, None)
            .map(Fixed)
            .map_err(io::Error::other)?;
        Ok(Secured { io, certified, channel })
    }
}

/// The library goes on without a protocol when an end names none.
fn speaks_our_protocol(tls: &CommonState) -> io::Result<()> {
    if tls.alpn_protocol() == Some(PEER_PROTOCOL) {
        return Ok(());
    }
    Err(io::Error::other("the other end does not speak the protocol of nodes"))
}

/// The clock of the node, for certificates' dates.
struct Time(Arc<dyn Clock>);

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0.now().seconds())))
    }
}

/// The certificate of one connection.
#[derive(Debug)]
struct Own(Arc<CertifiedKey>);

impl ResolvesClientCert for Own {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _sigschemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// The certificate of the next connection.
#[derive(Debug)]
struct OwnOfTheMoment(Arc<CurrentCredentials>);

impl ResolvesServerCert for OwnOfTheMoment {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.load().own))
    }
}

impl std::fmt::Debug for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Time")
    }
}

impl std::fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsConnector").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for TlsAcceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsAcceptor").finish_non_exhaustive()
    }
}
