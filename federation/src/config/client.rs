//! `[[client]]`: who may ask, and how they prove who they are.

use super::{
    Files,
    diagnostic::Report,
    node::rate,
    secret::parse_secret_hash,
    table::{At, Table},
    upstream::algorithms,
};
use crate::{
    client::{
        ActsAs, AssertionAudience, Client, ClientAuth, ClientId, Grant, Rate, SecretHash,
        UpstreamIds,
    },
    jose::{Algorithm, JwkSet},
};

/// Longest client id: it stands in every record.
const ID_BYTES_MAX: usize = 128;
/// Live secrets of a client: the one in use and the next.
const SECRETS_MAX: usize = 2;

/// Reads one `[[client]]` table. `default_rate` is that of clients that name none.
pub(super) fn compile(
    table: &Table<'_>,
    default_rate: Rate,
    files: &Files<'_>,
    report: &mut Report<'_>,
) -> Option<Client> {
    let id = client_id(table, report);
    let auth = table.table("auth").filter(|_| table.has("auth"));
    let auth = auth.and_then(|auth| compile_auth(&auth, files, report));
    let acts_as = table.choice("acts_as", &[ActsAs::Delegate, ActsAs::Subject], |a| match a {
        ActsAs::Delegate => "delegate",
        ActsAs::Subject => "subject",
    });
    let grants = table.strings("grants").into_iter().filter_map(|name| match name.as_str() {
        "jwt-bearer" => Some(Grant::JwtBearer),
        "token-exchange" => Some(Grant::TokenExchange),
        _ => None,
    });
    let grants = grants.collect();
    let id = id?;
    let upstream_ids = upstream_ids(table, &id, report);
    Some(Client {
        auth: auth?,
        grants,
        resources: table.strings("resources"),
        transfers: table.strings("transfers"),
        upstream_ids,
        acts_as: acts_as?.value,
        tenant: table.text("tenant").map(|t| t.value),
        rate: if table.has("rate") { rate(table) } else { default_rate },
        id: ClientId::new(&id),
    })
}

fn client_id(table: &Table<'_>, report: &mut Report<'_>) -> Option<String> {
    let id = table.text("id")?;
    // RFC 6749 appendix A.1 allows any visible character; a colon would end the name in HTTP Basic.
    let plain = |b: u8| b.is_ascii_graphic() && !b"\":\\".contains(&b);
    if id.value.len() > ID_BYTES_MAX || !id.value.bytes().all(plain) {
        let message = format!(
            "`{}` cannot be a client id: use up to {ID_BYTES_MAX} visible ASCII characters \
             without : \" \\",
            id.value
        );
        report.error(&id.place, message, None);
        return None;
    }
    Some(id.value)
}

fn upstream_ids(table: &Table<'_>, id: &str, report: &mut Report<'_>) -> UpstreamIds {
    let listed = table.texts("upstream_ids");
    if let Some(any) = listed.iter().find(|t| t.value == "*") {
        let message = format!("`{id}` may exchange every token of the federation, whoever got it");
        let hint = "list its names at the global provider instead".to_owned();
        report.warning(&any.place, message, Some(hint));
        return UpstreamIds::Any;
    }
    if table.has("upstream_ids") {
        return UpstreamIds::Listed(listed.into_iter().map(|t| t.value).collect());
    }
    UpstreamIds::Listed(vec![id.to_owned()])
}

fn compile_auth(
    table: &Table<'_>,
    files: &Files<'_>,
    report: &mut Report<'_>,
) -> Option<ClientAuth> {
    let ways = ["private_key_jwt", "secret_hash_file", "secret_sha256"];
    let [way] = table.present(&ways).try_into().unwrap_or([""]);
    let foreign: &[&str] = match way {
        "private_key_jwt" => &["post"],
        "" => &[],
        _ => &["assertion_audience", "algorithms"],
    };
    for key in table.present(foreign) {
        report.error(&table.place_of(key), format!("`{key}` does not belong to `{way}`"), None);
    }
    match way {
        "private_key_jwt" => private_key_jwt(table, files, report),
        "secret_hash_file" => {
            let file = file_text(table, "secret_hash_file", files, report)?;
            let lines = file.value.lines().map(str::trim).filter(|l| !l.is_empty());
            let lines = lines.map(|l| At { value: l.to_owned(), place: file.place.clone() });
            let lines: Vec<At<String>> = lines.collect();
            secret(table, &lines, report)
        }
        "secret_sha256" => secret(table, &table.texts("secret_sha256"), report),
        _ => {
            let hint = format!("write one of {}", ways.join(", "));
            report.error(&table.place, "a client authenticates in exactly one way", Some(hint));
            None
        }
    }
}

fn private_key_jwt(
    table: &Table<'_>,
    files: &Files<'_>,
    report: &mut Report<'_>,
) -> Option<ClientAuth> {
    let both = [AssertionAudience::Issuer, AssertionAudience::IssuerOrTokenEndpoint];
    let audience = table.choice("assertion_audience", &both, |a| match a {
        AssertionAudience::Issuer => "issuer",
        AssertionAudience::IssuerOrTokenEndpoint => "issuer-or-token-endpoint",
    });
    let audience = audience?;
    if audience.value == AssertionAudience::IssuerOrTokenEndpoint {
        let message = "assertions for the token endpoint are accepted, which RFC 7523bis forbids";
        let hint = "let the client's library send the issuer, then remove this".to_owned();
        report.warning(&audience.place, message, Some(hint));
    }
    let file = file_text(table, "private_key_jwt", files, report)?;
    let keys = match JwkSet::parse(file.value.as_bytes()) {
        Ok(keys) => keys,
        Err(error) => {
            report.error(&file.place, format!("the file holds no usable keys: {error}"), None);
            return None;
        }
    };
    let listed = algorithms(table);
    let can = |a: &Algorithm| keys.keys().iter().any(|k| k.algorithm(&[*a]).is_some());
    let usable: Vec<Algorithm> = match listed.as_slice() {
        [] => Algorithm::ALL.into_iter().filter(can).collect(),
        listed => listed.iter().copied().filter(can).collect(),
    };
    if usable.is_empty() {
        let message = "no key of the file verifies a signature of a known or listed algorithm";
        report.error(&file.place, message, None);
        return None;
    }
    Some(ClientAuth::PrivateKeyJwt { keys, algorithms: usable, audience: audience.value })
}

fn secret(table: &Table<'_>, texts: &[At<String>], report: &mut Report<'_>) -> Option<ClientAuth> {
    if texts.is_empty() || texts.len() > SECRETS_MAX {
        let message = format!("a client has one or two live secrets, this one has {}", texts.len());
        report.error(&table.place, message, None);
        return None;
    }
    let mut hashes: Vec<SecretHash> = Vec::new();
    for text in texts {
        match parse_secret_hash(&text.value) {
            Ok(hash) => hashes.push(hash),
            Err(error) => {
                let hint = "`exequatur client secret` prints the secret once, and its hash";
                // What stands there may be the secret itself.
                report.cover(text.place.span.clone());
                report.error(&text.place, error.to_string(), Some(hint.to_owned()));
            }
        }
    }
    (hashes.len() == texts.len()).then(|| ClientAuth::Secret { hashes, post: table.flag("post") })
}

/// The text of the file that a key names; a failure is reported at the key.
fn file_text(
    table: &Table<'_>,
    key: &str,
    files: &Files<'_>,
    report: &mut Report<'_>,
) -> Option<At<String>> {
    let path = table.text(key)?;
    let text = files.read(&path.value).and_then(|bytes| {
        String::from_utf8(bytes).map_err(|_| "it is no text in UTF-8".to_owned())
    });
    match text {
        Ok(text) => Some(path.map(|_| text)),
        Err(error) => {
            report.error(&path.place, format!("cannot read `{}`: {error}", path.value), None);
            None
        }
    }
}
