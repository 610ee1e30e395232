//! The operations listener: `/livez`, `/readyz` and `/metrics`.
//!
//! Not for the internet: it answers whoever can reach it, and says what ails the node.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::{StatusCode, header};
use serde_json::json;

use crate::telemetry::health::Health;
use crate::telemetry::metrics::Metrics;

/// The media type of the metrics text, as prometheus-client writes it.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The routes of the operations listener.
pub fn operations_router(health: Arc<Health>, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/livez", get(|| async { Json(json!({ "live": true })) }))
        .route("/readyz", get(readyz).with_state(health))
        .route("/metrics", get(metrics_text).with_state(metrics))
}

async fn readyz(State(health): State<Arc<Health>>) -> Response {
    let readiness = health.readiness();
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(readiness)).into_response()
}

async fn metrics_text(State(metrics): State<Arc<Metrics>>) -> Response {
    match metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::Request;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    async fn ask(router: Router, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn readyz_names_what_is_missing_and_why() {
        let health = Arc::new(Health::new());
        let store = health.condition("store");
        store.not_ready("disk full");
        let router = operations_router(Arc::clone(&health), Arc::new(Metrics::new()));
        let (status, body) = ask(router.clone(), "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(
            body,
            r#"{"ready":false,"conditions":[{"name":"store","ready":false,"reason":"disk full"}]}"#
        );
        store.ready();
        let (status, body) = ask(router, "/readyz").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(body, r#"{"ready":true,"conditions":[{"name":"store","ready":true}]}"#);
    }

    #[tokio::test]
    async fn livez_answers_even_when_the_node_is_not_ready() {
        let router = operations_router(Arc::new(Health::new()), Arc::new(Metrics::new()));
        assert_eq!(ask(router, "/livez").await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn metrics_are_served_as_openmetrics() {
        let router = operations_router(Arc::new(Health::new()), Arc::new(Metrics::new()));
        let (status, body) = ask(router, "/metrics").await;
        assert_eq!(status, StatusCode::OK);
        assert!(body.contains("exequatur_build_info{version="), "{body}");
        assert!(body.ends_with("# EOF\n"), "{body}");
    }
}
