//! A program that is no node, at the door of one: it speaks TLS, the greeting and HTTP/2 by itself,
//! so that it can lie about each. What it tries to do is raise the term of the federation.

use std::{convert::Infallible, sync::Arc, time::Duration};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use bytes::{BufMut as _, Bytes, BytesMut};
use exequatur_federation::{
    jose::PublicKey,
    ledger::{Fixed, IdentityKey, Vote, with_low_s},
    membership::{End, Greeting, Hello, HelloRefused, NodeId, PEER_PROTOCOL},
};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs::default_provider},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::authority::Pair;

/// Nobody is this patient with a stranger.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// How the door was closed, or that it was not.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Met {
    /// Closed without a word that is understood.
    Closed,
    /// The greeting is refused.
    Refused(HelloRefused),
    /// The vote was heard: the gRPC status.
    Heard(String),
}

/// What it shows and says. Absent means that it leaves the step out.
pub(crate) struct Stranger<'a> {
    /// Its certificate.
    pub(crate) certificate: Option<&'a Pair>,
    /// Its greeting, and the PKCS#8 form of the key that signs it.
    pub(crate) greeting: Option<(Greeting, &'a [u8])>,
    /// The term that it asks votes for.
    pub(crate) term: u64,
}

/// A key of nobody in the federation.
pub(crate) fn key_of_nobody() -> Vec<u8> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    pair.to_pkcs8v1().unwrap().as_ref().to_vec()
}

impl Stranger<'_> {
    /// Comes to the node at `address`, gets as far as it is let, and asks `node` to be voted for.
    pub(crate) fn visit(&self, address: &str, candidate: NodeId) -> Met {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let visit = self.come(address, candidate);
            let met = tokio::time::timeout(ANSWER_WITHIN, visit).await;
            met.expect("the node neither answers nor closes the connection")
        })
    }

    async fn come(&self, address: &str, candidate: NodeId) -> Met {
        let Ok(mut stream) = self.secured(address).await else { return Met::Closed };
        if let Some((greeting, key)) = &self.greeting {
            let hello = signed(&stream, greeting, key).seal();
            let Ok(answer) = exchange(&mut stream, &hello).await else { return Met::Closed };
            if let Ok(refused) = HelloRefused::open(&answer) {
                return Met::Refused(refused);
            }
            Hello::open(&answer).unwrap();
        }
        match ask_for_vote(stream, self.term, candidate).await {
            Ok(status) => Met::Heard(status),
            Err(_) => Met::Closed,
        }
    }

    async fn secured(&self, address: &str) -> std::io::Result<TlsStream<TcpStream>> {
        let provider = Arc::new(default_provider());
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider)));
        let mut config = match self.certificate {
            Some(pair) => {
                let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes());
                let key = PrivateKeyDer::from_pem_slice(pair.private_key.as_bytes()).unwrap();
                let chain = chain.map(Result::unwrap).collect();
                config.with_client_auth_cert(chain, key).unwrap()
            }
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = vec![PEER_PROTOCOL.to_vec()];
        config.enable_sni = false;
        let tcp = TcpStream::connect(address).await?;
        let name = ServerName::try_from("node.invalid").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, tcp).await
    }
}

fn signed(stream: &TlsStream<TcpStream>, greeting: &Greeting, pkcs8: &[u8]) -> Hello {
    let (_, tls) = stream.get_ref();
    let channel =
        tls.export_keying_material([0; 32], b"EXPORTER-exequatur-peer", None).map(Fixed).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).unwrap();
    let public = PublicKey::p256_from_point(pair.public_key().as_ref()).unwrap();
    let message = greeting.signing_bytes(End::Initiator, &channel);
    let signature = pair.sign(&SystemRandom::new(), &message).unwrap();
    let signature = with_low_s(&Fixed(signature.as_ref().try_into().unwrap()));
    Hello { greeting: *greeting, key: IdentityKey::from_public(&public).unwrap(), signature }
}

async fn exchange(stream: &mut TlsStream<TcpStream>, hello: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_u16(u16::try_from(hello.len()).unwrap()).await?;
    stream.write_all(hello).await?;
    stream.flush().await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

/// A `VoteRequest` of `peer.proto`, written by hand: a vote (field 1), the log's end (2) and that a
/// leader asked for it (3). The log is longer than anybody's, so that nothing but who asks can be a
/// reason to refuse.
fn vote_request(vote: &Vote) -> Vec<u8> {
    let mut last = Vec::new();
    last.push(0x08);
    varint(&mut last, vote.term - 1);
    last.push(0x11);
    last.extend_from_slice(&vote.node.bits().to_le_bytes());
    last.push(0x18);
    varint(&mut last, 1 << 40);
    let mut message = Vec::new();
    for (tag, field) in [(0x0a, vote.seal()), (0x12, last)] {
        message.push(tag);
        varint(&mut message, field.len() as u64);
        message.extend_from_slice(&field);
    }
    message.extend_from_slice(&[0x18, 1]);
    message
}

/// A number in groups of seven bits, the lowest first.
fn varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

/// Asks for a vote by gRPC; the status of the answer.
async fn ask_for_vote(
    stream: TlsStream<TcpStream>,
    term: u64,
    candidate: NodeId,
) -> hyper::Result<String> {
    let io = TokioIo::new(stream);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
    let driving = async move {
        // It ends with the answer, or with the other end.
        connection.await.ok();
        std::future::pending::<Infallible>().await
    };
    let message = vote_request(&Vote { term, node: candidate, committed: false });
    let mut body = BytesMut::new();
    body.put_u8(0);
    body.put_u32(u32::try_from(message.len()).unwrap());
    body.put_slice(&message);
    let request = http::Request::post("http://node.invalid/exequatur.peer.v1.Peer/Vote")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::<Bytes>::new(body.freeze()))
        .unwrap();
    let asking = async {
        let response = sender.send_request(request).await?;
        let early = response.headers().get("grpc-status").cloned();
        let body = response.into_body().collect().await?;
        let late = body.trailers().and_then(|t| t.get("grpc-status").cloned());
        let status = early.or(late);
        Ok(status.map_or_else(String::new, |s| s.to_str().unwrap().to_owned()))
    };
    tokio::select! {
        answered = asking => answered,
        never = driving => match never {},
    }
}

/// Trusts every server: it is the server who must not trust.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

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
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
