//! The status lists as anyone may read them now.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;
use bytes::Bytes;
use exequatur_federation::{
    jose::{SignedToken, base64url, sha256},
    revocation::ListId,
};
use http::HeaderValue;

/// One publication of a list.
#[derive(Clone, Debug)]
pub struct PublishedList {
    /// The signed list.
    pub body: Bytes,
    /// What changes with every publication (RFC 9110 section 8.8.3).
    pub etag: HeaderValue,
}

/// All lists of the region with living tokens; `None` for one that could not be signed yet.
type Lists = BTreeMap<ListId, Option<Arc<PublishedList>>>;

/// What is served: read without a lock, replaced as a whole.
#[derive(Debug, Default)]
pub struct PublishedLists(ArcSwap<Lists>);

/// What is known of a list.
#[derive(Clone, Debug)]
pub enum Found {
    /// It is published.
    Published(Arc<PublishedList>),
    /// It is one of the region's, and could not be signed yet.
    Unsigned,
    /// It is none of the region's, or its tokens have expired.
    Unknown,
}

impl PublishedList {
    /// Takes a signed list.
    #[must_use]
    pub fn new(token: &SignedToken) -> Self {
        let body = Bytes::copy_from_slice(token.as_str().as_bytes());
        let tag = format!("\"{}\"", base64url(&sha256(&body)));
        // Base64url in quotes is always the value of a header.
        let etag = HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"\""));
        Self { body, etag }
    }
}

impl PublishedLists {
    /// What is known of a list.
    #[must_use]
    pub fn find(&self, list: ListId) -> Found {
        match self.0.load().get(&list) {
            Some(Some(published)) => Found::Published(Arc::clone(published)),
            Some(None) => Found::Unsigned,
            None => Found::Unknown,
        }
    }

    /// Ids of the lists, in order.
    #[must_use]
    pub fn ids(&self) -> Vec<ListId> {
        self.0.load().keys().copied().collect()
    }

    /// Serves these lists from now on.
    pub fn replace(&self, lists: BTreeMap<ListId, Option<Arc<PublishedList>>>) {
        self.0.store(Arc::new(lists));
    }
}
