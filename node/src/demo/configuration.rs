//! What stands in the demo's `region.toml` and `federation.toml`: files that a newcomer can read
//! from top to bottom and change.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{files::Wish, issuer};

/// The region that the story is told in: its people's home.
pub(crate) const REGION: &str = HOME.name;
/// Home of the person whom [`REGION`] refuses.
pub(crate) const OTHER_REGION: &str = US_EAST.name;
const HOME: Site = Site { number: 1, name: "eu-central", jurisdiction: "EU" };
const US_EAST: Site = Site { number: 2, name: "us-east", jurisdiction: "US" };
const AP_SOUTHEAST: Site = Site { number: 3, name: "ap-southeast", jurisdiction: "SG" };
/// All regions of the demo, the story's first.
pub(crate) const SITES: [Site; 3] = [HOME, US_EAST, AP_SOUTHEAST];
/// Longest round trip between regions on one machine: elections follow it.
const MAX_RTT_MS: u32 = 20;

/// The service that the regional token is for.
pub(crate) const RESOURCE: &str = "https://orders.eu.example";
/// The scope that is asked for.
pub(crate) const SCOPE: &str = "orders:read";
/// The client that exchanges and revokes.
pub(crate) const GATEWAY: &str = "orders-gateway";
/// The client that introspects.
pub(crate) const API: &str = "orders-api";

/// The federation's name.
pub(crate) const FEDERATION: &str = "demo";

/// Where comments at the end of a line begin.
const COMMENT_COLUMN: usize = 52;

/// The hashes of the two clients' secrets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SecretHashes<'a> {
    /// Of [`GATEWAY`].
    pub(crate) gateway: &'a str,
    /// Of [`API`].
    pub(crate) api: &'a str,
}

/// A region as both files name it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site {
    /// Its number in the federation.
    pub(crate) number: u16,
    /// Its name, and that of its directory.
    pub(crate) name: &'static str,
    /// Under whose law it is.
    pub(crate) jurisdiction: &'static str,
}

/// What a region's file is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Region<'a> {
    pub(crate) site: Site,
    pub(crate) directory: &'a Path,
    pub(crate) issuer: &'a str,
    pub(crate) public: SocketAddr,
    pub(crate) operations: SocketAddr,
    pub(crate) peer: SocketAddr,
    pub(crate) slot: Option<&'a super::softhsm::Slot>,
    pub(crate) wish: &'a Wish<'a>,
}

/// What `federation.toml` says of a region.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) site: Site,
    pub(crate) issuer: String,
    pub(crate) peer: SocketAddr,
    /// What `exequatur init` made; `None` before it has run.
    pub(crate) node: Option<NodeMade>,
}

/// What `exequatur init` says of the node that it made.
#[derive(Clone, Debug)]
pub(crate) struct NodeMade {
    /// Its id.
    pub(crate) id: String,
    /// The public half of its region's identity key.
    pub(crate) identity: String,
}

/// `federation.toml`: what all regions share.
pub(crate) fn federation(members: &[Member]) -> String {
    let mut toml = format!(
        r#"# What all regions of one federation share: every region holds the same file. Made by the demo.

[federation]
name       = "{FEDERATION}"
max_rtt_ms = {MAX_RTT_MS}
"#
    );
    for member in members {
        toml.push_str(&member.to_toml());
    }
    let audience_line = commented(
        &format!(r#"audience    = ["{}"]"#, issuer::AUDIENCE),
        "one of these must be in `aud` of its tokens",
    );
    let homes = SITES.map(|site| format!("{0} = \"{0}\"", site.name)).join(", ");
    // Writing to a string cannot fail.
    let _written = write!(
        toml,
        r#"
[[upstream]]                                        # the global identity provider
name        = "global"
{audience_line}

[upstream.home_region]                              # only the home region unpacks a token
from     = "/region"
map      = {{ {homes} }}
services = "here"
"#
    );
    toml
}

impl Member {
    fn to_toml(&self) -> String {
        let Site { number, name, jurisdiction } = self.site;
        let mut toml = format!(
            r#"
[[region]]
number       = {number}
name         = "{name}"
jurisdiction = "{jurisdiction}"
issuer       = "{}"
"#,
            self.issuer
        );
        if let Some(NodeMade { id, identity }) = &self.node {
            let certified = commented(
                &format!(r#"ca           = "tls/{name}-ca.pem""#),
                "certifies the region's nodes",
            );
            // Writing to a string cannot fail.
            let _written = write!(
                toml,
                r#"identity     = "{identity}"
{certified}
[[region.node]]
id      = "{id}"
address = "{}"
"#,
                self.peer
            );
        }
        toml
    }
}

impl Region<'_> {
    /// `region.toml`.
    pub(crate) fn to_toml(self) -> String {
        let mut toml = String::new();
        for part in [self.node(), CLAIMS.to_owned(), self.parties()] {
            toml.push_str(&part);
        }
        toml
    }

    fn node(self) -> String {
        let Self { site, issuer, public, operations, peer, .. } = self;
        let Site { name, jurisdiction, .. } = site;
        let issuer_line =
            commented(&format!(r#"issuer       = "{issuer}""#), "`iss` of every token issued here");
        let public_line = commented(&format!(r#"public     = "{public}""#), "the OAuth endpoints");
        let operations_line =
            commented(&format!(r#"operations = "{operations}""#), "/livez, /readyz, /metrics");
        let peer_line = commented(&format!(r#"peer       = "{peer}""#), "the other regions' nodes");
        let admin = self.directory.join("admin.sock");
        let admin = admin.display();
        let cluster = self.cluster();
        let tls = self.tls();
        let keys = self.keys();
        let store = self.directory.join("region.db");
        let upstream = self.wish.upstream;
        format!(
            r#"# One region, made by `exequatur demo` for this machine. `exequatur config explain` says what each
# key means, `exequatur config check` finds every mistake at once.

[region]
name         = "{name}"
jurisdiction = "{jurisdiction}"
{issuer_line}

[listen]
{public_line}
{operations_line}
{peer_line}
admin      = "unix:{admin}"
{tls}
{cluster}
[keys]
{keys}access_token = {{ algorithm = "ES256" }}

[store]
url = "sqlite:{store}"

[[upstream]]                                        # audience and home region: federation.toml
name       = "global"
preset     = "keycloak"                             # or auth0, cognito, entra, google, okta
issuer     = "{upstream}"
algorithms = ["ES256"]
"#,
            store = store.display(),
        )
    }

    fn tls(self) -> String {
        if self.wish.plain_http {
            return commented("plain_http = true", "loopback only\n");
        }
        let file = |name| self.directory.join(name);
        let (certificate, key) = (file("tls.pem"), file("tls.key"));
        format!(
            "\n[listen.tls]\ncertificate = \"{}\"\nprivate_key = \"{}\"\n",
            certificate.display(),
            key.display()
        )
    }

    fn cluster(self) -> String {
        let file = |name| self.directory.join(name).display().to_string();
        let anchor = commented(
            &format!(r#"anchor    = "{}""#, file("anchor/node")),
            "on another disk, outside of a demo",
        );
        format!(
            r#"[cluster]                                           # this node's part in the federation
directory = "{}"
{anchor}

[cluster.tls]
certificate = "{}"
private_key = "{}"
"#,
            file("cluster"),
            file("peer.pem"),
            file("peer.key"),
        )
    }

    fn keys(self) -> String {
        let file = |name| -> PathBuf { self.directory.join(name) };
        let mut keys = String::new();
        // Writing to a string cannot fail.
        let _written = match self.slot {
            Some(slot) => write!(
                keys,
                r#"provider     = "pkcs11"
pkcs11       = {{ module = "{}", slot = "{}", pin_file = "{}" }}
"#,
                slot.module.display(),
                slot.label,
                slot.pin_file.display(),
            ),
            None => write!(
                keys,
                r#"provider     = "software"                           # for development; "pkcs11" for an HSM
software     = {{ file = "{}", passphrase_file = "{}" }}
"#,
                file("keys.sealed").display(),
                file("passphrase").display(),
            ),
        };
        keys
    }

    fn parties(self) -> String {
        let SecretHashes { gateway, api } = self.wish.secret_hashes;
        let party = issuer::PARTY;
        format!(
            r#"
[[resource]]                                        # a service that accepts this region's tokens
id            = "{RESOURCE}"
scopes        = ["{SCOPE}", "orders:write"]
claims        = ["account", "age_over_18", "email_domain", "roles"]   # it gets no other
introspect_as = ["{API}"]

[[client]]                                          # asks for tokens; secret: {GATEWAY}.curl
id           = "{GATEWAY}"
auth         = {{ secret_sha256 = ["{gateway}"] }}
grants       = ["token-exchange"]
resources    = ["{RESOURCE}"]
upstream_ids = ["{party}"]                          # its name in global tokens

[[client]]                                          # the service: asks about tokens, gets none
id     = "{API}"
auth   = {{ secret_sha256 = ["{api}"] }}
grants = []
"#
        )
    }
}

/// A line with a comment in the column of all comments.
fn commented(line: &str, comment: &str) -> String {
    format!("{line:<COMMENT_COLUMN$}# {comment}")
}

/// The rules: the same in every demo.
const CLAIMS: &str = r#"
# What leaves a global token, under which name, and how. A claim without a rule is dropped.

[[claim]]
from   = "/realm_access/roles"
class  = "entitlement"
action = { map = { reader = "reader", EU-EDIT = "editor" } }  # roles not listed are dropped
to     = "roles"

[[claim]]
from   = "/birthdate"
class  = "identity"
action = { coarsen = "age-over", years = 18 }
to     = "age_over_18"

[[claim]]
from   = "/email"
class  = "contact"
action = { coarsen = "email-domain", domains = ["example.com"] }
to     = "email_domain"

[[claim]]
from   = "/preferred_username"
class  = "identity"
action = "pseudonymise"                             # alike for one person, meaningless beside
to     = "account"

[[claim]]                                           # the same as no rule, but says that it is meant
from   = "/name"
class  = "identity"
action = "drop"
"#;

#[cfg(test)]
mod tests {
    use super::*;

    const UPSTREAM: &str = "http://127.0.0.1:7/realms/global";

    fn region(plain_http: bool, hsm: Option<&super::super::softhsm::Slot>) -> String {
        let secret_hashes = SecretHashes { gateway: "salt.gateway", api: "salt.api" };
        let wish = Wish { upstream: UPSTREAM, plain_http, secret_hashes };
        Region {
            site: HOME,
            slot: hsm,
            peer: "127.0.0.1:10".parse().unwrap(),
            directory: Path::new("/d"),
            issuer: "https://localhost:8/eu-central",
            public: "127.0.0.1:8".parse().unwrap(),
            operations: "127.0.0.1:9".parse().unwrap(),
            wish: &wish,
        }
        .to_toml()
    }

    /// Whether a line stands in a file, white space aside.
    fn says(toml: &str, line: &str) -> bool {
        let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        toml.lines().any(|l| squeezed(l).starts_with(line))
    }

    #[test]
    fn the_region_file_names_what_was_made_for_it() {
        let toml = region(false, None);
        for line in [
            r#"issuer = "https://localhost:8/eu-central""#,
            r#"public = "127.0.0.1:8""#,
            r#"operations = "127.0.0.1:9""#,
            r#"peer = "127.0.0.1:10""#,
            r#"admin = "unix:/d/admin.sock""#,
            r#"anchor = "/d/anchor/node""#,
            r#"certificate = "/d/tls.pem""#,
            r#"software = { file = "/d/keys.sealed", passphrase_file = "/d/passphrase" }"#,
            r#"url = "sqlite:/d/region.db""#,
            r#"issuer = "http://127.0.0.1:7/realms/global""#,
            r#"auth = { secret_sha256 = ["salt.gateway"] }"#,
            r#"auth = { secret_sha256 = ["salt.api"] }"#,
        ] {
            assert!(says(&toml, line), "{line} is not in\n{toml}");
        }
    }

    #[test]
    fn plain_http_takes_the_place_of_the_certificate() {
        let toml = region(true, None);
        assert!(says(&toml, "plain_http = true"), "{toml}");
        assert!(!toml.contains("tls.pem"), "{toml}");
    }

    #[test]
    fn with_an_hsm_the_keys_are_there_and_nowhere_else() {
        let slot = super::super::softhsm::Slot {
            module: "/m.so".into(),
            label: "eu-central",
            pin_file: "/d/pin".into(),
            environment: "/d/softhsm2.conf".into(),
        };
        let toml = region(false, Some(&slot));
        assert!(says(
            &toml,
            r#"pkcs11 = { module = "/m.so", slot = "eu-central", pin_file = "/d/pin" }"#
        ));
        assert!(!toml.contains("passphrase"), "{toml}");
    }

    #[test]
    fn both_files_are_toml_and_no_line_is_too_long_to_read() {
        let member = |site: Site| Member {
            site,
            issuer: format!("https://localhost:8/{}", site.name),
            peer: "127.0.0.1:10".parse().unwrap(),
            node: Some(NodeMade {
                id: "0123456789abcdef".to_owned(),
                identity: format!("p256:{}", "A".repeat(44)),
            }),
        };
        for toml in [region(false, None), federation(&SITES.map(member))] {
            assert!(toml.parse::<toml::Table>().is_ok(), "{toml}");
            assert!(toml.lines().all(|line| line.len() <= 100), "{toml}");
        }
    }
}
