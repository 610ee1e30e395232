//! Certificates that are none for this service, and authorities that change while it serves.

use std::{fs, sync::Arc};

use exequatur_federation::time::UnixTime;
use rcgen::ExtendedKeyUsagePurpose;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpStream, UnixStream},
};

use super::{
    super::{
        AdminClient, CallError, Cause, ConnectError, Credentials, Target,
        clients::{ClientsError, ClientsWatch},
    },
    lab::{Authority, Lab, NODE, OPERATOR, expired},
};
use crate::telemetry::metrics::Metrics;

/// Whether this certificate gets as far as a call. TLS 1.3 tells a client at its first read.
async fn is_let_in(lab: &Lab, pair: &(String, String)) -> bool {
    let mut client = match lab.with(pair).await {
        Ok(client) => client,
        Err(ConnectError::Unreachable { .. } | ConnectError::Protocol(_)) => return false,
        Err(other) => panic!("{other}"),
    };
    match client.status().await {
        Ok(_) => true,
        Err(CallError::Broken { .. }) => false,
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn only_a_valid_certificate_of_the_operators_authority_is_let_in() {
    let lab = Lab::remote().await;
    let good = lab.authority.issue(&[OPERATOR], |_| {});
    assert!(is_let_in(&lab, &good).await);
    let stranger = Authority::new();
    let cases = [
        ("another authority", stranger.issue(&[OPERATOR], |_| {})),
        ("a node of another authority", stranger.issue(&[NODE], |_| {})),
        ("expired", lab.authority.issue(&[OPERATOR], expired)),
        (
            "for servers",
            lab.authority.issue(&[OPERATOR], |leaf| {
                leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            }),
        ),
    ];
    for (what, pair) in cases {
        assert!(!is_let_in(&lab, &pair).await, "{what}");
    }
    assert!(lab.records().await.is_empty() && lab.counted.reasons().is_empty());
}

#[tokio::test]
async fn without_a_certificate_or_without_tls_there_is_no_connection() {
    let lab = Lab::remote().await;
    let mut roots = rustls::RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(lab.authority.pem.as_bytes());
    roots.add(ca.unwrap()).unwrap();
    let mut config = rustls::ClientConfig::builder_with_provider(crate::net::tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(lab.address()).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
    let error = stream.read_u8().await.unwrap_err();
    assert!(error.to_string().contains("CertificateRequired"), "{error}");

    let mut plain = TcpStream::connect(lab.address()).await.unwrap();
    let request = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut plain, request).await.unwrap();
    let mut answer = Vec::new();
    // Either an alert and the end, or the end at once.
    drop(plain.read_to_end(&mut answer).await);
    assert!(answer.len() < 16, "{answer:?}");
}

#[tokio::test]
async fn each_connection_proves_its_certificate_anew() {
    let lab = Lab::remote().await;
    let der = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().into_owned();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(der(&lab.authority.pem)).unwrap();
    let (leaf, key) = lab.authority.issue(&[OPERATOR], |_| {});
    let key = rustls_pki_types::PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let mut config = rustls::ClientConfig::builder_with_provider(crate::net::tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![der(&leaf)], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    for _ in 0..3 {
        let stream = TcpStream::connect(lab.address()).await.unwrap();
        let mut stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
        // What comes first would bring a ticket along.
        stream.read_u8().await.unwrap();
        let kind = stream.get_ref().1.handshake_kind();
        assert_eq!(kind, Some(rustls::HandshakeKind::Full));
    }
}

#[tokio::test]
async fn an_authority_that_is_taken_away_ends_also_connections_that_are_open() {
    let lab = Lab::remote().await;
    let mut client = lab.as_holder_of(OPERATOR).await;
    client.status().await.unwrap();
    let another = Authority::new();
    fs::write(lab.path("clients.pem"), &another.pem).unwrap();
    tokio::time::pause();
    tokio::time::advance(crate::net::certificate::POLL_INTERVAL).await;
    tokio::time::resume();
    let refused = loop {
        match client.status().await {
            Ok(_) => tokio::task::yield_now().await,
            Err(CallError::Unmet { cause: Cause::RateLimited, .. }) => {}
            Err(other) => break other,
        }
    };
    assert!(matches!(refused, CallError::Unmet { cause: Cause::NoRole, .. }), "{refused}");
    assert!(is_let_in(&lab, &another.issue(&[OPERATOR], |_| {})).await);
}

#[tokio::test]
async fn a_client_refuses_a_service_of_another_authority() {
    let lab = Lab::remote().await;
    let pair = lab.authority.issue(&[OPERATOR], |_| {});
    fs::write(lab.path("ca.pem"), Authority::new().pem).unwrap();
    let error = lab.with(&pair).await.unwrap_err();
    let text = crate::causes::with_causes(&error);
    assert!(text.contains("invalid peer certificate"), "{text}");
}

#[tokio::test]
async fn files_and_addresses_that_cannot_be_used_are_named() {
    let lab = Lab::remote().await;
    let credentials = Credentials {
        certificate: lab.path("none.pem"),
        private_key: lab.path("none.key"),
        ca: lab.path("ca.pem"),
    };
    let connect = async |address: &str| {
        let target = Target::Tcp { address: address.to_owned(), credentials: credentials.clone() };
        AdminClient::connect(&target).await.unwrap_err().to_string()
    };
    assert!(connect(lab.address()).await.contains("none.key` is not the PEM file"));
    for address in ["", "localhost", "localhost:", "localhost:99999", ":1", "a b:1"] {
        let told = connect(address).await;
        assert!(told.contains("is no host and port"), "{address}: {told}");
    }
}

#[tokio::test]
async fn without_a_node_the_client_asks_whether_one_runs() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("admin.sock");
    let connect =
        async || AdminClient::connect(&Target::Unix(path.clone())).await.unwrap_err().to_string();
    assert!(connect().await.ends_with("admin.sock`: is the node running?"));
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(connect().await.ends_with("admin.sock`: is the node running?"));
    assert!(UnixStream::connect(&path).await.is_err());
}

#[tokio::test]
async fn new_authorities_count_from_the_next_handshake_and_bad_ones_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("clients.pem");
    let (old, new) = (Authority::new(), Authority::new());
    fs::write(&path, &old.pem).unwrap();
    let mut watch = ClientsWatch::open(path.clone(), Arc::new(Metrics::new())).await.unwrap();
    let current = watch.current();
    let at = |authority: &Authority, seconds| {
        let (leaf, _) = authority.issue(&[OPERATOR], |leaf| {
            leaf.not_before = rcgen::date_time_ymd(2020, 1, 1);
            leaf.not_after = rcgen::date_time_ymd(2030, 1, 1);
        });
        let leaf = CertificateDer::from_pem_slice(leaf.as_bytes()).unwrap();
        current.accept(&[leaf], UnixTime::from_seconds(seconds))
    };
    let accepts = |authority: &Authority| at(authority, 1_750_000_000);
    assert!(!at(&old, 1_500_000_000) && !at(&old, 1_900_000_000), "too early, too late");
    assert!(!current.accept(&[], UnixTime::from_seconds(1_750_000_000)));
    assert!(accepts(&old) && !accepts(&new));
    assert!(!watch.reload_if_changed().await.unwrap());
    for bad in ["", "no PEM", &"x".repeat(300_000), "-----BEGIN CERTIFICATE-----\nAAAA\n"] {
        fs::write(&path, bad).unwrap();
        watch.reload_if_changed().await.unwrap_err();
        assert!(accepts(&old), "the old ones go on");
    }
    fs::write(&path, &new.pem).unwrap();
    assert!(watch.reload_if_changed().await.unwrap());
    assert!(accepts(&new) && !accepts(&old));
    fs::remove_file(&path).unwrap();
    let error = watch.reload_if_changed().await.unwrap_err();
    assert!(matches!(error, ClientsError::Read { .. }), "{error}");
}
