//! Tables of bad input. Each line of a table is one request to a real node: its status, error and
//! error id, what must not be in the answer, and what must be in the audit log. RFC 6749, 7009,
//! 7515, 7519, 7523, 7662, 8693, 8725, 9701; Token Status List draft -21.

mod actors;
mod client_authentication;
mod exchange_parameters;
mod home_region;
mod http;
mod introspection;
mod jwt_claims;
mod jwt_encoding;
mod jwt_header;
mod revocation;
mod status_lists;
mod targets_and_scopes;
