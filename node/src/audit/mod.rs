//! The audit writer: a record is durable before anything is signed.
