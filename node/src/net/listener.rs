//! The transport seam: where connections come from, and who is at their other end.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

use crate::telemetry::address::TruncatedAddress;

/// A source of connections: the machine's TCP, or the simulator's.
pub trait Listener: Send {
    /// One connection.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection and where it comes from. Dropping the future loses no
    /// connection.
    ///
    /// # Errors
    /// The connection was lost before it was taken, or the system is out of resources.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Io, Origin)>> + Send;
}

impl Listener for TcpListener {
    type Io = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, Origin)> {
        let (stream, address) = Self::accept(self).await?;
        // An answer is one small write: Nagle's algorithm would only delay it.
        stream.set_nodelay(true)?;
        Ok((stream, Origin::Network(address)))
    }
}

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An address as the transport sees it: of a proxy, if one stands between.
    Network(SocketAddr),
    /// A process of this machine, run by this user when it connected.
    Local {
        /// The user.
        uid: u32,
    },
}

impl fmt::Display for Origin {
    /// For logs: an address only as far as it names a network.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(address) => TruncatedAddress::of(address.ip()).fmt(f),
            Self::Local { uid } => write!(f, "user {uid}"),
        }
    }
}

/// The other end of a connection, in the extensions of each of its requests.
#[derive(Clone, Debug)]
pub struct Remote {
    /// Where it comes from.
    pub origin: Origin,
    /// The certificates it proved to hold, leaf first; `None` without TLS client authentication.
    pub certificates: Option<Arc<[CertificateDer<'static>]>>,
}

/// Whether HTTP without TLS may be served on `address`: on loopback only.
///
/// # Errors
/// The address can be reached from other machines.
pub fn plain_allowed(address: SocketAddr) -> Result<(), PlainRefused> {
    if address.ip().to_canonical().is_loopback() { Ok(()) } else { Err(PlainRefused { address }) }
}

/// Plain HTTP was asked for where others could read along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "plain HTTP is refused on `{address}`, which other machines can reach: \
     configure a certificate, or listen on `127.0.0.1` or `[::1]`"
)]
pub struct PlainRefused {
    address: SocketAddr,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_shown_without_the_host() {
        let network = Origin::Network("192.0.2.77:443".parse().unwrap());
        assert_eq!(network.to_string(), "192.0.2.0/24");
        assert_eq!(Origin::Local { uid: 7 }.to_string(), "user 7");
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
        for address in ["127.0.0.1:8080", "127.9.9.9:1", "[::1]:8080", "[::ffff:127.0.0.1]:80"] {
            assert_eq!(plain_allowed(address.parse().unwrap()), Ok(()), "{address}");
        }
        for address in ["0.0.0.0:80", "[::]:80", "10.0.0.1:80", "192.0.2.1:80", "[fe80::1]:80"] {
            let refused = plain_allowed(address.parse().unwrap()).unwrap_err();
            assert!(refused.to_string().contains(address), "{refused}");
        }
    }
}
