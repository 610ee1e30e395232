//! Certificates that are none for this service, and authorities that change while it serves.

use super::{
    super::{
        AdminClient, CallError, ConnectError, Credentials, Target,
        clients::{ClientsError, ClientsWatch},
    },
    lab::{Authority, Lab, NODE, OPERATOR, expired},
};
use crate::telemetry::metrics::Metrics;
use rcgen::ExtendedKeyUsagePurpose;
use rustls_pki_types::pem::PemObject as _;
use std::{fs, sync::Arc};
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpStream, UnixStream},
};

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
    let ca = rustls_pki_types::CertificateDer::from_pem_slice(lab.authority.pem.as_bytes());
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
    let accepts = |authority: &Authority| {
        let (leaf, _) = authority.issue(&[OPERATOR], |_| {});
        let leaf = rustls_pki_types::CertificateDer::from_pem_slice(leaf.as_bytes()).unwrap();
        let now = rustls_pki_types::UnixTime::since_unix_epoch(std::time::Duration::from_secs(
            1_750_000_000,
        ));
        rustls::server::danger::ClientCertVerifier::verify_client_cert(
            current.as_ref(),
            &leaf,
            &[],
            now,
        )
        .is_ok()
    };
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
