//! Whether a certificate is the one of a node: its name says which region's authority must have
//! signed it, and no other authority counts. Chains are verified by the library.

use std::sync::Arc;

use exequatur_federation::membership::Certified;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    client::verify_server_cert_signed_by_trust_anchor,
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature},
    server::{
        ParsedCertificate, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{
    credentials::{Credentials, CurrentCredentials},
    name::{NameError, PeerName, Usage},
};
use crate::net::tls::provider;

/// Verifies that who answers is the node that was dialled.
#[derive(Debug)]
pub(super) struct Dialled {
    pub(super) name: PeerName,
    pub(super) credentials: Arc<Credentials>,
}

/// Verifies that who connects is some node.
#[derive(Debug)]
pub(super) struct AnyNode {
    pub(super) credentials: Arc<CurrentCredentials>,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl AnyNode {
    pub(super) fn new(credentials: Arc<CurrentCredentials>, provider: &CryptoProvider) -> Self {
        Self { credentials, algorithms: provider.signature_verification_algorithms }
    }
}

impl Credentials {
    /// Verifies that a chain ends in the authority of the region that the leaf names, and that the
    /// leaf is meant for its end of the connection.
    pub(super) fn verify(
        &self,
        chain: (&CertificateDer<'_>, &[CertificateDer<'_>]),
        usage: Usage,
        now: UnixTime,
    ) -> Result<(PeerName, Certified), Error> {
        let (leaf, intermediates) = chain;
        let name = PeerName::of(leaf, &self.federation, usage).map_err(not_a_node)?;
        let authority = self.authorities.get(&name.region);
        let authority = authority.ok_or(CertificateError::UnknownIssuer)?;
        let roots = &authority.roots;
        match usage {
            Usage::Server => verify_server_cert_signed_by_trust_anchor(
                &ParsedCertificate::try_from(leaf)?,
                roots,
                intermediates,
                now,
                provider().signature_verification_algorithms.all,
            )?,
            Usage::Client => {
                WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider())
                    .build()
                    .map_err(|error| Error::General(error.to_string()))?
                    .verify_client_cert(leaf, intermediates, now)?;
            }
        }
        let certified = Certified { region: authority.number, node: name.node };
        Ok((name, certified))
    }
}

fn not_a_node(error: NameError) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error))))
}

/// Never used: only TLS 1.3 is spoken.
fn no_tls12() -> Error {
    Error::General("TLS 1.2 is not spoken between nodes".to_owned())
}

impl ServerCertVerifier for Dialled {
    /// A node has no DNS name, so the name that TLS asks for says nothing: the certificate's URI
    /// must be the dialled node's.
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let federation = &self.credentials.federation;
        let name = PeerName::of(end_entity, federation, Usage::Server).map_err(not_a_node)?;
        if name != self.name {
            let (got, expected) = (name.uri(federation), self.name.uri(federation));
            return Err(not_a_node(NameError::Other { got, expected }));
        }
        self.credentials.verify((end_entity, intermediates), Usage::Server, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = provider().signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for AnyNode {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // Who is asked has one certificate.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let credentials = self.credentials.load();
        credentials.verify((end_entity, intermediates), Usage::Client, now)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
