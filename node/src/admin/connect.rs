//! The client's connection to a service: over its Unix socket, or over TLS with an operator's
//! certificate. Files are read here; what is asked for is not known.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, version::TLS13};
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer, ServerName,
    pem::{self, PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

use super::{
    service::{REPLY_BYTES_MAX, REQUEST_BYTES_MAX},
    wire::admin_client::AdminClient as Stub,
};
use crate::net::tls::provider;

/// From the first packet to the end of the handshake, across the slowest link.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// Longer than the service lets a request take, so that it says itself what became of it.
const CALL_MAX: Duration = Duration::from_secs(75);

/// Where a service is, and how to show who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A Unix socket: the kernel says who asks.
    Unix(PathBuf),
    /// Host and port: a certificate does.
    Tcp {
        /// `host:port`.
        address: String,
        /// The files.
        credentials: Credentials,
    },
}

/// Files of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// PEM file of the certificate chain, leaf first.
    pub certificate: PathBuf,
    /// PEM file of its private key.
    pub private_key: PathBuf,
    /// PEM file of the authorities that certify the service.
    pub ca: PathBuf,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No socket.
    #[error("nothing listens on `{}`: is the node running?", path.display())]
    NotRunning {
        /// Where.
        path: PathBuf,
    },
    /// The socket is another user's.
    #[error(
        "`{}` is for the node's own user and root only: run this as one of them",
        path.display()
    )]
    OtherUser {
        /// Where.
        path: PathBuf,
    },
    /// The socket cannot be used.
    #[error("`{}` cannot be used", path.display())]
    Socket {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The address is none.
    #[error("`{address}` is no host and port, as `eu1.example:8444`")]
    Address {
        /// As it was given.
        address: String,
    },
    /// A file cannot be used.
    #[error("`{}` is not the PEM file that is expected here", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// Certificate, key or authorities do not go together.
    #[error("the certificate files cannot be used")]
    Tls(#[source] rustls::Error),
    /// Nobody answers there.
    #[error("`{address}` cannot be reached")]
    Unreachable {
        /// Where.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// It does not answer in time.
    #[error("`{place}` did not answer within {} s", CONNECT_MAX.as_secs())]
    Slow {
        /// Where.
        place: String,
    },
    /// It answers, but not as an operator's service.
    #[error("what answers is no operator's service, or refuses the certificate")]
    Protocol(#[source] tonic::transport::Error),
}

/// Connects, and fails within [`CONNECT_MAX`].
pub(super) async fn stub(target: &Target) -> Result<Stub<Channel>, ConnectError> {
    let place = match target {
        Target::Unix(path) => path.display().to_string(),
        Target::Tcp { address, .. } => address.clone(),
    };
    let connected = timeout(CONNECT_MAX, async {
        match target {
            Target::Unix(path) => over(unix(path).await?).await,
            Target::Tcp { address, credentials } => over(tls(address, credentials).await?).await,
        }
    });
    connected.await.unwrap_or(Err(ConnectError::Slow { place }))
}

async fn unix(path: &Path) -> Result<UnixStream, ConnectError> {
    let place = || path.to_owned();
    UnixStream::connect(path).await.map_err(|source| {
        let kind = source.kind();
        if matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) {
            ConnectError::NotRunning { path: place() }
        } else if kind == io::ErrorKind::PermissionDenied {
            ConnectError::OtherUser { path: place() }
        } else {
            ConnectError::Socket { path: place(), source }
        }
    })
}

async fn tls(
    address: &str,
    credentials: &Credentials,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, ConnectError> {
    let no_address = || ConnectError::Address { address: address.to_owned() };
    let (host, port) = address.rsplit_once(':').ok_or_else(no_address)?;
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let port: u16 = port.parse().map_err(|_| no_address())?;
    let name = ServerName::try_from(host.to_owned()).map_err(|_| no_address())?;
    let connector = TlsConnector::from(Arc::new(client_config(credentials)?));
    let unreachable = |source| ConnectError::Unreachable { address: address.to_owned(), source };
    let stream = TcpStream::connect((host, port)).await.map_err(unreachable)?;
    stream.set_nodelay(true).map_err(unreachable)?;
    connector.connect(name, stream).await.map_err(unreachable)
}

fn client_config(files: &Credentials) -> Result<ClientConfig, ConnectError> {
    let file = |path: &Path| {
        let path = path.to_owned();
        move |source| ConnectError::File { path, source }
    };
    let certificates = |path: &Path| {
        let read = CertificateDer::pem_file_iter(path).map_err(file(path))?;
        read.collect::<Result<Vec<_>, _>>().map_err(file(path))
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&files.ca)? {
        roots.add(certificate).map_err(ConnectError::Tls)?;
    }
    let key = PrivateKeyDer::from_pem_file(&files.private_key).map_err(file(&files.private_key))?;
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(ConnectError::Tls)?
        .with_root_certificates(roots)
        .with_client_auth_cert(certificates(&files.certificate)?, key)
        .map_err(ConnectError::Tls)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// A channel over this one connection; it never makes another.
async fn over<Io>(io: Io) -> Result<Stub<Channel>, ConnectError>
where
    Io: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let io = Mutex::new(Some(TokioIo::new(io)));
    let connector = tower::service_fn(move |_: Uri| {
        let io = io.lock().unwrap_or_else(PoisonError::into_inner).take();
        std::future::ready(io.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected)))
    });
    // The name is not looked up: the connection is there.
    let channel = Endpoint::from_static("http://node.admin")
        .timeout(CALL_MAX)
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(10))
        .connect_with_connector(connector)
        .await
        .map_err(ConnectError::Protocol)?;
    Ok(Stub::new(channel)
        .max_decoding_message_size(REPLY_BYTES_MAX)
        .max_encoding_message_size(REQUEST_BYTES_MAX))
}
