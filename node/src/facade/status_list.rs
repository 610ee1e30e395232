//! `GET /statuslists/{id}`: a status list for anyone who has its address (Token Status List draft
//! -21, section 8). Served from memory, also when it is older than it should be: `exp` and `ttl`
//! say that to whoever reads it.

use std::sync::Arc;

use axum::{
    extract::{Path, Request, State},
    response::{IntoResponse as _, Response},
};
use exequatur_federation::{
    refusal,
    revocation::{ListId, status_list},
};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH},
};

use super::{Facade, router::refuse};
use crate::revocation::Found;

pub(super) async fn answer(
    State(facade): State<Arc<Facade>>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    if asks_for_the_past(request.uri().query().unwrap_or_default()) {
        return refuse(&facade, &request, refusal::STATUS_LIST_HISTORY);
    }
    let found = ListId::from_hex(&id).map_or(Found::Unknown, |list| facade.lists.find(list));
    let list = match found {
        Found::Published(list) => list,
        // Its tokens are not older than the trouble: there was never anything to serve.
        Found::Unsigned => return refuse(&facade, &request, refusal::SIGNING_UNAVAILABLE),
        Found::Unknown => return refuse(&facade, &request, refusal::STATUS_LIST_UNKNOWN),
    };
    let mut response = if is_known(request.headers(), &list.etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut response = list.body.clone().into_response();
        let media = HeaderValue::from_static(status_list::MEDIA_TYPE);
        response.headers_mut().insert(CONTENT_TYPE, media);
        response
    };
    response.headers_mut().insert(ETAG, list.etag.clone());
    response.headers_mut().insert(CACHE_CONTROL, facade.documents.list_cache.clone());
    response
}

/// Whether the parameter `time` is there (draft section 8.4), whatever it says.
fn asks_for_the_past(query: &str) -> bool {
    form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "time")
}

/// Whether the client has this publication (RFC 9110 section 13.1.2, weak comparison).
fn is_known(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let mut tags = headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(str::trim);
    tags.any(|tag| {
        tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).as_bytes() == etag.as_bytes()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_known_in_every_form_in_which_it_may_come() {
        let etag = HeaderValue::from_static("\"abc\"");
        for (value, known) in [
            ("\"abc\"", true),
            ("W/\"abc\"", true),
            ("\"x\", \"abc\"", true),
            ("*", true),
            ("\"abcd\"", false),
            ("abc", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(IF_NONE_MATCH, value.parse().unwrap())]);
            assert_eq!(is_known(&headers, &etag), known, "{value}");
        }
        assert!(!is_known(&HeaderMap::new(), &etag));
    }

    #[test]
    fn the_past_is_asked_for_by_one_parameter() {
        for query in ["time=1", "a=b&time=", "time", "%74ime=5"] {
            assert!(asks_for_the_past(query), "{query}");
        }
        for query in ["", "times=1", "a=time"] {
            assert!(!asks_for_the_past(query), "{query}");
        }
    }
}
