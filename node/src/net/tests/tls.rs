//! Handshakes that fail or hang, client certificates, and certificates replaced while serving.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use exequatur_federation::time::UnixTime;
use rcgen::{CertificateParams, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::harness::{
    Running, SHORT, ask, echo, metrics, patient, read_to_close, self_signed, until,
};
use crate::clock::{Clock as _, SystemClock};
use crate::net::certificate::{CertificateWatch, PairError, PairFiles, Reload};
use crate::net::limits::Limits;
use crate::net::listener::Remote;
use crate::net::tls::{Tls, no_client_certificates, provider};

/// A server with a pair on disk, and its reloader.
struct Served {
    server: Running,
    watch: CertificateWatch,
    directory: TempDir,
}

impl Served {
    async fn start(limits: Limits, pair: &(String, String)) -> Self {
        let directory = TempDir::new().unwrap();
        install(&directory, pair);
        let watch = open(&directory).await.unwrap();
        let tls = Tls::terminate(watch.current(), no_client_certificates()).unwrap();
        let server = Running::start(limits, tls, echo()).await;
        Self { server, watch, directory }
    }
}

fn install(directory: &TempDir, (certificate, key): &(String, String)) {
    fs::write(directory.path().join("tls.crt"), certificate).unwrap();
    fs::write(directory.path().join("tls.key"), key).unwrap();
}

async fn open(directory: &TempDir) -> Result<CertificateWatch, PairError> {
    let path = directory.path();
    let files = PairFiles { certificates: path.join("tls.crt"), key: path.join("tls.key") };
    CertificateWatch::open(files, Arc::new(SystemClock::start()), metrics()).await
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// A client that trusts `roots` and speaks HTTP/1.1.
fn client(roots: &[&str]) -> ClientConfig {
    let mut trusted = RootCertStore::empty();
    for root in roots {
        trusted.add(der(root)).unwrap();
    }
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(trusted)
        .with_no_client_auth()
}

async fn connect(server: &Running, config: ClientConfig) -> TlsStream<TcpStream> {
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, server.connect().await).await.unwrap()
}

fn leaf(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone()
}

#[tokio::test]
async fn alpn_chooses_http2_and_falls_back_to_http1() {
    let pair = self_signed();
    let served = Served::start(patient(), &pair).await;
    for (offered, chosen) in
        [(vec!["h2", "http/1.1"], Some("h2")), (vec!["http/1.1"], Some("http/1.1")), (vec![], None)]
    {
        let mut config = client(&[&pair.0]);
        config.alpn_protocols = offered.iter().map(|p| p.as_bytes().to_vec()).collect();
        let mut stream = connect(&served.server, config).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), chosen.map(str::as_bytes));
        if chosen != Some("h2") {
            assert!(ask(&mut stream).await.contains("200 OK"));
        }
    }
}

#[tokio::test]
async fn plain_http_on_a_tls_port_gets_no_http_answer() {
    let served = Served::start(patient(), &self_signed()).await;
    let mut stream = served.server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert!(!read_to_close(&mut stream).await.contains("HTTP"));
    assert_eq!(served.server.meters.handshake_failures.get(), 1);
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_cut() {
    let limits = Limits { handshake: SHORT, ..patient() };
    let served = Served::start(limits, &self_signed()).await;
    let half_a_record_head = b"\x16\x03\x01";
    for begun in [&b""[..], half_a_record_head] {
        let mut stream = served.server.connect().await;
        stream.write_all(begun).await.unwrap();
        assert_eq!(read_to_close(&mut stream).await, "");
    }
    assert_eq!(served.server.meters.handshake_failures.get(), 2);
    until(|| served.server.meters.open.get() == 0).await;
}

#[tokio::test]
async fn a_connection_silent_after_its_handshake_is_cut() {
    let pair = self_signed();
    let served = Served::start(Limits { header_read: SHORT, ..patient() }, &pair).await;
    let mut stream = connect(&served.server, client(&[&pair.0])).await;
    assert_eq!(read_to_close(&mut stream).await, "");
}

#[tokio::test]
async fn handlers_see_the_client_certificate() {
    let pair = self_signed();
    let directory = TempDir::new().unwrap();
    install(&directory, &pair);
    let (client_certificate, client_key) = self_signed();
    let mut roots = RootCertStore::empty();
    roots.add(der(&client_certificate)).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let watch = open(&directory).await.unwrap();
    let tls = Tls::terminate(watch.current(), verifier.build().unwrap()).unwrap();
    let router = axum::Router::new().fallback(|request: axum::extract::Request| async move {
        let remote = request.extensions().get::<Remote>().unwrap();
        remote.certificates.as_ref().unwrap()[0].to_vec()
    });
    let server = Running::start(patient(), tls, router).await;
    let mut trusted = RootCertStore::empty();
    trusted.add(der(&pair.0)).unwrap();
    let key = PrivateKeyDer::from_pem_slice(client_key.as_bytes()).unwrap();
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(trusted)
        .with_client_auth_cert(vec![der(&client_certificate)], key)
        .unwrap();
    let mut stream = connect(&server, config).await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let answer = read_to_close(&mut stream).await;
    let length = format!("content-length: {}\r\n", der(&client_certificate).len());
    assert!(answer.contains(&length), "{answer}");
    // Without one there is no connection: TLS 1.3 says so at the first read.
    let mut without = connect(&server, client(&[&pair.0])).await;
    assert_eq!(read_to_close(&mut without).await, "");
}

#[tokio::test]
async fn a_new_certificate_is_served_to_new_connections_and_old_ones_go_on() {
    let (old, new) = (self_signed(), self_signed());
    let mut served = Served::start(patient(), &old).await;
    let roots = [old.0.as_str(), new.0.as_str()];
    let mut before = connect(&served.server, client(&roots)).await;
    assert!(ask(&mut before).await.contains("200 OK"));
    assert_eq!(served.watch.reload_if_changed().await.unwrap(), Reload::Unchanged);
    install(&served.directory, &new);
    let reloaded = served.watch.reload_if_changed().await.unwrap();
    assert!(matches!(reloaded, Reload::Replaced { .. }));
    let mut after = connect(&served.server, client(&roots)).await;
    assert_eq!((leaf(&before), leaf(&after)), (der(&old.0), der(&new.0)));
    assert!(ask(&mut before).await.contains("200 OK"));
    assert!(ask(&mut after).await.contains("200 OK"));
}

/// A pair of which the certificate's validity lies in the years given.
fn dated(years: (i32, i32)) -> (String, String) {
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

#[tokio::test]
async fn a_bad_pair_is_reported_once_and_the_old_one_serves_on() {
    let (good, other) = (self_signed(), self_signed());
    let mut served = Served::start(patient(), &good).await;
    let cases: &[(&str, (String, String))] = &[
        ("does not serve certificate", (good.0.clone(), other.1.clone())),
        ("holds no certificate", (String::new(), good.1.clone())),
        ("is not the PEM file", (good.0.clone(), "no key".to_owned())),
        ("is not the PEM file", (good.0.clone(), good.0.clone())),
        ("is longer than", (" ".repeat(70_000), good.1.clone())),
        ("check the clock, or renew it", dated((1999, 2000))),
        ("check the clock, or renew it", dated((4000, 4001))),
    ];
    for (reason, pair) in cases {
        install(&served.directory, pair);
        let error = served.watch.reload_if_changed().await.unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
        let mut stream = connect(&served.server, client(&[&good.0])).await;
        assert_eq!(leaf(&stream), der(&good.0));
        assert!(ask(&mut stream).await.contains("200 OK"));
    }
    install(&served.directory, &cases[0].1);
    assert!(served.watch.reload_if_changed().await.is_err());
    assert_eq!(served.watch.reload_if_changed().await.unwrap(), Reload::Unchanged);
    fs::remove_file(served.directory.path().join("tls.key")).unwrap();
    let error = served.watch.reload_if_changed().await.unwrap_err();
    assert!(matches!(error, PairError::Read { .. }), "{error}");
}

#[tokio::test]
async fn the_end_of_validity_is_a_metric() {
    let directory = TempDir::new().unwrap();
    install(&directory, &dated((2020, 2100)));
    let path = directory.path();
    let files = PairFiles { certificates: path.join("tls.crt"), key: path.join("tls.key") };
    let (clock, metrics) = (Arc::new(SystemClock::start()), metrics());
    let _watch = CertificateWatch::open(files, clock.clone(), Arc::clone(&metrics)).await.unwrap();
    let start_of_2100 = UnixTime::from_seconds(4_102_444_800);
    let shown = metrics.certificate_not_after_seconds.get();
    assert_eq!(u64::try_from(shown).unwrap(), start_of_2100.seconds());
    assert!(clock.now() < start_of_2100);
}

#[tokio::test]
async fn the_watch_goes_on_after_a_bad_pair_and_takes_the_next_good_one() {
    let directory = TempDir::new().unwrap();
    install(&directory, &dated((2020, 2100)));
    let path = directory.path();
    let files = PairFiles { certificates: path.join("tls.crt"), key: path.join("tls.key") };
    let metrics = metrics();
    let watch =
        CertificateWatch::open(files, Arc::new(SystemClock::start()), Arc::clone(&metrics)).await;
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(watch.unwrap().watch(Duration::from_millis(1)));
    let shown = metrics.certificate_not_after_seconds.get();
    fs::write(directory.path().join("tls.crt"), "").unwrap();
    until(|| metrics.certificate_reload_failures.get() > 0).await;
    assert_eq!(metrics.certificate_not_after_seconds.get(), shown);
    install(&directory, &dated((2020, 2090)));
    until(|| metrics.certificate_not_after_seconds.get() < shown).await;
}
