//! A follower of revocations, by hand: it reads only when the test says so.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

use super::{
    FEED,
    region::SECRET,
    request::{basic, escape},
};

/// Longer than an event takes on a loaded machine; it only ends a test that would hang.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Follower {
    stream: TcpStream,
    text: String,
}

impl Follower {
    /// Opens a feed as the client `watcher` and waits for its head.
    pub(crate) fn open(address: SocketAddr, last: Option<&str>) -> Self {
        let last = last.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let credentials = basic("watcher", SECRET);
        let head = format!("Authorization: {credentials}\r\n{last}");
        Self::send(address, &format!("GET {FEED} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n"))
    }

    /// Opens a feed with a client assertion, which only a body can carry.
    pub(crate) fn open_with_assertion(address: SocketAddr, assertion: &str) -> Self {
        let body = format!(
            "client_assertion_type={}&client_assertion={assertion}",
            escape(super::request::JWT_BEARER)
        );
        let head = format!(
            "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n",
            body.len()
        );
        Self::send(address, &format!("POST {FEED} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n{body}"))
    }

    fn send(address: SocketAddr, request: &str) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut follower = Self { stream, text: String::new() };
        let head = follower.until("\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        follower
    }

    /// Reads until some text has come; gives everything that came so far.
    pub(crate) fn until(&mut self, pattern: &str) -> &str {
        while !self.text.contains(pattern) {
            assert!(self.read() > 0, "the feed ended before `{pattern}`: {}", self.text);
        }
        &self.text
    }

    /// Reads to the end of the feed.
    pub(crate) fn end(mut self) -> String {
        while self.read() > 0 {}
        self.text
    }

    /// Id of the last event that came.
    pub(crate) fn last_id(&self) -> String {
        let mut ids = self.text.lines().filter_map(|line| line.strip_prefix("id: "));
        ids.next_back().unwrap().to_owned()
    }

    /// Hangs up.
    pub(crate) fn close(self) {
        self.stream.shutdown(Shutdown::Both).unwrap();
    }

    fn read(&mut self) -> usize {
        let mut buffer = [0; 4_096];
        let read = self.stream.read(&mut buffer).unwrap();
        self.text.push_str(&String::from_utf8_lossy(&buffer[..read]));
        read
    }
}
