//! Keeps the house in order: what may depend on what, where names may appear, how large a file may
//! grow, and that what is written about the code still holds. Each checker is a function from text
//! to violations and has a planted violation beside it, so that it is known to bite.

#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "this test reads the repository, and what it cannot read should fail it"
)]

mod tidy {
    mod files;
    mod layers;
    mod lexer;
    mod links;
    mod manifests;
    mod tree;
}
