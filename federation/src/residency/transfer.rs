//! Rules for borders.

/// One `[[transfer]]` rule, compiled.
#[derive(Clone, Debug)]
pub struct TransferRule {
    /// Its id.
    pub id: String,
}
