//! What clients of a region see: its public endpoints, and those for operators.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use exequatur_federation::{client::SecretHash, config::secret_hash_text};
use serde_json::Value;

use super::{Lab, wait_for};

/// The client of every region, and its secret: 43 letters and digits, as the command line draws
/// them.
pub(crate) const CLIENT: &str = "orders-gateway";
const SECRET: &str = "AbcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ";
/// An answer comes at once or, from a node that is stopped, when it goes on.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// What stands in a region file for the client's secret.
pub(crate) fn secret_hash() -> String {
    secret_hash_text(&SecretHash::of([7; 16], SECRET))
}

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
    /// The body, if it is JSON.
    pub(crate) json: Value,
}

impl Answer {
    fn read(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let json = serde_json::from_str(body).unwrap_or_default();
        Some(Self { status, head: head.to_owned(), body: body.to_owned(), json })
    }

    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    /// Since when the node knew everything that was revoked.
    pub(crate) fn as_of(&self) -> Option<u64> {
        self.header("exequatur-as-of")?.parse().ok()
    }

    /// The stable reason of an error.
    pub(crate) fn error_id(&self) -> &str {
        self.json["error_id"].as_str().unwrap_or_default()
    }

    /// Whether the node refuses because it may not know everything that was revoked.
    pub(crate) fn is_stale(&self) -> bool {
        self.status == 503 && self.error_id() == "view_stale"
    }
}

/// The wall clock in whole seconds.
#[expect(clippy::disallowed_methods, reason = "the other side of a header that is compared")]
pub(crate) fn wall_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Where a node of [`Program::Exequatur`](super::Program::Exequatur) listens, by its log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    public: SocketAddr,
    operations: SocketAddr,
}

impl Lab {
    /// Where a node listens in its present life.
    pub(crate) fn addresses(&mut self, node: usize) -> Addresses {
        let starts = self.starts[&node];
        let running = self.node(node);
        wait_for("the addresses of a node", || {
            let log = running.log();
            // The log has all lives of the node.
            let mut lines = log.lines().filter(|line| line.contains(" serving "));
            let line = lines.nth(starts - 1)?;
            let of = |key: &str| {
                let words = line.split_whitespace();
                words.filter_map(|word| word.strip_prefix(key)).find_map(|text| text.parse().ok())
            };
            Some(Addresses { public: of("public=")?, operations: of("operations=")? })
        })
    }
}

impl Addresses {
    /// Asks about a text that is no token.
    pub(crate) fn introspect(&self) -> Answer {
        post(self.public, "/introspect", &[("token", "none")]).unwrap()
    }

    /// Asks for a token, with a text that is none. A node that would look at it finds that.
    pub(crate) fn exchange(&self) -> Answer {
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", "none"),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ];
        post(self.public, "/token", &form).unwrap()
    }

    /// Reads a document.
    pub(crate) fn get(&self, path: &str) -> Answer {
        request(self.public, &format!("GET {path} HTTP/1.1\r\n"), "").unwrap()
    }

    /// What `/readyz` says.
    pub(crate) fn readiness(&self) -> Answer {
        request(self.operations, "GET /readyz HTTP/1.1\r\n", "").unwrap()
    }

    /// What `/metrics` says.
    pub(crate) fn metrics(&self) -> String {
        request(self.operations, "GET /metrics HTTP/1.1\r\n", "").unwrap().body
    }
}

/// Sends a form to an endpoint as the client.
pub(crate) fn post(
    address: impl ToSocketAddrs,
    path: &str,
    form: &[(&str, &str)],
) -> io::Result<Answer> {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let basic = STANDARD.encode(format!("{CLIENT}:{SECRET}"));
    let head = format!(
        "POST {path} HTTP/1.1\r\nAuthorization: Basic {basic}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n",
        body.len()
    );
    request(address, &head, &body)
}

/// One request on one connection.
fn request(address: impl ToSocketAddrs, head: &str, body: &str) -> io::Result<Answer> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_read_timeout(Some(ANSWER_MAX))?;
    write!(connection, "{head}Host: localhost\r\nConnection: close\r\n\r\n{body}")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Answer::read(&answer).ok_or_else(|| io::Error::other("no whole answer"))
}
