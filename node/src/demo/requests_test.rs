//! The demo tells the truth: a region that answers wrongly ends the journey with an error.

use axum::{
    Json, Router,
    routing::{get, post},
};
use serde_json::json;
use tokio::net::TcpListener;

use super::*;
use crate::{
    demo::{
        files::Layout,
        http::{Credentials, HttpClient},
        journey::Clients,
        program::Program,
        testing,
    },
    net::{limits::Limits, serve::Server, tls::Tls},
    telemetry::metrics::Metrics,
};

/// A region that answers what it is told to, whatever happened.
fn untrue(issuer: &str, answers: &Value) -> Router {
    let fixed = |name: &str| {
        let body = answers.get(name).cloned().unwrap_or_default();
        move || async move { Json(body) }
    };
    let refusal = answers.get("refusal").cloned().unwrap_or_default();
    let metadata = json!({
        "issuer": issuer,
        "token_endpoint": format!("{issuer}/token"),
        "introspection_endpoint": format!("{issuer}/introspect"),
        "jwks_uri": format!("{issuer}/jwks"),
    });
    let metadata = answers.get("metadata").cloned().unwrap_or(metadata);
    Router::new()
        .route("/.well-known/openid-configuration", get(|| async { Json(metadata) }))
        .route("/introspect", post(fixed("introspect")))
        .route("/jwks", get(fixed("jwks")))
        .route("/token", post(|| async { (StatusCode::BAD_REQUEST, Json(refusal)) }))
}

/// Runs `ask` as a traveller in the region that gives these answers.
async fn in_region<T>(
    answers: Value,
    ask: impl AsyncFnOnce(&Traveller<'_>, &Endpoints) -> Result<T, JourneyError>,
) -> Result<T, JourneyError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let server = Server {
        service: untrue(&issuer, &answers),
        tls: Tls::Plain,
        limits: Limits::public(),
        meters: Metrics::new().connections("test"),
    };
    let client = |id| Credentials { id, secret: zeroize::Zeroizing::new("secret".to_owned()) };
    let clients = Clients { gateway: client("orders-gateway"), api: client("orders-api") };
    let (http, program) = (HttpClient::new(None).unwrap(), Program::current().unwrap());
    let layout = Layout { issuer, authority: None, ..testing::layout() };
    let traveller = Traveller {
        http: &http,
        program: &program,
        layout: &layout,
        mint_url: "http://127.0.0.1:1/mint",
        clients: &clients,
        seams: &testing::seams(),
    };
    tokio::select! {
        _ = server.serve(listener, std::future::pending()) => panic!("the server ended"),
        result = async {
            let endpoints = traveller.discover().await?;
            ask(&traveller, &endpoints).await
        } => result,
    }
}

#[tokio::test]
async fn a_token_that_is_active_after_its_revocation_ends_the_journey() {
    let answers = json!({ "introspect": { "active": true } });
    let result = in_region(answers, async |traveller, endpoints| {
        traveller.introspect(endpoints, "token", (false, "after the revocation")).await
    });
    assert_eq!(
        result.await.unwrap_err().to_string(),
        "introspection says active: true after the revocation, where false is right"
    );
}

#[tokio::test]
async fn a_token_that_no_published_key_verifies_ends_the_journey() {
    let result = in_region(json!({ "jwks": { "keys": [] } }), async |traveller, endpoints| {
        traveller.verify(endpoints, &testing::journey().exchange.access_token).await
    });
    let error = result.await.map(|_| ()).unwrap_err();
    assert!(matches!(error, JourneyError::Unverified { whose: "regional", .. }), "{error}");
}

#[tokio::test]
async fn metadata_of_another_issuer_ends_the_journey() {
    let answers = json!({ "metadata": { "issuer": "https://elsewhere.example" } });
    let error = in_region(answers, async |_, _| Ok(())).await.unwrap_err();
    assert!(error.to_string().ends_with("without the region's issuer"), "{error}");
}

#[tokio::test]
async fn a_refused_exchange_ends_the_journey_with_the_region_s_reason() {
    let answers = json!({ "refusal": { "error": "invalid_target" } });
    let result = in_region(answers, async |traveller, endpoints| {
        traveller.exchange(endpoints, "token").await
    });
    let error = result.await.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("400") && error.contains("invalid_target"), "{error}");
}

#[tokio::test]
async fn the_error_id_is_the_end_of_the_error_uri() {
    let answers = json!({ "refusal": {
        "error": "invalid_request",
        "error_description": "Fixed text.",
        "error_uri": "http://127.0.0.1/errors/home_region_elsewhere",
        "request_id": "r",
    } });
    let refused = in_region(answers, async |traveller, endpoints| {
        traveller.refused(endpoints, "token").await
    });
    let refused = refused.await.map_err(|error| error.to_string()).ok().unwrap();
    assert_eq!(refused.error_id, "home_region_elsewhere");
    assert_eq!(refused.home_issuer, None);
}

#[tokio::test]
async fn a_revocation_endpoint_that_metadata_may_not_name_is_below_the_issuer() {
    let revocation = in_region(json!({}), async |traveller, endpoints| {
        assert_eq!(endpoints.revocation, format!("{}/revoke", traveller.layout.issuer));
        Ok(())
    });
    revocation.await.unwrap();
}
