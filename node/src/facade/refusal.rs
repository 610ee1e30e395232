//! The one map from a refusal to what a client sees (RFC 6749 section 5.2).
//!
//! Common libraries keep only `error`, `error_description` and `error_uri`, so the stable id
//! stands at the end of `error_uri`, where it also resolves. Nothing from the request is echoed.

use axum::{
    body::Body,
    response::{IntoResponse as _, Response},
};
use exequatur_federation::{
    oauth::ErrorCode,
    refusal::{Hint, Refusal, RefusalId},
};
use http::{
    HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde::Serialize;

/// Seconds after which a client may try again when nothing better is known.
pub(super) const RETRY_AFTER_SECONDS: u32 = 2;

/// The members of an error answer.
#[derive(Serialize)]
pub(crate) struct ErrorBody<'a> {
    error: &'static str,
    error_id: &'static str,
    error_description: &'static str,
    error_uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acr_values: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_age: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    home_issuer: Option<&'a str>,
}

impl<'a> ErrorBody<'a> {
    /// The members of the answer to one request; a rehearsal has no `request_id`.
    pub(crate) fn of(issuer: &str, refusal: &'a Refusal, request_id: Option<&'a str>) -> Self {
        let id = refusal.id;
        let mut body = Self {
            error: id.code().as_str(),
            error_id: id.as_str(),
            error_description: id.description(),
            error_uri: error_uri(issuer, id),
            request_id,
            acr_values: None,
            max_age: None,
            home_issuer: None,
        };
        match &refusal.hint {
            None => {}
            Some(Hint::Authentication { acr_values, max_age }) => {
                body.acr_values = acr_values.as_deref();
                body.max_age = *max_age;
            }
            Some(Hint::HomeIssuer(issuer)) => body.home_issuer = Some(issuer),
        }
        body
    }
}

/// Where the catalogue entry of an id is served.
pub(super) fn error_uri(issuer: &str, id: RefusalId) -> String {
    format!("{issuer}/errors/{id}")
}

/// Renders a refusal.
pub(super) fn render(
    issuer: &str,
    refusal: &Refusal,
    request_id: &str,
    retry_after_seconds: Option<u32>,
) -> Response {
    let id = refusal.id;
    let body = ErrorBody::of(issuer, refusal, Some(request_id));
    let text = serde_json::to_vec(&body).unwrap_or_default();
    let status = StatusCode::from_u16(id.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = (status, Body::from(text)).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if matches!(id.status(), 429 | 503) {
        let seconds = retry_after_seconds.unwrap_or(RETRY_AFTER_SECONDS).max(1);
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if id.code() == ErrorCode::InvalidClient {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"exequatur\""));
    }
    response
}
