//! What clients of a region see: its public endpoints, and those for operators.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use exequatur_federation::{client::SecretHash, config::secret_hash_text};
use serde_json::Value;

use super::{Lab, wait_for};

/// A client of every region that asks about tokens and for tokens.
pub(crate) const CLIENT: &str = "checker";
/// Its secret: 43 letters and digits, as the command line draws them.
const SECRET: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ";
/// An answer comes at once or, from a node that is stopped, when it goes on.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// The table of [`CLIENT`], for the region file of a site.
pub(crate) fn client_table(resource: &str) -> String {
    let hash = secret_hash_text(&SecretHash::of([1; 16], SECRET));
    format!(
        r#"
[[client]]
id           = "{CLIENT}"
auth         = {{ secret_sha256 = ["{hash}"] }}
grants       = ["token-exchange"]
resources    = ["{resource}"]
upstream_ids = ["gateway"]
"#
    )
}

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text:?}"));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap();
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let line = self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map(str::trim)
    }

    /// Since when the node knew everything that was revoked.
    pub(crate) fn as_of(&self) -> Option<u64> {
        self.header("exequatur-as-of")?.parse().ok()
    }

    /// The stable reason of an error.
    pub(crate) fn error_id(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        body["error_id"].as_str().unwrap_or_default().to_owned()
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
        self.post("/introspect", "token=none")
    }

    /// Asks for a token, with a text that is none. A node that would look at it finds that.
    pub(crate) fn exchange(&self) -> Answer {
        let kind = "urn%3Aietf%3Aparams%3Aoauth%3A";
        let form = format!(
            "grant_type={kind}grant-type%3Atoken-exchange&subject_token=none\
             &subject_token_type={kind}token-type%3Aaccess_token"
        );
        self.post("/token", &form)
    }

    /// Reads a document.
    pub(crate) fn get(&self, path: &str) -> Answer {
        exchange(self.public, &format!("GET {path} HTTP/1.1\r\n"), "")
    }

    /// What `/readyz` says.
    pub(crate) fn readiness(&self) -> Answer {
        exchange(self.operations, "GET /readyz HTTP/1.1\r\n", "")
    }

    /// What `/metrics` says.
    pub(crate) fn metrics(&self) -> String {
        exchange(self.operations, "GET /metrics HTTP/1.1\r\n", "").body
    }

    fn post(&self, path: &str, form: &str) -> Answer {
        let basic = STANDARD.encode(format!("{CLIENT}:{SECRET}"));
        let head = format!(
            "POST {path} HTTP/1.1\r\nAuthorization: Basic {basic}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n",
            form.len()
        );
        exchange(self.public, &head, form)
    }
}

/// One request on one connection.
fn exchange(address: SocketAddr, head: &str, body: &str) -> Answer {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(ANSWER_MAX)).unwrap();
    let text = format!("{head}Host: {address}\r\nConnection: close\r\n\r\n{body}");
    connection.write_all(text.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    Answer::read(&answer)
}
