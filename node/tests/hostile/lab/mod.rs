//! A region in a bottle: a real node with its database and keys, global issuers that it trusts, a
//! trap for requests that it must never make, and the private keys of everybody.

pub(crate) mod audit;
pub(crate) mod case;
mod catalogue;
pub(crate) mod clock;
pub(crate) mod feed;
pub(crate) mod http;
pub(crate) mod jwt;
pub(crate) mod keys;
pub(crate) mod node;
pub(crate) mod pages;
pub(crate) mod region;
pub(crate) mod request;

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::Path,
    sync::Arc,
};

use exequatur_node::node::Seams;
use serde_json::{Value, json};
use tempfile::TempDir;

use self::{
    audit::Log,
    case::{Case, Expected},
    clock::LabClock,
    http::Answer,
    jwt::Jwt,
    keys::Key,
    node::RunningNode,
    pages::Pages,
    region::{AUDIENCE, ISSUER, SECRET, Variation},
    request::{ACCESS_TOKEN, EXCHANGE, OAuthRequest},
};

/// Stands in every field that an attacker can write, and must stand in no answer and no record.
pub(crate) const MARKER: &str = "Zq7planted";
/// Paths of the endpoints.
pub(crate) const TOKEN: &str = "/eu/token";
pub(crate) const INTROSPECT: &str = "/eu/introspect";
pub(crate) const REVOKE: &str = "/eu/revoke";
pub(crate) const LISTS: &str = "/eu/statuslists";
pub(crate) const FEED: &str = "/eu/revocations";

/// Private keys. The names are the algorithms that they sign under.
pub(crate) struct Keys {
    /// The global issuer's: published under `es`, `rs` and `ps` (one key), and `ed`.
    pub(crate) es: Key,
    pub(crate) rsa: Key,
    pub(crate) ed: Key,
    /// The partner's: published under `partner-es`, and `partner-rs`, whose algorithm is not
    /// believed.
    pub(crate) partner_es: Key,
    pub(crate) partner_rsa: Key,
    /// Of both tenants.
    pub(crate) entra_es: Key,
    /// Of the clients `signer` and `lenient`.
    pub(crate) signer_es: Key,
    pub(crate) lenient_es: Key,
    /// Nobody publishes it.
    pub(crate) unknown_es: Key,
}

/// The lab.
pub(crate) struct Lab {
    directory: TempDir,
    pub(crate) clock: Arc<LabClock>,
    pub(crate) pages: Pages,
    pub(crate) trap: Pages,
    pub(crate) keys: Keys,
    variation: Variation,
    node: Option<RunningNode>,
    minted: Cell<u64>,
}

impl Lab {
    /// A lab whose node runs.
    pub(crate) fn start() -> Self {
        let mut lab = Self::prepare(Variation::default());
        lab.initialise();
        lab.run();
        lab
    }

    /// A lab whose files are written, for a node in this process.
    pub(crate) fn prepare(variation: Variation) -> Self {
        Self::prepare_at(LabClock::standing(), variation)
    }

    /// A lab whose files are written.
    pub(crate) fn prepare_at(clock: LabClock, variation: Variation) -> Self {
        let pages = Pages::start();
        let keys = Keys::generate();
        keys.publish(&pages);
        let lab = Self {
            directory: tempfile::tempdir().unwrap(),
            clock: Arc::new(clock),
            pages,
            trap: Pages::start(),
            keys,
            variation,
            node: None,
            minted: Cell::new(0),
        };
        lab.write_files();
        lab
    }

    /// Makes keys and database.
    pub(crate) fn initialise(&self) {
        node::initialise(self.directory(), &self.seams());
    }

    /// Starts the node.
    pub(crate) fn run(&mut self) {
        self.node = Some(RunningNode::start(self.directory(), &self.seams()).unwrap());
    }

    /// Stops the node, changes the configuration, and starts it anew.
    pub(crate) fn restart(&mut self, variation: Variation) {
        self.node.take().unwrap().stop();
        self.variation = variation;
        self.write_files();
        self.run();
    }

    /// Stops the node and reads its log.
    pub(crate) fn stop(&mut self) -> Log {
        self.node.take().unwrap().stop();
        Log::read(&node::database(self.directory()))
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn seams(&self) -> Seams {
        node::seams(Arc::<LabClock>::clone(&self.clock))
    }

    /// The public listener: of the node in this process, or as it was configured.
    pub(crate) fn public(&self) -> SocketAddr {
        match (&self.node, self.variation.listen) {
            (Some(node), _) => node.public,
            (None, configured) => configured.unwrap()[0],
        }
    }

    /// The listener for health, likewise.
    pub(crate) fn operations(&self) -> SocketAddr {
        match (&self.node, self.variation.listen) {
            (Some(node), _) => node.operations,
            (None, configured) => configured.unwrap()[1],
        }
    }

    pub(crate) fn send(&self, request: &OAuthRequest) -> Answer {
        request.http().send(self.public())
    }

    /// An acceptable access token of a person at home here, before it is signed.
    pub(crate) fn person(&self) -> Jwt {
        let now = self.clock.seconds();
        Jwt {
            header: json!({"alg": "ES256", "typ": "JWT", "kid": "es"}),
            payload: json!({
                "iss": self.pages.url("/global"), "aud": AUDIENCE, "azp": "gateway-upstream",
                "sub": format!("person-{MARKER}"), "sid": format!("session-{MARKER}"),
                "jti": self.jti(), "iat": now, "exp": now + 300, "typ": "Bearer",
                "scope": "orders:read orders:write", "region": "eu", "acr": "gold",
                "auth_time": now - 10, "email": format!("{MARKER}@example.com"),
                "realm_access": {"roles": ["reader", MARKER]},
            }),
        }
    }

    /// A token of a service at home anywhere.
    pub(crate) fn service(&self) -> Jwt {
        self.person().claim("client_id", format!("service-{MARKER}"))
    }

    /// An acceptable ID token of the same person.
    pub(crate) fn id_token(&self) -> Jwt {
        self.person().claim("typ", "ID").claim("nonce", MARKER)
    }

    /// An acceptable RFC 9068 access token of the partner.
    pub(crate) fn partner(&self) -> Jwt {
        self.person()
            .header("typ", "at+jwt")
            .header("kid", "partner-es")
            .claim("iss", self.pages.url("/partner"))
            .claim("client_id", "gateway-upstream")
            .without("typ")
            .without("azp")
    }

    /// An acceptable access token of a tenant.
    pub(crate) fn tenant(&self, tenant: &str) -> Jwt {
        self.person()
            .header("kid", "entra-es")
            .claim("iss", self.pages.url(&format!("/{tenant}/v2.0")))
            .claim("tid", tenant)
            .claim("oid", format!("oid-{MARKER}"))
            .claim("scp", "orders:read")
    }

    /// The same person's token, signed.
    pub(crate) fn subject_token(&self) -> String {
        self.person().sign(&self.keys.es)
    }

    /// Exchanges a token as the client `gateway`, for the resource `orders`.
    pub(crate) fn exchange(&self, subject_token: &str) -> OAuthRequest {
        OAuthRequest::new(TOKEN)
            .basic("gateway", SECRET)
            .set("grant_type", EXCHANGE)
            .set("subject_token", subject_token)
            .set("subject_token_type", ACCESS_TOKEN)
            .set("audience", "orders")
    }

    /// Asks about a token as the client that its resource names.
    pub(crate) fn introspect(&self, token: &str) -> OAuthRequest {
        OAuthRequest::new(INTROSPECT).basic("watcher", SECRET).set("token", token)
    }

    /// Revokes a token as the client that gets the lab's tokens.
    pub(crate) fn revoke(&self, token: &str) -> OAuthRequest {
        OAuthRequest::new(REVOKE).basic("gateway", SECRET).set("token", token)
    }

    /// A regional token.
    pub(crate) fn issued(&self) -> String {
        self.issued_by(&self.exchange(&self.subject_token()))
    }

    /// The token that a request gets.
    pub(crate) fn issued_by(&self, request: &OAuthRequest) -> String {
        let answer = self.send(request);
        let token = answer.member("access_token");
        assert!(!token.is_empty(), "{answer:?}");
        token
    }

    /// An assertion of the client `signer`, before it is signed.
    pub(crate) fn assertion(&self) -> Jwt {
        jwt::assertion("signer", ISSUER, self.clock.seconds(), &self.jti())
    }

    /// An id that was never used in this lab.
    pub(crate) fn jti(&self) -> String {
        self.minted.set(self.minted.get() + 1);
        format!("jti-{MARKER}-{}", self.minted.get())
    }

    /// Sends every request of a table, stops the node, and reports all that is wrong with answers
    /// and records. `others` counts records of requests that the table does not hold.
    pub(crate) fn judge(mut self, cases: &[Case], others: usize) {
        let answers: Vec<Answer> = cases.iter().map(|case| self.send(case.request())).collect();
        let log = self.stop();
        let mut failures: Vec<String> = Vec::new();
        let (mut ids, mut counted) = (BTreeSet::new(), BTreeMap::<&str, u64>::new());
        let mut recorded = others;
        for (case, answer) in cases.iter().zip(&answers) {
            failures.extend(case.judge(answer));
            let id = answer.header("x-request-id");
            if !ids.insert(id) {
                failures.push(case.failure("its request id was used before"));
            }
            failures.extend(case.judge_records(id, &log));
            if let Expected::Stranger(reason) = case.expected() {
                *counted.entry(reason).or_default() += 1;
            }
            recorded += usize::from(case.expected().record().is_some());
        }
        for (reason, count) in &counted {
            if log.counted(reason) != *count {
                failures.push(format!("{reason}: counted {} of {count}", log.counted(reason)));
            }
        }
        assert!(failures.is_empty(), "{} faults:\n{}", failures.len(), failures.join("\n"));
        assert_eq!(log.counted_in_all(), counted.values().sum::<u64>(), "strangers");
        assert_eq!(log.requests(), recorded, "records beside those of the table");
        assert!(!log.text().contains(MARKER), "an input stands in the log: {}", log.text());
        assert_eq!(self.trap.visits(), 0, "the node followed an address of a token");
    }

    fn write_files(&self) {
        let jwk = |key: &Key, kid| key.published(kid, "ES256");
        let clients = json!({
            "signer": [jwk(&self.keys.signer_es, "signer-es"),
                       self.keys.partner_rsa.published("signer-rs", "RS256")],
            "lenient": [jwk(&self.keys.lenient_es, "lenient-es")],
        });
        region::write(self.directory(), &self.pages, &clients, &self.variation);
    }
}

impl Keys {
    fn generate() -> Self {
        Self {
            es: Key::ec(),
            rsa: Key::rsa(),
            ed: Key::ed(),
            partner_es: Key::ec(),
            partner_rsa: Key::rsa(),
            entra_es: Key::ec(),
            signer_es: Key::ec(),
            lenient_es: Key::ec(),
            unknown_es: Key::ec(),
        }
    }

    fn publish(&self, pages: &Pages) {
        pages.publish("/global", &self.global());
        let partner = [
            self.partner_es.published("partner-es", "ES256"),
            self.partner_rsa.published("partner-rs", "RS256"),
        ];
        pages.publish("/partner", &partner);
        for tenant in ["tenant-a", "tenant-b"] {
            let keys = [self.entra_es.published("entra-es", "ES256")];
            pages.publish(&format!("/{tenant}/v2.0"), &keys);
        }
    }

    /// What the global issuer publishes.
    pub(crate) fn global(&self) -> Vec<Value> {
        vec![
            self.es.published("es", "ES256"),
            self.rsa.published("rs", "RS256"),
            self.rsa.published("ps", "PS256"),
            self.ed.published("ed", "EdDSA"),
        ]
    }
}
