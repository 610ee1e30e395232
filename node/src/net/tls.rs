//! TLS as every listener of a node speaks it: rustls on aws-lc-rs, 1.2 and 1.3, HTTP/2 or
//! HTTP/1.1 by ALPN (RFC 7301).
//!
//! Early data stays off: it can be replayed, and a token request must not be.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ServerSessionMemoryCache, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};

use crate::net::certificate::CurrentCertificate;

/// ALPN's name of HTTP/2.
pub(crate) const ALPN_HTTP2: &[u8] = b"h2";

/// ALPN's name of HTTP/1.1.
const ALPN_HTTP11: &[u8] = b"http/1.1";

/// Sessions that can be resumed, which saves a client half a handshake: a session is under 2 KiB,
/// so that all take at most 8 MiB.
const RESUMABLE_SESSIONS_MAX: usize = 4_096;

/// Whether a listener speaks TLS.
#[derive(Clone, Debug)]
pub enum Tls {
    /// No TLS. Ask [`plain_allowed`](crate::net::listener::plain_allowed) first.
    Plain,
    /// TLS with this configuration.
    Terminate(Arc<ServerConfig>),
}

impl Tls {
    /// TLS with the certificate that is current at each handshake, and client certificates as
    /// `clients` wants them.
    ///
    /// # Errors
    /// The cryptographic provider lacks a protocol version.
    pub fn terminate(
        certificate: Arc<CurrentCertificate>,
        clients: Arc<dyn ClientCertVerifier>,
    ) -> Result<Self, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_client_cert_verifier(clients)
            .with_cert_resolver(certificate);
        config.alpn_protocols = vec![ALPN_HTTP2.to_vec(), ALPN_HTTP11.to_vec()];
        config.max_early_data_size = 0;
        config.session_storage = ServerSessionMemoryCache::new(RESUMABLE_SESSIONS_MAX);
        Ok(Self::Terminate(Arc::new(config)))
    }
}

/// For listeners whose clients authenticate inside HTTP.
#[must_use]
pub fn no_client_certificates() -> Arc<dyn ClientCertVerifier> {
    WebPkiClientVerifier::no_client_auth()
}

/// The cryptography of all TLS in a node.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
