//! Global issuers: where their keys stand (OpenID Connect Discovery 1.0, RFC 8414) and the keys
//! themselves (RFC 7517), fetched over HTTPS, cached and bounded.
//!
//! A fetch is one GET on one connection under one deadline: no redirect, no compression, no plain
//! HTTP but to loopback. An issuer that is down, slow or wrong costs nothing on the path of a
//! request while its last good keys are young enough; after that the answer is "unavailable",
//! never "invalid". What a key may verify is not known here.

mod discovery;
mod fetch;
mod issuer;
mod keys;
mod roots;
mod schedule;
mod source;
mod url;

pub use discovery::{DiscoveryError, IssuerMetadata, discover};
pub use fetch::{Fetch, FetchError, FetchLimits, HttpFetcher};
pub use issuer::Freshness;
pub use keys::{DuplicateIssuer, IssuerKeys, IssuerStatus, KeysError};
pub use roots::{RootsError, TrustRoots};
pub use source::{IssuerSource, RefreshError, SourceError};
pub use url::{RemoteUrl, UrlError};

#[cfg(test)]
mod discovery_test;
#[cfg(test)]
mod fetch_test;
#[cfg(test)]
mod keys_test;
#[cfg(test)]
mod testing;
