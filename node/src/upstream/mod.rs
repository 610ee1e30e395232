//! Global issuers: discovery and keys, fetched over HTTPS, cached and bounded.
