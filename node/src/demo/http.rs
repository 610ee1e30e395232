//! A small HTTP client that trusts one certificate authority and nothing else: not the system's
//! store, not the environment, no proxy, no redirect. It knows no endpoint.

use std::{io, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::{Map, Value};

use crate::{causes::with_causes, net::tls::provider};

/// Everything is on this machine; a node under a debugger may still take its time.
const DEADLINE: Duration = Duration::from_secs(10);
/// Answers are metadata, keys and tokens of a few KiB.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Most of a body that an error shows.
const EXCERPT_CHARS: usize = 300;

/// The client. Connections are kept and used again.
#[derive(Clone, Debug)]
pub(crate) struct HttpClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// `client_secret_basic` (RFC 6749 section 2.3.1).
#[derive(Clone)]
pub(crate) struct Credentials {
    /// The client's id.
    pub(crate) id: &'static str,
    /// Its secret.
    pub(crate) secret: zeroize::Zeroizing<String>,
}

/// An answer, read to its end.
pub(crate) struct Answer {
    /// What was asked.
    pub(crate) url: String,
    /// The status.
    pub(crate) status: StatusCode,
    /// The body.
    pub(crate) body: Bytes,
}

/// Why there is no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The authority's certificate cannot be used.
    #[error("the demo's certificate authority cannot be used: {0}")]
    Authority(String),
    /// No connection, or it broke.
    #[error("no answer from `{url}`: {reason}")]
    Connection {
        /// What was asked.
        url: String,
        /// Why there is no answer.
        reason: String,
    },
    /// The whole answer was not there in time.
    #[error("no whole answer from `{url}` within {} s", DEADLINE.as_secs())]
    Deadline {
        /// What was asked.
        url: String,
    },
    /// The answer is not what the protocol says. It is not shown: it may hold a token.
    #[error("`{url}` answered without {missing}")]
    Unexpected {
        /// What was asked.
        url: String,
        /// What should be there.
        missing: &'static str,
    },
    /// The status is another than expected.
    #[error("`{url}` answered with {status}: {excerpt}")]
    Status {
        /// What was asked.
        url: String,
        /// The status.
        status: StatusCode,
        /// The beginning of the answer.
        excerpt: String,
    },
}

impl HttpClient {
    /// A client that trusts the authority of a PEM text; without one, only `http` works.
    ///
    /// # Errors
    /// [`HttpError::Authority`].
    pub(crate) fn new(authority_pem: Option<&str>) -> Result<Self, HttpError> {
        let unusable = |reason: &dyn std::error::Error| HttpError::Authority(reason.to_string());
        let mut roots = RootCertStore::empty();
        if let Some(pem) = authority_pem {
            let certificate =
                CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|e| unusable(&e))?;
            roots.add(certificate).map_err(|e| unusable(&e))?;
        }
        let tls = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|e| unusable(&e))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector) })
    }

    /// `GET`.
    ///
    /// # Errors
    /// See [`HttpError`]; a status is never one.
    pub(crate) async fn get(&self, url: &str) -> Result<Answer, HttpError> {
        let request = Request::builder().method(Method::GET).uri(url).body(Full::default());
        self.send(url, request).await
    }

    /// `POST` of a form.
    ///
    /// # Errors
    /// See [`HttpError`]; a status is never one.
    pub(crate) async fn post(
        &self,
        url: &str,
        credentials: Option<&Credentials>,
        form: &[(&str, &str)],
    ) -> Result<Answer, HttpError> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(url)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(credentials) = credentials {
            request = request.header(header::AUTHORIZATION, credentials.header_value());
        }
        self.send(url, request.body(Full::from(body))).await
    }

    async fn send(
        &self,
        url: &str,
        request: http::Result<Request<Full<Bytes>>>,
    ) -> Result<Answer, HttpError> {
        let broken = |error: &(dyn std::error::Error + 'static)| HttpError::Connection {
            url: url.to_owned(),
            reason: with_causes(error),
        };
        let request = request.map_err(|e| broken(&e))?;
        let exchange = async {
            let response = self.client.request(request).await.map_err(|e| broken(&e))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), BODY_BYTES_MAX).collect().await;
            let body = body.map_err(|e| broken(&io::Error::other(e)))?.to_bytes();
            Ok(Answer { url: url.to_owned(), status, body })
        };
        let late = |_| HttpError::Deadline { url: url.to_owned() };
        tokio::time::timeout(DEADLINE, exchange).await.map_err(late)?
    }
}

impl Credentials {
    /// Ids and secrets of the demo need no percent-encoding.
    fn header_value(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("{}:{}", self.id, *self.secret)))
    }
}

impl Answer {
    /// The answer, if its status is `expected`.
    ///
    /// # Errors
    /// [`HttpError::Status`].
    pub(crate) fn require(self, expected: StatusCode) -> Result<Self, HttpError> {
        if self.status == expected {
            return Ok(self);
        }
        Err(HttpError::Status { status: self.status, excerpt: self.excerpt(), url: self.url })
    }

    /// The body as a JSON object.
    ///
    /// # Errors
    /// [`HttpError::Unexpected`].
    pub(crate) fn object(&self) -> Result<Map<String, Value>, HttpError> {
        serde_json::from_slice(&self.body).map_err(|_| self.without("a JSON object"))
    }

    /// The body as text.
    ///
    /// # Errors
    /// [`HttpError::Unexpected`].
    pub(crate) fn text(&self) -> Result<&str, HttpError> {
        std::str::from_utf8(&self.body).map_err(|_| self.without("text"))
    }

    /// The error that something is missing in the answer.
    pub(crate) fn without(&self, missing: &'static str) -> HttpError {
        HttpError::Unexpected { url: self.url.clone(), missing }
    }

    fn excerpt(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        text.chars().filter(|c| !c.is_control()).take(EXCERPT_CHARS).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: StatusCode, body: &'static str) -> Answer {
        Answer {
            url: "http://localhost/x".to_owned(),
            status,
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    #[test]
    fn an_unexpected_status_is_an_error_that_shows_the_beginning_of_the_answer() {
        let refused = answer(StatusCode::BAD_REQUEST, r#"{"error":"invalid_request"}"#);
        let error = refused.require(StatusCode::OK).err().unwrap().to_string();
        assert_eq!(
            error,
            r#"`http://localhost/x` answered with 400 Bad Request: {"error":"invalid_request"}"#
        );
    }

    #[test]
    fn an_answer_that_is_no_object_is_an_error_that_shows_nothing_of_it() {
        let error = answer(StatusCode::OK, r#""eyJ...""#).object().err().unwrap().to_string();
        assert_eq!(error, "`http://localhost/x` answered without a JSON object");
    }

    #[test]
    fn credentials_are_sent_as_rfc_6749_writes_them() {
        let secret = zeroize::Zeroizing::new("abc".to_owned());
        let credentials = Credentials { id: "orders-api", secret };
        assert_eq!(credentials.header_value(), "Basic b3JkZXJzLWFwaTphYmM=");
    }

    #[tokio::test]
    async fn a_port_that_nobody_listens_on_is_an_error_that_names_the_url() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        drop(listener);
        let error = HttpClient::new(None).unwrap().get(&url).await.err().unwrap().to_string();
        assert!(error.contains(&url) && error.contains("refused"), "{error}");
    }
}
