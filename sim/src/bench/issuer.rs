//! A global identity provider in the manner of Keycloak: it serves discovery (OpenID Connect
//! Discovery 1.0) and one key over loopback HTTP, and mints access tokens, each of another person.
//!
//! It answers one connection at a time on a thread of its own: a node asks it twice, at its start.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use exequatur_federation::time::{Ttl, UnixTime};
use serde_json::{Value, json};

use super::key::{Es256Key, KeyError};

/// The `aud` of its tokens that marks them as meant for the federation.
pub(crate) const AUDIENCE: &str = "exequatur";
/// The client that its tokens were issued to.
pub(crate) const AUTHORIZED_PARTY: &str = "gateway";
/// The scope of its tokens that the regions' resource knows.
pub(crate) const SCOPE: &str = "orders:read";

const REALM: &str = "/realms/global";
/// Far longer than a run, so that no token expires in it.
const LIFETIME: Ttl = Ttl::from_seconds(3_600);
/// A request for a document has a few hundred bytes.
const REQUEST_BYTES_MAX: u64 = 16 * 1024;
/// A client that sends nothing keeps the thread no longer than this.
const REQUEST_WITHIN: Duration = Duration::from_secs(2);

/// The running provider; its server ends when it is dropped.
pub(crate) struct GlobalIssuer {
    issuer: String,
    key: Es256Key,
    minted: AtomicU64,
    _server: Server,
}

/// Why there is no provider.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IssuerError {
    /// Its key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Its socket or its thread.
    #[error("the global issuer could not be served on loopback: {0}")]
    Serve(#[from] io::Error),
}

impl GlobalIssuer {
    /// Makes a key and serves it.
    pub(crate) fn start() -> Result<Self, IssuerError> {
        let key = Es256Key::generate()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let issuer = format!("http://{}{REALM}", listener.local_addr()?);
        let documents = Documents {
            discovery: discovery(&issuer).to_string(),
            keys: key.to_jwk_set().to_string(),
        };
        let server = Server::start(listener, documents)?;
        Ok(Self { issuer, key, minted: AtomicU64::new(0), _server: server })
    }

    /// Its `iss`.
    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Its public key, as it publishes it.
    pub(crate) fn jwk_set(&self) -> Value {
        self.key.to_jwk_set()
    }

    /// An access token of a person for whom there was none before.
    pub(crate) fn mint(&self, now: UnixTime) -> Result<String, KeyError> {
        let number = self.minted.fetch_add(1, Ordering::Relaxed);
        self.key.sign("JWT", &self.claims(number, now))
    }

    /// The claims of an access token, as Keycloak writes them.
    fn claims(&self, number: u64, now: UnixTime) -> Value {
        let person = format!("6f3a1c52-0000-4000-8000-{number:012x}");
        json!({
            "exp": now.plus(LIFETIME),
            "iat": now,
            "auth_time": now,
            "jti": format!("onrtac:{person}"),
            "iss": self.issuer,
            "aud": [AUDIENCE, "account"],
            "sub": person,
            "typ": "Bearer",
            "azp": AUTHORIZED_PARTY,
            "sid": format!("b1d7e0a4-0000-4000-8000-{number:012x}"),
            "acr": "1",
            "realm_access": { "roles": ["reader", "offline_access"] },
            "resource_access": { "account": { "roles": ["view-profile"] } },
            "scope": format!("openid email profile {SCOPE}"),
            "email_verified": true,
            "name": "Person of a benchmark",
            "preferred_username": format!("person-{number}"),
            "email": format!("person-{number}@example.com"),
            "birthdate": "1988-04-17",
            "region": "eu-central",
        })
    }
}

fn discovery(issuer: &str) -> Value {
    let endpoints = format!("{issuer}/protocol/openid-connect");
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{endpoints}/auth"),
        "token_endpoint": format!("{endpoints}/token"),
        "jwks_uri": format!("{endpoints}/certs"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    })
}

struct Documents {
    discovery: String,
    keys: String,
}

struct Server {
    address: SocketAddr,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(listener: TcpListener, documents: Documents) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let ending = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&ending);
        let serve = move || {
            for stream in listener.incoming() {
                if told.load(Ordering::Acquire) {
                    return;
                }
                // A connection that fails is its client's to report.
                stream.and_then(|stream| answer(&stream, &documents)).ok();
            }
        };
        let thread = std::thread::Builder::new().name("global-issuer".to_owned()).spawn(serve)?;
        Ok(Self { address, ending, thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Release);
        // The thread waits in `accept`; a connection lets it look at the flag.
        let woken = TcpStream::connect(self.address).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            thread.join().ok();
        }
    }
}

fn answer(stream: &TcpStream, documents: &Documents) -> io::Result<()> {
    stream.set_read_timeout(Some(REQUEST_WITHIN))?;
    let mut lines = BufReader::new(stream.take(REQUEST_BYTES_MAX)).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    // The rest of the head is read, lest closing with unread bytes resets the connection.
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let path = request.split(' ').nth(1).and_then(|path| path.strip_prefix(REALM));
    let (status, body) = match path {
        Some("/.well-known/openid-configuration") => ("200 OK", documents.discovery.as_str()),
        Some("/protocol/openid-connect/certs") => ("200 OK", documents.keys.as_str()),
        Some(_) | None => ("404 Not Found", "{}"),
    };
    let length = body.len();
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
}

#[cfg(test)]
mod tests {
    use exequatur_federation::jose::{Algorithm, JwkSet, UnverifiedJws};

    use super::{super::load, *};

    const NOW: UnixTime = UnixTime::from_seconds(1_800_000_000);

    async fn document(issuer: &GlobalIssuer, path: &str) -> Result<Vec<u8>, load::LoadError> {
        let request = format!("GET {REALM}{path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let address = issuer.issuer().split('/').nth(2).unwrap().parse().unwrap();
        load::ask(address, request.as_bytes()).await
    }

    #[tokio::test]
    async fn a_minted_token_verifies_under_the_keys_that_discovery_leads_to() {
        let issuer = GlobalIssuer::start().unwrap();
        let discovery = document(&issuer, "/.well-known/openid-configuration").await.unwrap();
        let discovery: Value = serde_json::from_slice(&discovery).unwrap();
        assert_eq!(discovery["issuer"], issuer.issuer());
        let path = discovery["jwks_uri"].as_str().unwrap();
        let path = path.strip_prefix(issuer.issuer()).unwrap();
        let keys = JwkSet::parse(&document(&issuer, path).await.unwrap()).unwrap();

        let jws = UnverifiedJws::parse(&issuer.mint(NOW).unwrap()).unwrap();
        let key = &keys.select(jws.kid()).unwrap().key;
        assert_eq!(jws.verify(key, Algorithm::Es256), Ok(()));
        assert_eq!(jws.issuer(), Some(issuer.issuer()));
    }

    #[tokio::test]
    async fn anything_else_is_not_found() {
        let issuer = GlobalIssuer::start().unwrap();
        let error = document(&issuer, "/else").await.unwrap_err();
        assert!(matches!(error, load::LoadError::Status { status: 404, .. }), "{error}");
    }

    #[test]
    fn no_two_tokens_are_of_one_person() {
        let issuer = GlobalIssuer::start().unwrap();
        let subject = || {
            let jws = UnverifiedJws::parse(&issuer.mint(NOW).unwrap()).unwrap();
            jws.payload()["sub"].clone()
        };
        assert_ne!(subject(), subject());
    }
}
