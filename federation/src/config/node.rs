//! The node's own settings: `[listen]`, `[keys]`, `[store]`, `[audit]`, `[status_list]`, `[limits]`.

use std::net::SocketAddr;

use super::{
    diagnostic::Report,
    keys::ACCESS_TOKEN_SECONDS_MAX,
    settings::{
        AdminAddress, Audit, AuditExport, ExportFormat, KeyProvider, Keys, Limits, Listen,
        StatusLists, Store, StoreEngine, Transport,
    },
    table::{At, Table},
};
use crate::{client::Rate, jose::Algorithm, time::Ttl};

/// Longest time for which a status list is used before it is fetched anew: no token lives longer.
const STATUS_LIST_TTL_SECONDS_MAX: u32 = ACCESS_TOKEN_SECONDS_MAX;
/// Longest time between two publications of a list that changed.
const PUBLISH_SECONDS_MAX: u32 = 60;

/// Reads `[listen]`.
pub(super) fn listen(root: &Table<'_>, report: &mut Report<'_>) -> Option<Listen> {
    let table = root.table("listen")?;
    let public_text = table.text("public");
    let public = public_text.as_ref().and_then(|t| address(t, report));
    let mut optional = |key| table.text(key).and_then(|t| address(&t, report));
    let (mtls, peer, operations) = (optional("mtls"), optional("peer"), optional("operations"));
    let admin = table.text("admin").and_then(|t| match t.value.strip_prefix("unix:") {
        Some(path) => Some(AdminAddress::Unix(path.to_owned())),
        None => address(&t, report).map(AdminAddress::Tcp),
    });
    let transport = transport(&table, public, report);
    Some(Listen {
        public: public?,
        transport: transport?,
        mtls,
        peer,
        admin,
        operations: operations?,
    })
}

/// Reads `[keys]`.
pub(super) fn keys(root: &Table<'_>, report: &mut Report<'_>) -> Option<Keys> {
    let table = root.table("keys")?;
    let provider = key_provider(&table, report);
    let access_token = table.table("access_token")?;
    let algorithm = access_token.choice("algorithm", &Algorithm::ALL, Algorithm::as_str)?;
    Some(Keys {
        provider: provider?,
        algorithm: algorithm.value,
        rotate_every: access_token.duration("rotate_every")?.value,
        overlap: access_token.duration("overlap")?.value,
    })
}

/// Reads `[store]`.
pub(super) fn store(root: &Table<'_>, report: &mut Report<'_>) -> Option<Store> {
    let table = root.table("store")?;
    let url = table.text("url")?;
    let engine = match url.value.split_once(':') {
        Some(("sqlite", path)) if !path.is_empty() => {
            // `sqlite:///x` and `sqlite:/x` both name the file /x.
            StoreEngine::Sqlite(path.strip_prefix("//").unwrap_or(path).to_owned())
        }
        Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => {
            let user = rest.trim_start_matches('/').split('@').next().unwrap_or_default();
            if rest.contains('@') && user.contains(':') {
                report.cover(url.place.span.clone());
                let message = "the URL holds a password";
                let hint = "write the password to a file and name it in `password_file`";
                report.error(&url.place, message, Some(hint.to_owned()));
                return None;
            }
            StoreEngine::Postgres(url.value)
        }
        _ => {
            let hint = "sqlite:/path/to/file or postgres://user@host/database".to_owned();
            report.cover(url.place.span.clone());
            report.error(&url.place, "this is no database URL", Some(hint));
            return None;
        }
    };
    Some(Store { engine, password_file: table.text("password_file").map(|t| t.value) })
}

/// Reads `[audit]`.
pub(super) fn audit(root: &Table<'_>) -> Option<Audit> {
    let table = root.table("audit")?;
    let export = table.table("export").filter(|t| t.has("to")).and_then(|export| {
        let both = [ExportFormat::Json, ExportFormat::Ocsf];
        let format = export.choice("format", &both, |f| match f {
            ExportFormat::Json => "json",
            ExportFormat::Ocsf => "ocsf",
        });
        Some(AuditExport { to: export.text("to")?.value, format: format?.value })
    });
    Some(Audit { keep: table.duration("keep")?.value, export })
}

/// Reads `[status_list]`.
pub(super) fn status_list(root: &Table<'_>, report: &mut Report<'_>) -> Option<StatusLists> {
    let table = root.table("status_list")?;
    let ttl = table.duration("ttl")?;
    if !(1..=STATUS_LIST_TTL_SECONDS_MAX).contains(&ttl.value.seconds()) {
        report.error(&ttl.place, "a list is used for 1s to 1h before it is fetched anew", None);
    }
    let publish_every = table.duration("publish_every")?;
    if !(1..=PUBLISH_SECONDS_MAX).contains(&publish_every.value.seconds()) {
        report.error(&publish_every.place, "lists are published every 1s to 60s", None);
    } else if publish_every.value > ttl.value {
        let message = "lists would be published less often than they are fetched (`ttl`)";
        report.error(&publish_every.place, message, None);
    }
    Some(StatusLists { ttl: ttl.value, publish_every: publish_every.value })
}

/// Reads `[limits]`: quotas and the lifetime of access tokens.
pub(super) fn limits(root: &Table<'_>, report: &mut Report<'_>) -> Option<(Limits, Ttl)> {
    let table = root.table("limits")?;
    let ttl = super::resource::token_ttl(&table.duration("access_token_ttl")?, report)?;
    let limits = Limits {
        connections: table.integer("connections")?,
        requests_in_flight: table.integer("requests_in_flight")?,
    };
    Some((limits, ttl))
}

/// The `rate` of a table; its defaults where it has none.
pub(super) fn rate(table: &Table<'_>) -> Rate {
    let part = |key| table.table("rate").and_then(|r| r.integer(key)).unwrap_or(1);
    Rate { per_second: part("per_second"), burst: part("burst") }
}

fn address(text: &At<String>, report: &mut Report<'_>) -> Option<SocketAddr> {
    let address = text.value.parse().ok();
    if address.is_none() {
        let message = format!("`{}` is no address and port", text.value);
        let hint = "as in 127.0.0.1:8443, 0.0.0.0:8443 or [::]:8443";
        report.error(&text.place, message, Some(hint.to_owned()));
    }
    address
}

fn transport(
    table: &Table<'_>,
    public: Option<SocketAddr>,
    report: &mut Report<'_>,
) -> Option<Transport> {
    let plain = table.flag("plain_http");
    if plain && table.has("tls") {
        let message = "`plain_http` and `tls` exclude each other";
        report.error(&table.place_of("plain_http"), message, None);
        return None;
    }
    if plain {
        if public.is_some_and(|a| !a.ip().is_loopback()) {
            let message = "plain HTTP is served on loopback only";
            let hint = "write public = \"127.0.0.1:8443\", or give a certificate in `tls`";
            report.error(&table.place_of("plain_http"), message, Some(hint.to_owned()));
        }
        return Some(Transport::PlainHttp);
    }
    if !table.has("tls") {
        let message = "the public endpoints have no certificate";
        let hint = "write tls = { certificate = \"…\", private_key = \"…\" } under [listen], or \
                    plain_http = true for development on loopback";
        report.error(&table.place, message, Some(hint.to_owned()));
        return None;
    }
    let tls = table.table("tls")?;
    Some(Transport::Tls {
        certificate: tls.text("certificate")?.value,
        private_key: tls.text("private_key")?.value,
    })
}

fn key_provider(table: &Table<'_>, report: &mut Report<'_>) -> Option<KeyProvider> {
    let provider = table.text("provider")?;
    let other = match provider.value.as_str() {
        "pkcs11" => "software",
        "software" => "pkcs11",
        _ => return None,
    };
    if table.has(other) {
        let message = format!("`{other}` is set, but the provider is `{}`", provider.value);
        let hint = "one never falls back to the other: remove what is not used".to_owned();
        report.error(&table.place_of(other), message, Some(hint));
    }
    if !table.has(&provider.value) {
        let message = format!("`{}` is missing: it says where the keys are", provider.value);
        report.error(&provider.place, message, None);
        return None;
    }
    let own = table.table(&provider.value)?;
    let text = |key| own.text(key).map(|t| t.value);
    if provider.value == "pkcs11" {
        return Some(KeyProvider::Pkcs11 {
            module: text("module")?,
            slot: text("slot")?,
            pin_file: text("pin_file")?,
            sessions: own.integer("sessions")?,
        });
    }
    Some(KeyProvider::Software { file: text("file")?, passphrase_file: text("passphrase_file")? })
}
