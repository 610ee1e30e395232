//! The text of the two files. Foreign text stands in it only as the issuer, which the check of the
//! finished file judges, and as names of claims of plain characters, in comments.

use std::{fmt::Write as _, path::Path};

use exequatur_federation::{
    client::SecretHash,
    config::secret_hash_text,
    jose::Algorithm,
    region::{Jurisdiction, RegionId},
};

use crate::upstream::IssuerMetadata;

/// Most claims that are named in a comment.
const CLAIMS_SHOWN_MAX: usize = 40;
/// Longest name of a claim in a comment.
const CLAIM_BYTES_MAX: usize = 64;
/// Where the new region serves until its owner says otherwise.
const ISSUER: &str = "http://127.0.0.1:8443";

/// What the files are made of.
pub(super) struct Draft<'a> {
    pub(super) region: &'a RegionId,
    pub(super) jurisdiction: &'a Jurisdiction,
    pub(super) metadata: &'a IssuerMetadata,
    pub(super) preset: Option<&'static str>,
    pub(super) ca_file: Option<&'a Path>,
    /// A hash that no secret has.
    pub(super) nobodys_secret: SecretHash,
}

impl Draft<'_> {
    /// `federation.toml`.
    pub(super) fn federation_file(&self) -> String {
        let Self { region, jurisdiction, .. } = self;
        let audience = match self.preset {
            Some("cognito" | "google") => "CHANGE-client-id-at-the-provider",
            _ => "https://exequatur.example",
        };
        format!(
            r#"# What all regions of the federation agree on: every region has the same copy of this file.

[federation]
name = "example"                                 # CHANGE

[[region]]
name         = "{region}"
jurisdiction = "{jurisdiction}"
issuer       = "{ISSUER}"

# The global identity provider. One of `audience` must be in a token's `aud`: have the provider put it
# there. Everybody is at home in this region; with more regions, a claim of the token says where:
# home_region = {{ from = "/claim", map = {{ value = "region" }} }}
[[upstream]]
name        = "global"
audience    = ["{audience}"]      # CHANGE
home_region = {{ fixed = "{region}", services = "here" }}
"#
        )
    }

    /// `region.toml`.
    pub(super) fn region_file(&self) -> String {
        let mut file = self.node_part();
        file.push_str(&self.upstream_part());
        file.push_str(&self.rules_part());
        file.push_str(&self.parties_part());
        file
    }

    fn node_part(&self) -> String {
        let Self { region, jurisdiction, .. } = self;
        format!(
            r#"# The region {region}, for development on one machine. `exequatur config explain KEY` says what a
# key means; `exequatur config check` finds mistakes. Paths start from this file's directory.

[region]                                         # these three as in federation.toml
name         = "{region}"
jurisdiction = "{jurisdiction}"
issuer       = "{ISSUER}"

[listen]                                         # beyond this machine: an https issuer, and
public     = "127.0.0.1:8443"                    # tls = {{ certificate = "…", private_key = "…" }}
plain_http = true                                # in place of plain_http

[keys]                                           # in production: provider = "pkcs11"
provider = "software"
software = {{ file = "keys.sealed", passphrase_file = "passphrase" }}

[store]                                          # several nodes: postgres://user@host/database
url = "sqlite:region.db"
"#
        )
    }

    fn upstream_part(&self) -> String {
        let issuer = self.metadata.issuer.as_str();
        let mut text = format!(
            "\n# The global identity provider. Its audience and the home region of its people: \
             federation.toml.\n[[upstream]]\nname   = \"global\"\nissuer = \"{issuer}\"\n"
        );
        // Writing to a String does not fail.
        let _written: std::fmt::Result = match self.preset {
            Some(preset) => writeln!(
                text,
                "{:<48} # fills what this product does differently",
                format!("preset = \"{preset}\"")
            ),
            None => write!(text, "{}", self.explicit_profile()),
        };
        if let Some(file) = self.ca_file {
            let path = file.display().to_string();
            let _written: std::fmt::Result = writeln!(text, "ca_file = {}", toml_text(&path));
        }
        text
    }

    /// What a preset would fill, as the standards have it.
    fn explicit_profile(&self) -> String {
        let listed = &self.metadata.id_token_signing_alg_values_supported;
        let known = listed.iter().filter_map(|name| Algorithm::from_name(name));
        let mut known: Vec<&str> = known.map(Algorithm::as_str).collect();
        known.dedup();
        if known.is_empty() {
            known = vec!["RS256", "ES256"];
        }
        let algorithms: Vec<String> = known.iter().map(|name| format!("\"{name}\"")).collect();
        format!(
            r#"# No preset is known for this issuer. This is what the standards say (RFC 9068 access tokens);
# compare it with a real token: `exequatur token inspect TOKEN_FILE`.
algorithms = [{}]

[upstream.profile]                               # CHANGE what differs
access_typ     = ["at+jwt"]                      # `typ` header of access tokens
access_markers = [{{ at = "/client_id", present = true }}]   # what an ID token never has
audience       = ["/aud"]
client         = ["/client_id", "/azp"]
subject        = ["/sub"]
session        = ["/sid"]
scope          = ["/scope"]
service        = [{{ at = "/sub", same_as = "/client_id" }}] # a program's token, not a person's
"#,
            algorithms.join(", ")
        )
    }

    fn rules_part(&self) -> String {
        let claims = self.claims_shown();
        let says = if claims.is_empty() {
            "# The issuer does not say which claims it sends.\n".to_owned()
        } else {
            wrapped(&format!("The issuer says that it can send: {}", claims.join(", ")))
        };
        let roles = match self.preset {
            Some("keycloak") => "/realm_access/roles",
            Some("cognito") => "/cognito:groups",
            Some("entra") => "/roles",
            _ => "/groups",
        };
        format!(
            r#"
# Claims. One table lets one claim through; a claim without a table is dropped.
{says}# Rules to start from: uncomment those that a service needs, and list the names in its `claims`.

# [[claim]]                                      # only the domain of a verified address
# from   = "/email"
# class  = "contact"
# action = {{ coarsen = "email-domain", domains = ["example.com"] }}
# to     = "email_domain"

# [[claim]]                                      # only listed values, under their names here
# from   = "{roles}"
# class  = "entitlement"
# action = {{ map = {{ reader = "reader" }} }}
# to     = "roles"
"#
        )
    }

    fn parties_part(&self) -> String {
        let hash = secret_hash_text(&self.nobodys_secret);
        format!(
            r#"
# A service that accepts this region's tokens. It gets the claims it lists, and no more.
[[resource]]
id       = "https://api.example/orders"          # CHANGE
audience = "orders"                              # a short name that requests may use
scopes   = []                                    # scopes that it knows
claims   = []                                    # names as the rules above write them

# A program that exchanges tokens. No secret fits this hash: replace the line by what
# `exequatur client secret` prints.
[[client]]
id           = "gateway"
auth         = {{ secret_sha256 = ["{hash}"] }}
grants       = ["token-exchange"]
resources    = ["https://api.example/orders"]
upstream_ids = ["gateway"]                       # CHANGE: its client id at the provider
"#
        )
    }

    /// Names of claims that cannot break out of a comment.
    fn claims_shown(&self) -> Vec<&str> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-.:/".contains(&b);
        let names = self.metadata.claims_supported.iter().map(String::as_str);
        let harmless = |name: &&str| name.len() <= CLAIM_BYTES_MAX && name.bytes().all(plain);
        names.filter(harmless).take(CLAIMS_SHOWN_MAX).collect()
    }
}

/// A comment, broken at spaces.
fn wrapped(text: &str) -> String {
    let mut lines = vec!["#".to_owned()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < 99 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("# {word}")),
        }
    }
    lines.join("\n") + "\n"
}

/// A TOML text, whatever stands in it.
fn toml_text(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            // Never in the path of a file that anybody means; the check refuses what is left of it.
            c if c.is_control() => out.push('?'),
            c => out.push(c),
        }
    }
    out + "\""
}
