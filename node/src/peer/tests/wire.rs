//! A service that says who called, and ways to call it.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use exequatur_federation::{
    ledger::Fixed,
    membership::{Certified, End, Hello, HelloRefused, PEER_PROTOCOL},
};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::{body::Incoming, client::conn::http2::SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::verify_tls13_signature,
    version::{TLS12, TLS13},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};
use tokio_rustls::client::TlsStream;

use crate::{
    net::tls::provider,
    peer::{
        Answers, Standpoint as _,
        testing::{Serving, TestNode},
        transport::PeerIo,
    },
};

pub(super) fn whoami() -> impl Answers {
    tower::service_fn(|request: Request<Incoming>| async move {
        let caller = request.extensions().get::<Certified>().unwrap();
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(caller.node.to_string()))))
    })
}

/// A connection that calls can be made on.
pub(super) struct Calls {
    sender: SendRequest<Empty<Bytes>>,
    connection: JoinSet<()>,
}

impl Calls {
    pub(super) async fn over(io: impl PeerIo) -> Self {
        let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .handshake(TokioIo::new(io))
            .await
            .unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async {
            let _ended = connection.await;
        });
        Self { sender, connection: tasks }
    }

    pub(super) async fn call(&mut self) -> Result<String, hyper::Error> {
        let request = Request::get("http://node/").body(Empty::new()).unwrap();
        let answer = self.sender.send_request(request).await?;
        let body = answer.into_body().collect().await?.to_bytes();
        Ok(String::from_utf8(body.to_vec()).unwrap())
    }

    /// Waits for the other end to end the connection.
    pub(super) async fn ended(&mut self) {
        self.connection.join_next().await;
    }
}

/// Verifies that the server holds its certificate's key, and nothing else.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = provider().signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

/// How somebody who is no node of ours tries to connect.
pub(super) struct Stranger {
    pub(super) pair: Option<(String, String)>,
    pub(super) protocols: Vec<Vec<u8>>,
    pub(super) old: bool,
}

impl Stranger {
    pub(super) fn with(pair: (String, String)) -> Self {
        Self { pair: Some(pair), protocols: vec![PEER_PROTOCOL.to_vec()], old: false }
    }

    /// A connection after the handshake as the client sees it; the server may not have let it in.
    pub(super) async fn connect(self, to: &Serving) -> std::io::Result<TlsStream<TcpStream>> {
        let versions = if self.old { [&TLS12] } else { [&TLS13] };
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody));
        let mut config = match self.pair {
            Some((certificate, key)) => builder
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                    PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
                )
                .unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = self.protocols;
        let stream = TcpStream::connect(to.address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    /// Whether the server says anything at all, to a good greeting of `node`.
    pub(super) async fn answered(self, to: &Serving, node: &TestNode, server: &TestNode) -> bool {
        let Ok(mut io) = self.connect(to).await else { return false };
        let hello = hello(node, server, &channel(&io));
        greet(&mut io, &hello.seal()).await.is_some()
    }
}

pub(super) fn channel(io: &TlsStream<TcpStream>) -> Fixed<32> {
    let label = b"EXPORTER-exequatur-peer";
    Fixed(io.get_ref().1.export_keying_material([0; 32], label, None).unwrap())
}

/// The greeting of `node` to `server` as an initiator.
pub(super) fn hello(node: &TestNode, server: &TestNode, channel: &Fixed<32>) -> Hello {
    let greeting = node.standpoint.greeting(server.id);
    let signature = node.greeter.key.sign(&greeting.signing_bytes(End::Initiator, channel));
    Hello { greeting, key: node.greeter.key.identity(), signature: signature.unwrap() }
}

/// Sends a frame and gives the frame that comes back; `None` if the connection ends instead.
pub(super) async fn greet<Io: AsyncRead + AsyncWrite + Unpin>(
    io: &mut Io,
    frame: &[u8],
) -> Option<Vec<u8>> {
    io.write_u16(u16::try_from(frame.len()).unwrap()).await.ok()?;
    io.write_all(frame).await.ok()?;
    io.flush().await.ok()?;
    let mut answer = vec![0; io.read_u16().await.ok()?.into()];
    io.read_exact(&mut answer).await.ok()?;
    Some(answer)
}

/// What the server answers to a frame: that it speaks, or why not.
pub(super) fn verdict(answer: &[u8]) -> Result<(), HelloRefused> {
    match HelloRefused::open(answer) {
        Ok(refused) => Err(refused),
        Err(_) => {
            Hello::open(answer).unwrap();
            Ok(())
        }
    }
}
