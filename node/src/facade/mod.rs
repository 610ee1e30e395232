//! OAuth over HTTP: parses requests, gathers facts, renders answers. It holds no rule and no key.

pub mod rate;
pub mod request_id;
pub mod stack;
