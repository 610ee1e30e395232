//! What each key means, for `exequatur config explain`.

use super::{
    check::joined,
    diagnostic::nearest,
    keys::{FEDERATION, REGION},
    shape::{Need, Shape},
};

/// One key of a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDoc {
    /// The key, as in `listen.public` or `client[].auth.post`.
    pub path: String,
    /// Which file it stands in.
    pub file: ConfigFile,
    /// Its type in words.
    pub kind: String,
    /// What an absent key means; `None` if it must be there.
    pub absent: Option<String>,
    /// What it means.
    pub meaning: &'static str,
}

/// A kind of configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigFile {
    /// `federation.toml`, alike in every region.
    Federation,
    /// The file of one region.
    Region,
}

/// Every key of both files, the region's first.
#[must_use]
pub fn keys() -> Vec<KeyDoc> {
    let mut docs = Vec::new();
    walk(&REGION, "", ConfigFile::Region, &mut docs);
    walk(&FEDERATION, "", ConfigFile::Federation, &mut docs);
    docs
}

/// The keys that a path names, and those below it. `client.auth` and `client[].auth` are one path.
///
/// # Errors
/// No key has this path; the nearest one, if any is near.
pub fn explain(path: &str) -> Result<Vec<KeyDoc>, Option<String>> {
    let plain = |p: &str| p.replace("[]", "");
    let wanted = plain(path);
    let below = format!("{wanted}.");
    let all = keys();
    let found = all.iter().filter(|d| {
        let path = plain(&d.path);
        path == wanted || path.starts_with(&below)
    });
    let found: Vec<KeyDoc> = found.cloned().collect();
    if found.is_empty() {
        let near = nearest(path, all.iter().map(|d| d.path.as_str()));
        return Err(near.map(str::to_owned));
    }
    Ok(found)
}

fn walk(shape: &Shape, prefix: &str, file: ConfigFile, docs: &mut Vec<KeyDoc>) {
    for field in shape.fields {
        let path = joined(prefix, field.key);
        let absent = match field.need {
            Need::Default(text) => Some(text.to_owned()),
            Need::Optional => Some("not set".to_owned()),
            Need::Required => None,
        };
        let kind = field.kind.describe();
        let item = field.kind.item().and_then(|item| item.table());
        let path = if item.is_some() { path + "[]" } else { path };
        let inner = item.or_else(|| field.kind.table());
        docs.push(KeyDoc { path: path.clone(), file, kind, absent, meaning: field.meaning });
        if let Some(inner) = inner {
            walk(inner, &path, file, docs);
        }
    }
}
