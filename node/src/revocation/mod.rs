//! A node's side of revocation: the view that every decision reads, the places in status lists that
//! new tokens get, the lists as they are published, the feed of what was revoked, and how old the
//! view is.

mod feed;
mod indexes;
mod issued_at;
mod probe;
mod publish;
mod published;
mod report;
mod view;
mod view_age;

pub use feed::{FEEDS_A_CLIENT_MAX, FEEDS_MAX, Feed, Mark, Position, TooManyFeeds};
pub use indexes::{DrawnList, IndexError, StatusIndexes};
pub use issued_at::IssuedAt;
pub use probe::{Diverged, Prober};
pub use publish::{Publisher, PublisherParts};
pub use published::{Found, PublishedList, PublishedLists};
pub use report::ViewReport;
pub use view::{RevocationObserver, SharedView};
pub use view_age::ViewAge;
