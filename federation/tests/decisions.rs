//! What a region decides, from outside: a law is compiled from files as a user writes them, tokens
//! are made and signed as providers do, and the answer is compared with what the design promises.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a step of a test that fails should fail the test"
)]

mod decisions {
    mod cached_subject;
    mod client_authentication;
    mod exchange_actors;
    mod exchange_home_region;
    mod exchange_presets;
    mod exchange_scopes;
    mod exchange_subjects;
    mod exchange_targets;
    mod exchange_tenants;
    mod freshness;
    mod introspection;
    mod properties;
    mod records;
    mod revocation;
    mod sealed;
    mod standing;
    mod world;
}
