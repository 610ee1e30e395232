//! The routes of a region's public listener. Every endpoint stands below the issuer's path;
//! metadata stands at both well-known addresses with equal bytes.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use bytes::Bytes;
use exequatur_federation::refusal::{self, RefusalId};
use http::{
    HeaderValue, Uri,
    header::{CACHE_CONTROL, CONTENT_TYPE},
    uri::{Authority, Scheme},
};

use super::{Facade, pipeline, refusal::render, request_id::RequestId, status_list};
use crate::{
    facade::stack::{Unserved, readable_from_any_origin},
    net::authority,
    telemetry::metrics::Endpoint,
};

/// How long anyone may keep a document: keys are published longer than this before their use.
const DOCUMENT_CACHE: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// The public endpoints of a region.
pub fn router(facade: Arc<Facade>) -> Router {
    let base = facade.documents.issuer_path.clone();
    let at = |path: &str| format!("{base}{path}");
    let documents = Router::new()
        .route(&at("/jwks"), get(jwks))
        .route(&at("/statuslists/{id}"), get(status_list::answer))
        .route(&facade.documents.oauth_metadata_path(), get(metadata))
        .route(&facade.documents.openid_metadata_path(), get(metadata));
    let foreign = foreign_hosts(&facade);
    Router::new()
        .route(&at("/token"), post(token))
        .route(&at("/introspect"), post(introspect))
        .route(&at("/revoke"), post(revoke))
        .route(&at("/statuslists"), get(status_lists).post(status_lists))
        .route(&at("/revocations"), get(revocations).post(revocations))
        .route(&at("/errors/{id}"), get(error_text))
        .merge(readable_from_any_origin(documents))
        .fallback(unknown_address)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state((Arc::clone(&facade), foreign), right_region))
        .with_state(facade)
}

/// Renders an answer to a request that reached no handler.
pub fn unserved(facade: &Facade, why: Unserved, id: Option<&RequestId>) -> Response {
    let refusal = match why {
        Unserved::ContentEncoded => refusal::CONTENT_TYPE_UNSUPPORTED,
        Unserved::Overloaded | Unserved::TimedOut => refusal::OVERLOADED,
        Unserved::NoEntropy | Unserved::Panicked => refusal::INTERNAL_FAULT,
    };
    facade.counted.count(refusal.as_str(), facade.clock.now());
    let id = id.map(RequestId::to_string).unwrap_or_default();
    render(&facade.law.issuer, &refusal.into(), &id, why.retry_after_seconds())
}

async fn token(State(facade): State<Arc<Facade>>, request: Request) -> Response {
    pipeline::serve(&facade, Endpoint::Token, request).await
}

async fn introspect(State(facade): State<Arc<Facade>>, request: Request) -> Response {
    pipeline::serve(&facade, Endpoint::Introspect, request).await
}

async fn revoke(State(facade): State<Arc<Facade>>, request: Request) -> Response {
    pipeline::serve(&facade, Endpoint::Revoke, request).await
}

async fn status_lists(State(facade): State<Arc<Facade>>, request: Request) -> Response {
    pipeline::serve(&facade, Endpoint::StatusLists, request).await
}

async fn revocations(State(facade): State<Arc<Facade>>, request: Request) -> Response {
    pipeline::serve(&facade, Endpoint::RevocationFeed, request).await
}

async fn jwks(State(facade): State<Arc<Facade>>) -> Response {
    document(facade.documents.jwks.clone(), "application/jwk-set+json")
}

async fn metadata(State(facade): State<Arc<Facade>>) -> Response {
    document(facade.documents.metadata.clone(), "application/json")
}

/// What `error_uri` resolves to: the catalogue entry, for people.
async fn error_text(
    State(facade): State<Arc<Facade>>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let Some(found) = RefusalId::find(&id) else {
        return refuse(&facade, &request, refusal::NOT_FOUND);
    };
    let text = format!("{found}\n\n{}\n{}\n", found.description(), found.remedy());
    document(text.into(), "text/plain; charset=utf-8")
}

async fn unknown_address(State(facade): State<Arc<Facade>>, request: Request) -> Response {
    refuse(&facade, &request, refusal::NOT_FOUND)
}

async fn wrong_method(State(facade): State<Arc<Facade>>, request: Request) -> Response {
    refuse(&facade, &request, refusal::METHOD_NOT_ALLOWED)
}

/// A request for another region's host is not served here, whoever sent it: its sender believes
/// that another law holds.
async fn right_region(
    State((facade, foreign)): State<(Arc<Facade>, Arc<[Host]>)>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let elsewhere = authority(&parts).is_some_and(|named| foreign.iter().any(|h| h.is(&named)));
    let request = Request::from_parts(parts, body);
    if elsewhere {
        return refuse(&facade, &request, refusal::WRONG_REGION);
    }
    next.run(request).await
}

/// Where a region is reached. A port that is left out is the scheme's, whoever leaves it out.
struct Host {
    authority: Authority,
    default_port: u16,
}

impl Host {
    fn of(issuer: &str) -> Option<Self> {
        let uri = issuer.parse::<Uri>().ok()?;
        let default_port = if uri.scheme() == Some(&Scheme::HTTP) { 80 } else { 443 };
        Some(Self { authority: uri.authority()?.clone(), default_port })
    }

    fn is(&self, named: &Authority) -> bool {
        let port = |authority: &Authority| authority.port_u16().unwrap_or(self.default_port);
        self.authority.host().eq_ignore_ascii_case(named.host())
            && port(&self.authority) == port(named)
    }
}

fn foreign_hosts(facade: &Facade) -> Arc<[Host]> {
    let own = Host::of(&facade.law.issuer);
    let is_own = |host: &Host| own.as_ref().is_some_and(|own| own.is(&host.authority));
    let all = facade.law.region_issuers.values().filter_map(|issuer| Host::of(issuer));
    all.filter(|host| !is_own(host)).collect()
}

/// Renders a refusal of a request without credentials, and counts it.
pub(super) fn refuse(facade: &Facade, request: &Request, id: RefusalId) -> Response {
    facade.counted.count(id.as_str(), facade.clock.now());
    let request_id = request.extensions().get().map(RequestId::to_string).unwrap_or_default();
    render(&facade.law.issuer, &id.into(), &request_id, None)
}

fn document(body: Bytes, media: &'static str) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(CACHE_CONTROL, DOCUMENT_CACHE);
    response
}
