//! Where an issuer's keys stand: OpenID Connect Discovery 1.0 section 4, then RFC 8414 section 3.
//! A document must name exactly the issuer that was asked for (section 4.3; RFC 8414 section 3.3),
//! or one issuer could speak for another. Members of no use here are not read.

use exequatur_federation::jose::{JsonError, parse_object};
use serde_json::{Map, Value};

use super::{Fetch, FetchError, RemoteUrl, UrlError, url::shown};

/// Most entries of a list that is kept: the longest, `claims_supported`, has some dozens.
const LIST_ENTRIES_MAX: usize = 200;
/// Longest entry of a list that is kept.
const LIST_ENTRY_BYTES_MAX: usize = 200;

/// What an issuer says about itself, as far as it is of use here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerMetadata {
    /// The issuer, equal to the one asked for.
    pub issuer: RemoteUrl,
    /// Where its keys stand.
    pub jwks_uri: RemoteUrl,
    /// Its token endpoint, if it names an acceptable one.
    pub token_endpoint: Option<RemoteUrl>,
    /// Algorithms of its ID tokens, as it spells them.
    pub id_token_signing_alg_values_supported: Vec<String>,
    /// Claims that it may send.
    pub claims_supported: Vec<String>,
}

/// Why an issuer's metadata is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryError {
    /// The address did not answer with a document.
    #[error("`{url}`: {cause}")]
    Fetch {
        /// What was asked.
        url: String,
        /// Why there is no answer.
        cause: FetchError,
    },
    /// No well-known address can be made of the issuer.
    #[error("the issuer has no well-known address: {0}")]
    Issuer(UrlError),
    /// The document speaks for another issuer.
    #[error(
        "`{url}` names the issuer `{got}` where `{expected}` is configured: they must be equal byte for byte"
    )]
    IssuerMismatch {
        /// Where the document stands.
        url: String,
        /// The configured issuer.
        expected: String,
        /// The `issuer` member, shortened.
        got: String,
    },
    /// `jwks_uri` is missing or unacceptable.
    #[error("`{url}` has no acceptable `jwks_uri`: {cause}")]
    JwksUri {
        /// Where the document stands.
        url: String,
        /// What is wrong with it.
        cause: UrlError,
    },
    /// The document is no acceptable JSON object.
    #[error("`{url}`: {cause}")]
    Malformed {
        /// Where the document stands.
        url: String,
        /// What is wrong with it.
        cause: JsonError,
    },
    /// Neither address has a document.
    #[error(
        "no metadata at `{openid_url}` ({openid}) nor at `{oauth_url}` ({oauth}): set `jwks_uri` if the issuer publishes none"
    )]
    NotPublished {
        /// The OpenID Connect address.
        openid_url: String,
        /// What it answered.
        openid: FetchError,
        /// The RFC 8414 address.
        oauth_url: String,
        /// What it answered.
        oauth: FetchError,
    },
}

/// Asks `issuer` for its metadata.
///
/// # Errors
/// See [`DiscoveryError`].
pub async fn discover(
    fetch: &dyn Fetch,
    issuer: &RemoteUrl,
) -> Result<IssuerMetadata, DiscoveryError> {
    let openid_url = openid_address(issuer)?;
    let openid = match fetch.fetch(&openid_url).await {
        Ok(body) => return read(&body, &openid_url, issuer),
        Err(cause) if says_not_here(&cause) => cause,
        Err(cause) => return Err(DiscoveryError::Fetch { url: openid_url.to_string(), cause }),
    };
    let oauth_url = oauth_address(issuer)?;
    match fetch.fetch(&oauth_url).await {
        Ok(body) => read(&body, &oauth_url, issuer),
        Err(oauth) => Err(DiscoveryError::NotPublished {
            openid_url: openid_url.to_string(),
            openid,
            oauth_url: oauth_url.to_string(),
            oauth,
        }),
    }
}

/// Whether an answer means that another address is worth asking. A host that is down or failing
/// is the same host there; a page of HTML is how some sites say "not found".
const fn says_not_here(cause: &FetchError) -> bool {
    matches!(cause, FetchError::Status { status: 400..=499 } | FetchError::ContentType { .. })
}

fn openid_address(issuer: &RemoteUrl) -> Result<RemoteUrl, DiscoveryError> {
    let base = issuer.as_str().strip_suffix('/').unwrap_or(issuer.as_str());
    address(issuer, &format!("{base}/.well-known/openid-configuration"))
}

/// RFC 8414 section 3.1: the well-known part stands between host and path.
fn oauth_address(issuer: &RemoteUrl) -> Result<RemoteUrl, DiscoveryError> {
    let path = issuer.uri().path();
    let path = path.strip_suffix('/').unwrap_or(path);
    let scheme = issuer.uri().scheme_str().unwrap_or("https");
    let authority = issuer.authority();
    let text = format!("{scheme}://{authority}/.well-known/oauth-authorization-server{path}");
    address(issuer, &text)
}

fn address(issuer: &RemoteUrl, text: &str) -> Result<RemoteUrl, DiscoveryError> {
    RemoteUrl::named_by(issuer, text).map_err(DiscoveryError::Issuer)
}

fn read(
    body: &[u8],
    url: &RemoteUrl,
    issuer: &RemoteUrl,
) -> Result<IssuerMetadata, DiscoveryError> {
    let document = parse_object(body)
        .map_err(|cause| DiscoveryError::Malformed { url: url.to_string(), cause })?;
    let text = |name| document.get(name).and_then(Value::as_str);
    let got = text("issuer").unwrap_or_default();
    if got != issuer.as_str() {
        return Err(DiscoveryError::IssuerMismatch {
            url: url.to_string(),
            expected: issuer.to_string(),
            got: shown(got),
        });
    }
    let jwks_uri = RemoteUrl::named_by(url, text("jwks_uri").unwrap_or_default())
        .map_err(|cause| DiscoveryError::JwksUri { url: url.to_string(), cause })?;
    let token_endpoint = text("token_endpoint").and_then(|t| RemoteUrl::named_by(url, t).ok());
    Ok(IssuerMetadata {
        issuer: issuer.clone(),
        jwks_uri,
        token_endpoint,
        id_token_signing_alg_values_supported: list(
            &document,
            "id_token_signing_alg_values_supported",
        ),
        claims_supported: list(&document, "claims_supported"),
    })
}

/// The texts of a list, as far as they are of ordinary length. They advise an operator and decide
/// nothing, so a strange one is left out rather than an error.
fn list(document: &Map<String, Value>, name: &str) -> Vec<String> {
    let entries = document.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let texts = entries.iter().filter_map(Value::as_str);
    let ordinary = texts.filter(|t| t.len() <= LIST_ENTRY_BYTES_MAX);
    ordinary.take(LIST_ENTRIES_MAX).map(str::to_owned).collect()
}
