//! What services that verify offline may ask for with credentials: the addresses of all status
//! lists (Token Status List draft -21, section 9), and the feed of revocations.

use axum::body::Body;
use exequatur_federation::{
    authenticate::AuthenticatedClient, introspection::may_follow, refusal, revocation::status_list,
};
use futures_util::StreamExt as _;
use http::HeaderMap;
use serde_json::json;

use super::pipeline::{Answer, Call, Refused};

/// The header by which a client says what it has (WHATWG HTML section 9.2.4).
const LAST_EVENT_ID: &str = "last-event-id";

/// Seconds after which a client may try again that found no place: feeds are long.
const RETRY_AFTER_SECONDS: u32 = 10;

/// Any client of the region may know which lists there are.
pub(super) async fn lists(
    call: &Call<'_>,
    client: &AuthenticatedClient<'_>,
) -> Result<Answer, Refused> {
    call.save_replay(client).await?;
    let issuer = &call.law().issuer;
    let ids = call.facade.lists.ids();
    let addresses: Vec<String> = ids.into_iter().map(|id| status_list::uri(issuer, id)).collect();
    let body = serde_json::to_vec(&json!({ "status_lists": addresses }));
    Ok(Answer::Json(body.map_err(|_| refusal::INTERNAL_FAULT)?))
}

/// The feed, for clients that answer for a resource.
pub(super) async fn feed(
    call: &Call<'_>,
    client: &AuthenticatedClient<'_>,
    headers: &HeaderMap,
) -> Result<Answer, Refused> {
    may_follow(call.law(), client)?;
    call.save_replay(client).await?;
    let last = headers.get(LAST_EVENT_ID).and_then(|value| value.to_str().ok());
    let pieces = call.facade.feed.follow(&client.client().id, last).map_err(|_| Refused {
        refusal: refusal::TOO_MANY_FEEDS.into(),
        retry_after_seconds: Some(RETRY_AFTER_SECONDS),
    })?;
    let pieces = pieces.map(Ok::<_, std::convert::Infallible>);
    Ok(Answer::Events(Body::from_stream(pieces)))
}
