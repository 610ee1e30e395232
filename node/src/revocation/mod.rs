//! A node's side of revocation: the view that every decision reads, and the places in status
//! lists that new tokens get.

mod indexes;
mod issued_at;
mod view;

pub use indexes::{IndexError, StatusIndexes};
pub use issued_at::IssuedAt;
pub use view::SharedView;
