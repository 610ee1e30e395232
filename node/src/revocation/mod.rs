//! A node's side of revocation: the view that every decision reads and how old it is, the outbox
//! through which what is asked for here reaches the federation, the places in status lists that new
//! tokens get, the lists as they are published, and the feed of what was revoked.

mod feed;
mod indexes;
mod issued_at;
mod outbox;
mod probe;
mod publish;
mod published;
mod report;
mod sender;
mod tell;
mod view;
mod view_age;

pub use feed::{FEEDS_A_CLIENT_MAX, FEEDS_MAX, Feed, Mark, Position, TooManyFeeds};
pub use indexes::{DrawnList, IndexError, StatusIndexes};
pub use issued_at::IssuedAt;
pub use outbox::{Delivery, Draft, Outbox, Sent};
pub use probe::{Diverged, Prober};
pub use publish::{Publisher, PublisherParts};
pub use published::{Found, PublishedList, PublishedLists};
pub use report::ViewReport;
pub use sender::{OutboxParts, OutboxSender};
pub use tell::Teller;
pub use view::SharedView;
pub use view_age::ViewAge;
