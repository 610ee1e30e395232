//! A node's side of revocation: the view that every decision reads, the places in status lists that
//! new tokens get, the lists as they are published, and the feed of what was revoked.

mod feed;
mod indexes;
mod publish;
mod published;
mod view;

pub use feed::{FEEDS_A_CLIENT_MAX, FEEDS_MAX, Feed, Mark, Position, TooManyFeeds};
pub use indexes::{DrawnList, IndexError, StatusIndexes};
pub use publish::{Publisher, PublisherParts};
pub use published::{Found, PublishedList, PublishedLists};
pub use view::{RevocationObserver, SharedView};
