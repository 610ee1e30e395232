//! HTTP by hand: what is sent is exactly what the test wrote, and what comes back is kept whole.

use std::{
    fmt,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::Value;

/// Longer than any answer takes on a loaded machine; it only ends a test that would hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request, byte for byte.
#[derive(Clone)]
pub(crate) struct HttpRequest {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// An answer; `Debug` shows the body as text.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl HttpRequest {
    pub(crate) fn new(method: &str, target: &str) -> Self {
        let (headers, body) = (Vec::new(), Vec::new());
        Self { method: method.to_owned(), target: target.to_owned(), headers, body }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends it on a connection of its own. `Host`, `Connection` and `Content-Length` are added
    /// unless the test wrote them.
    pub(crate) fn send(&self, address: SocketAddr) -> Answer {
        self.try_send(address).unwrap()
    }

    pub(crate) fn try_send(&self, address: SocketAddr) -> std::io::Result<Answer> {
        let has = |name: &str| self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !has("host") {
            head.push_str("Host: localhost\r\n");
        }
        if !has("content-length") {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str("Connection: close\r\n\r\n");
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(head.as_bytes())?;
        // A node that has seen enough may answer and hang up before it was sent everything.
        let unsent = stream.write_all(&self.body).err();
        let mut answer = Vec::new();
        let unread = stream.read_to_end(&mut answer).err();
        match Answer::read(&answer) {
            Some(answer) => Ok(answer),
            None => Err(unread.or(unsent).unwrap_or_else(|| std::io::Error::other("no answer"))),
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {}", self.status, self.headers, self.text())
    }
}

impl Answer {
    fn read(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        Some(Self { status, headers, body: bytes[end + 4..].to_vec() })
    }

    /// The value of a header; an empty text if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null if it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A text member of the body; an empty text if it is not there.
    pub(crate) fn member(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_default().to_owned()
    }

    /// Everything that was sent but the media type, for searching.
    pub(crate) fn everything(&self) -> String {
        let headers = self.headers.iter().filter(|(name, _)| name != "content-type");
        let headers = headers.map(|(name, value)| format!("{name}: {value}\n"));
        headers.collect::<String>() + &self.text()
    }
}
