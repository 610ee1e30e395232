//! A web server of the lab: global issuers publish their metadata and keys on it, and traps count
//! who comes.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

/// Pages by path, and how often each was asked for.
#[derive(Default)]
struct Shelf {
    down: bool,
    pages: BTreeMap<String, String>,
    asked: BTreeMap<String, usize>,
}

/// The server; its thread ends with the test's process.
pub(crate) struct Pages {
    address: SocketAddr,
    shelf: Arc<Mutex<Shelf>>,
}

impl Pages {
    /// Serves on a free port of loopback.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shelf = Arc::new(Mutex::new(Shelf::default()));
        let served = Arc::clone(&shelf);
        std::thread::Builder::new()
            .name("pages".to_owned())
            .spawn(move || {
                for stream in listener.incoming().flatten() {
                    // A client that hangs up spoils nobody else's page.
                    let _hung_up = serve(stream, &served).is_err();
                }
            })
            .unwrap();
        Self { address, shelf }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn put(&self, path: &str, page: &Value) {
        self.shelf.lock().unwrap().pages.insert(path.to_owned(), page.to_string());
    }

    /// Publishes an issuer below `path`, with a set of these keys.
    pub(crate) fn publish(&self, path: &str, keys: &[Value]) {
        let issuer = self.url(path);
        let metadata = json!({"issuer": issuer, "jwks_uri": format!("{issuer}/jwks")});
        self.put(&format!("{path}/.well-known/openid-configuration"), &metadata);
        self.put(&format!("{path}/jwks"), &json!({"keys": keys}));
    }

    /// From now on, connections are closed without a word, or served again.
    pub(crate) fn set_down(&self, down: bool) {
        self.shelf.lock().unwrap().down = down;
    }

    /// How often a path was asked for.
    pub(crate) fn asked(&self, path: &str) -> usize {
        self.shelf.lock().unwrap().asked.get(path).copied().unwrap_or_default()
    }

    /// How many requests came at all.
    pub(crate) fn visits(&self) -> usize {
        self.shelf.lock().unwrap().asked.values().sum()
    }
}

fn serve(mut stream: TcpStream, shelf: &Mutex<Shelf>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let page = {
        let mut shelf = shelf.lock().unwrap();
        if shelf.down {
            return Ok(());
        }
        *shelf.asked.entry(path.clone()).or_default() += 1;
        shelf.pages.get(&path).cloned()
    };
    let (status, body) = match page {
        Some(page) => ("200 OK", page),
        None => ("404 Not Found", String::new()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}
