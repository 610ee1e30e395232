//! The steps that every OAuth endpoint shares, in their only order: read the form, authenticate
//! the client, keep its rate, do what the endpoint does, record a refusal, render.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use axum::{
    body::Body,
    extract::Request,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use exequatur_federation::{
    audit::{AuditRecord, Event},
    authenticate::{AuthenticatedClient, authenticate},
    freshness::ViewFacts,
    law::Law,
    refusal::{self, Refusal, RefusalId},
    time::UnixTime,
};
use http::{
    HeaderName, HeaderValue, Method, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
    request::Parts,
};

use super::{
    Facade, credentials, form::Form, introspect, rate::RetryAfter, refusal::render,
    request_id::RequestId, revocations, revoke, token,
};
use crate::{
    audit::{AuditItem, RecordError},
    net::{BodyError, LongLived, read_body},
    telemetry::metrics::Endpoint,
};

/// Media type of plain answers.
pub(super) const JSON: &str = "application/json";

/// Since when everything that was revoked is known, in seconds since 1970.
const AS_OF: HeaderName = HeaderName::from_static("exequatur-as-of");
/// Proves that the federation holds a revocation. It says nothing to anybody but this region.
const RECEIPT: HeaderName = HeaderName::from_static("exequatur-receipt");

/// One request on its way through the pipeline.
pub(super) struct Call<'f> {
    /// The region.
    pub(super) facade: &'f Facade,
    /// Where the request came in.
    pub(super) endpoint: Endpoint,
    /// Random; leads the operator from an answer to its record.
    pub(super) request_id: String,
    /// The time of the decision.
    pub(super) now: UnixTime,
    started: Duration,
    assertion_used: AtomicBool,
}

/// A request that is not granted.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) refusal: Refusal,
    pub(super) retry_after_seconds: Option<u32>,
}

impl Refused {
    fn after(id: RefusalId, wait: RetryAfter) -> Self {
        let seconds = u32::try_from(wait.seconds).unwrap_or(u32::MAX);
        Self { refusal: id.into(), retry_after_seconds: Some(seconds) }
    }
}

impl From<RefusalId> for Refused {
    fn from(id: RefusalId) -> Self {
        Refusal::from(id).into()
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, retry_after_seconds: None }
    }
}

/// What an endpoint answers when it grants.
#[derive(Debug)]
pub(super) enum Answer {
    /// 200 without a body.
    Empty,
    /// 200 with events that go on and on.
    Events(Body),
    /// 200 without a body, and what the federation holds it by.
    Receipt(String),
    /// 200 with JSON.
    Json(Vec<u8>),
    /// 200 with what is known about a token.
    Introspection {
        /// Its media type.
        media: &'static str,
        /// The answer.
        body: Vec<u8>,
        /// Since when everything that was revoked is known.
        as_of: UnixTime,
    },
}

/// Serves one request to an OAuth endpoint.
pub(super) async fn serve(facade: &Facade, endpoint: Endpoint, request: Request) -> Response {
    let started = facade.clock.monotonic();
    let (parts, body) = request.into_parts();
    let body = read_body(body).await;
    let call = Call::begin(facade, (endpoint, started), &parts);
    let outcome = call.run(&parts, body).await;
    let refused = outcome.as_ref().err().map(|refused| refused.refusal.id.as_str());
    let response = match outcome {
        Ok(answer) => answer.into_response(),
        Err(Refused { refusal, retry_after_seconds }) => {
            render(&facade.law.issuer, &refusal, &call.request_id, retry_after_seconds)
        }
    };
    let took = facade.clock.monotonic().saturating_sub(call.started);
    facade.metrics.requests.answered(endpoint, refused, took);
    response
}

impl<'f> Call<'f> {
    /// The time of the decision is taken once the whole request is there: a body may take its time.
    fn begin(facade: &'f Facade, (endpoint, started): (Endpoint, Duration), parts: &Parts) -> Self {
        Self {
            facade,
            endpoint,
            request_id: parts.extensions.get().map(RequestId::to_string).unwrap_or_default(),
            now: facade.clock.now(),
            started,
            assertion_used: AtomicBool::new(false),
        }
    }

    /// Remembers that a record of this request has used up the client's assertion.
    pub(super) fn assertion_is_used(&self) {
        self.assertion_used.store(true, Ordering::Relaxed);
    }

    /// The region's law.
    pub(super) fn law(&self) -> &'f Law {
        &self.facade.law
    }

    /// How old the view of revocations is now. Read before the view itself, for a decision, and once
    /// more before its answer leaves: whatever took long in between, a signature or a machine that
    /// was stopped, has aged the view.
    pub(super) fn view(&self) -> ViewFacts {
        self.facade.view_age.facts()
    }

    async fn run(&self, parts: &Parts, body: Result<Bytes, BodyError>) -> Result<Answer, Refused> {
        let (form, client) = match self.admit(parts, body) {
            Ok(admitted) => admitted,
            Err(refused) => {
                // Counted, not recorded: neither a stranger nor a client above its rate may buy
                // disk writes.
                self.facade.counted.count(refused.refusal.id.as_str(), self.now);
                return Err(refused);
            }
        };
        let outcome = match self.endpoint {
            Endpoint::Token => token::answer(self, &client, &form).await,
            Endpoint::Introspect => introspect::answer(self, &client, &parts.headers, &form).await,
            Endpoint::Revoke => revoke::answer(self, &client, &form).await,
            Endpoint::StatusLists => revocations::lists(self, &client).await,
            Endpoint::RevocationFeed => revocations::feed(self, &client, &parts.headers).await,
            Endpoint::Document | Endpoint::Unrouted => Err(refusal::NOT_FOUND.into()),
        };
        match outcome {
            Ok(answer) => Ok(answer),
            Err(refused) => Err(self.record_refusal(&client, refused).await),
        }
    }

    fn admit(
        &self,
        parts: &Parts,
        body: Result<Bytes, BodyError>,
    ) -> Result<(Form, AuthenticatedClient<'f>), Refused> {
        if parts.uri.query().is_some() {
            return Err(refusal::PARAMETER_IN_QUERY.into());
        }
        let body = body.map_err(|error| match error {
            BodyError::TooLong { .. } => refusal::BODY_TOO_LARGE,
            BodyError::TooSlow { .. } => refusal::BODY_TOO_SLOW,
            BodyError::Broken(_) => refusal::REQUEST_MALFORMED,
        })?;
        // Two endpoints are also read by GET, with credentials in the header.
        let form = match parts.method {
            Method::POST => Form::parse(&parts.headers, &body)?,
            _ => Form::default(),
        };
        let credentials = credentials::collect(&parts.headers, &form)?;
        let client = authenticate(self.law(), &credentials, self.now)
            .map_err(|id| self.unauthenticated(id))?;
        match self.facade.rates.check(client.client().id.as_str()) {
            Ok(()) => Ok((form, client)),
            Err(wait) => Err(Refused::after(refusal::RATE_LIMITED, wait)),
        }
    }

    /// RFC 9701 section 4 wants 400 where no credentials came, RFC 6749 section 5.2 wants 401.
    fn unauthenticated(&self, id: RefusalId) -> RefusalId {
        let introspects = self.endpoint == Endpoint::Introspect;
        if introspects && id == refusal::CLIENT_AUTHENTICATION_MISSING {
            refusal::INTROSPECTION_UNAUTHENTICATED
        } else {
            id
        }
    }

    /// Makes sure that a client assertion was not used before, where nothing else is recorded.
    pub(super) async fn save_replay(
        &self,
        client: &AuthenticatedClient<'_>,
    ) -> Result<(), Refused> {
        let Some(replay) = client.replay() else { return Ok(()) };
        let event = Event::ClientAuthenticated {
            client: client.client().id.clone(),
            endpoint: self.endpoint.name(),
        };
        let record = AuditRecord::new(self.now, Some(self.request_id.clone()), event);
        let item = AuditItem::of(&record).map_err(|_| refusal::INTERNAL_FAULT)?;
        self.facade.audit.record(item.once(replay)).await.map_err(|e| unrecorded(&e))?;
        self.assertion_is_used();
        Ok(())
    }

    /// One record for each refusal of a known client; without it the answer is another refusal.
    async fn record_refusal(&self, client: &AuthenticatedClient<'_>, refused: Refused) -> Refused {
        let id = refused.refusal.id;
        // The log is what is missing: there is nothing to write to.
        if id == refusal::AUDIT_UNAVAILABLE {
            return refused;
        }
        let whom = (&client.client().id, self.endpoint.name());
        let record = AuditRecord::of_refusal(self.now, &self.request_id, whom, id);
        let Ok(item) = AuditItem::of(&record) else {
            return refusal::INTERNAL_FAULT.into();
        };
        // The refusal uses the assertion up, unless an earlier request or record did.
        let used =
            self.assertion_used.load(Ordering::Relaxed) || id == refusal::CLIENT_ASSERTION_REPLAYED;
        let item = match client.replay() {
            Some(replay) if !used => item.once(replay),
            _ => item,
        };
        match self.facade.audit.record(item).await {
            Ok(_) => refused,
            Err(RecordError::Replayed) => refusal::CLIENT_ASSERTION_REPLAYED.into(),
            Err(error) => unrecorded(&error),
        }
    }
}

/// The refusal that goes with a record that could not be made durable.
pub(super) fn unrecorded(error: &RecordError) -> Refused {
    if *error == RecordError::Replayed {
        return refusal::CLIENT_ASSERTION_REPLAYED.into();
    }
    tracing::warn!(%error, "nothing is issued: the audit log cannot be written");
    refusal::AUDIT_UNAVAILABLE.into()
}

impl Answer {
    fn into_response(self) -> Response {
        let long_lived = matches!(self, Self::Events(_));
        let (media, body, as_of) = match self {
            Self::Empty => return no_store(StatusCode::OK.into_response()),
            Self::Events(body) => ("text/event-stream", body, None),
            Self::Json(body) => (JSON, body.into(), None),
            Self::Introspection { media, body, as_of } => (media, body.into(), Some(as_of)),
            Self::Receipt(receipt) => {
                let mut response = StatusCode::OK.into_response();
                // Base64url is a header's alphabet.
                if let Ok(value) = HeaderValue::try_from(receipt) {
                    response.headers_mut().insert(RECEIPT, value);
                }
                return no_store(response);
            }
        };
        let mut response = Response::new(body);
        if long_lived {
            response.extensions_mut().insert(LongLived);
        }
        let headers = response.headers_mut();
        if long_lived {
            // Known to proxies that would otherwise keep events back until there are many.
            headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
        if let Some(as_of) = as_of {
            headers.insert(AS_OF, HeaderValue::from(as_of.seconds()));
        }
        no_store(response)
    }
}

fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
