//! What clients are promised about each error id: status and OAuth code. Written down a second
//! time, after the table of the OAuth decisions, so that a change of the product's own catalogue
//! does not pass unseen.

/// Error id, status, `error`.
const PROMISES: &[(&str, u16, &str)] = &[
    ("actor_not_allowed", 400, "invalid_request"),
    ("actor_token_audience", 400, "invalid_request"),
    ("actor_token_bound", 400, "invalid_request"),
    ("actor_token_claims", 400, "invalid_request"),
    ("actor_token_kind", 400, "invalid_request"),
    ("actor_token_malformed", 400, "invalid_request"),
    ("actor_token_time", 400, "invalid_request"),
    ("actor_token_type_unsupported", 400, "invalid_request"),
    ("actor_token_untrusted", 400, "invalid_request"),
    ("audit_unavailable", 503, "temporarily_unavailable"),
    ("authentication_insufficient", 400, "insufficient_user_authentication"),
    ("body_too_large", 413, "invalid_request"),
    ("client_assertion_audience", 401, "invalid_client"),
    ("client_assertion_replayed", 401, "invalid_client"),
    ("client_assertion_time", 401, "invalid_client"),
    ("client_authentication_failed", 401, "invalid_client"),
    ("client_authentication_missing", 401, "invalid_client"),
    ("client_authentication_repeated", 400, "invalid_request"),
    ("content_type_unsupported", 415, "invalid_request"),
    ("feed_not_allowed", 400, "unauthorized_client"),
    ("grant_not_allowed", 400, "unauthorized_client"),
    ("grant_type_unsupported", 400, "unsupported_grant_type"),
    ("home_region_elsewhere", 400, "invalid_request"),
    ("home_region_unknown", 400, "invalid_request"),
    ("introspection_unauthenticated", 400, "invalid_request"),
    ("issuer_keys_unavailable", 503, "temporarily_unavailable"),
    ("method_not_allowed", 405, "invalid_request"),
    ("not_found", 404, "invalid_request"),
    ("parameter_in_query", 400, "invalid_request"),
    ("parameter_missing", 400, "invalid_request"),
    ("parameter_repeated", 400, "invalid_request"),
    ("rate_limited", 429, "temporarily_unavailable"),
    ("request_malformed", 400, "invalid_request"),
    ("requested_token_type_unsupported", 400, "invalid_request"),
    ("requester_not_allowed", 400, "invalid_request"),
    ("scope_not_allowed", 400, "invalid_scope"),
    ("scope_malformed", 400, "invalid_scope"),
    ("seal_key_missing", 503, "temporarily_unavailable"),
    ("sender_constraint_required", 400, "invalid_target"),
    ("service_not_allowed", 400, "invalid_request"),
    ("signing_unavailable", 503, "temporarily_unavailable"),
    ("status_list_history", 501, "invalid_request"),
    ("status_list_unknown", 404, "invalid_request"),
    ("subject_token_audience", 400, "invalid_request"),
    ("subject_token_bound", 400, "invalid_request"),
    ("subject_token_claims", 400, "invalid_request"),
    ("subject_token_kind", 400, "invalid_request"),
    ("subject_token_malformed", 400, "invalid_request"),
    ("subject_token_time", 400, "invalid_request"),
    ("subject_token_type_unsupported", 400, "invalid_request"),
    ("subject_token_untrusted", 400, "invalid_request"),
    ("target_ambiguous", 400, "invalid_target"),
    ("target_missing", 400, "invalid_target"),
    ("target_tenant", 400, "invalid_target"),
    ("target_unknown", 400, "invalid_target"),
    ("token_of_another_client", 400, "invalid_grant"),
    ("token_type_not_revocable", 400, "unsupported_token_type"),
    ("too_many_feeds", 429, "temporarily_unavailable"),
    ("transfer_not_offered", 400, "invalid_target"),
    ("wrong_region", 421, "invalid_request"),
];

/// Status and `error` that go with an error id.
pub(crate) fn promise(error_id: &str) -> (u16, &'static str) {
    let found = PROMISES.iter().find(|(id, ..)| *id == error_id);
    let Some((_, status, error)) = found else { panic!("nothing is promised about `{error_id}`") };
    (*status, error)
}
