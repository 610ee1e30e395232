//! `init region`: from what an issuer says of itself to files that pass the check.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use serde_json::{Value, json};

use crate::{Answer, exequatur};

/// An issuer on loopback that answers every request with one document.
struct Issuer {
    url: String,
}

impl Issuer {
    /// `metadata` gets the issuer's URL and gives the document.
    fn start(path: &str, metadata: impl Fn(&str) -> Value) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}{path}", listener.local_addr().unwrap());
        let body = metadata(&url).to_string();
        // It ends with the process of the test.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(&stream.unwrap(), &body);
            }
        });
        Self { url }
    }
}

fn answer(mut stream: &TcpStream, body: &str) {
    let head = BufReader::new(stream).lines();
    head.map_while(Result::ok).find(String::is_empty);
    let length = body.len();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
    write!(stream, "{head}\r\nContent-Length: {length}\r\n\r\n{body}").ok();
}

fn keycloak() -> Issuer {
    Issuer::start("/realms/global", |url| {
        json!({
            "issuer": url,
            "jwks_uri": format!("{url}/protocol/openid-connect/certs"),
            "token_endpoint": format!("{url}/protocol/openid-connect/token"),
            "claims_supported": ["email", "name\n[store]\nurl = \"sqlite:/x\""],
        })
    })
}

fn init(issuer: &str, to: &str, more: &[&str]) -> Answer {
    let arguments = ["init", "region", "--from", issuer, "--to", to];
    exequatur(arguments.into_iter().chain(more.iter().copied()))
}

#[test]
fn what_is_written_names_the_preset_and_passes_the_check() {
    let directory = tempfile::tempdir().unwrap();
    let to = directory.path().join("eu");
    let to = to.to_str().unwrap();
    let issuer = keycloak();
    let text = init(&issuer.url, to, &["--name", "eu-central", "--jurisdiction", "EU"]).done();
    assert!(text.contains("the issuer looks like `keycloak`: that is its preset\n"), "{text}");
    let config = format!("{to}/region.toml");
    let written = fs::read_to_string(&config).unwrap();
    for line in [
        "preset = \"keycloak\"  ",
        &format!("issuer = \"{}\"", issuer.url),
        "# The issuer says that it can send: email\n",
        "# from   = \"/realm_access/roles\"",
    ] {
        assert!(written.contains(line), "{line}\n{written}");
    }
    let checked = exequatur(["config", "check", "--config", &config]).done();
    assert_eq!(
        checked,
        "ok: region `eu-central` of federation `example`: 1 upstream issuer, 0 claim rules, \
         1 resource, 1 client\n"
    );
    exequatur(["init", "--config", &config]).done();
}

#[test]
fn existing_files_are_not_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let to = directory.path().to_str().unwrap();
    fs::write(directory.path().join("federation.toml"), "mine").unwrap();
    let answer = init("http://127.0.0.1:1", to, &[]);
    let told = answer.failed(1).replace(to, "DIR");
    assert_eq!(
        told,
        "error: `DIR/federation.toml` exists and is not overwritten: name another directory with \
         --to\n"
    );
    assert!(!directory.path().join("region.toml").exists());
}

#[test]
fn an_issuer_of_an_unknown_product_gets_the_standards_written_out() {
    let directory = tempfile::tempdir().unwrap();
    let to = directory.path().to_str().unwrap();
    let issuer = Issuer::start("", |url| {
        let algorithms = ["HS256", "ES256"];
        json!({"issuer": url, "jwks_uri": format!("{url}/jwks"),
               "id_token_signing_alg_values_supported": algorithms})
    });
    let answer = init(&issuer.url, to, &["--output", "json"]);
    assert_eq!(answer.code, Some(0), "{}", answer.err);
    assert_eq!(answer.json()["preset"], Value::Null);
    let config = format!("{to}/region.toml");
    let written = fs::read_to_string(&config).unwrap();
    assert!(written.contains("algorithms = [\"ES256\"]\n\n[upstream.profile]"), "{written}");
    exequatur(["config", "check", "--config", &config]).done();
}

#[test]
fn an_issuer_that_does_not_answer_or_speaks_for_another_is_an_error_elsewhere() {
    let directory = tempfile::tempdir().unwrap();
    let to = directory.path().to_str().unwrap();
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let silent = init(&format!("http://{free}"), to, &[]);
    assert!(silent.failed(2).contains("no connection"), "{}", silent.err);
    let other = Issuer::start("", |_| json!({"issuer": "https://other.example", "jwks_uri": "x"}));
    let told = init(&other.url, to, &[]);
    assert!(told.failed(2).contains("names the issuer `https://other.example`"), "{}", told.err);
    assert!(fs::read_dir(directory.path()).unwrap().next().is_none(), "nothing is written");
}

#[test]
fn wrong_names_and_addresses_are_errors_here() {
    assert!(init("ftp://x", "/nowhere", &[]).failed(1).contains("is no absolute https address"));
    assert!(
        init("http://id.example", "/nowhere", &[]).failed(1).contains("is plain http to another")
    );
    let name = init("https://id.example", "/nowhere", &["--name", "EU Central"]);
    assert!(name.failed(1).contains("`EU Central` is not a name"), "{}", name.err);
}
