//! A node's side of revocation: the view that every decision reads, the places in status
//! lists that new tokens get, and how old the view is.

mod indexes;
mod issued_at;
mod probe;
mod report;
mod view;
mod view_age;

pub use indexes::{IndexError, StatusIndexes};
pub use issued_at::IssuedAt;
pub use probe::{Diverged, Prober};
pub use report::ViewReport;
pub use view::SharedView;
pub use view_age::ViewAge;
