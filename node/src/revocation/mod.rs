//! A node's side of revocation: the view that every decision reads, and the places in status
//! lists that new tokens get.

mod indexes;
mod view;

pub use indexes::{DrawnList, IndexError, StatusIndexes};
pub use view::SharedView;
