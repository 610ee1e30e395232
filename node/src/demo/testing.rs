//! A journey as tests of its telling need one. No process was asked for it.

use std::{sync::Arc, time::Duration};

use exequatur_federation::residency::{Cause, Outcome, Step};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{
    files::Layout,
    journey::{Audit, Endpoints, Exchange, Journey, Refused, Regional},
};
use crate::{clock::SystemClock, entropy::SystemEntropy, node::Seams};

pub(crate) fn seams() -> Seams {
    Seams { clock: Arc::new(SystemClock::start()), entropy: Arc::new(SystemEntropy::default()) }
}

pub(crate) fn layout() -> Layout {
    Layout {
        config: "/tmp/exequatur-demo-0123456789abcdef/region.toml".into(),
        federation: "/tmp/exequatur-demo-0123456789abcdef/federation.toml".into(),
        authority: Some("/tmp/exequatur-demo-0123456789abcdef/ca.pem".into()),
        log: "/tmp/exequatur-demo-0123456789abcdef/region.log".into(),
        issuer: "https://localhost:40001/eu-central".to_owned(),
        operations: ([127, 0, 0, 1], 40002).into(),
    }
}

pub(crate) fn journey() -> Journey {
    let at = |path: &str| format!("https://localhost:40001/eu-central{path}");
    Journey {
        endpoints: Endpoints {
            token: at("/token"),
            introspection: at("/introspect"),
            revocation: at("/revoke"),
            jwks: at("/jwks"),
        },
        global_claims: object(&json!({
            "iss": "http://127.0.0.1:40000/realms/global",
            "sid": "4vLq0mUSxJrM7oyG2vCkGA",
            "email": "demo.person@example.com",
            "phone_number": "+493023125000",
            "realm_access": { "roles": ["reader", "offline_access"] },
        })),
        steps: vec![
            step("/realm_access/roles", Some((38, "map")), Ok("roles")),
            step("/email", Some((50, "coarsen to email-domain")), Ok("email_domain")),
            step("/name", Some((62, "drop")), Err(Cause::ByRule)),
            step("/iss", None, Err(Cause::Protocol)),
            step("/phone_number", None, Err(Cause::NoRule)),
            step("/sid", None, Err(Cause::Protocol)),
        ],
        exchange: Exchange {
            access_token: "eyJhbGciOiJFUzI1NiJ9.e30.c2ln".to_owned(),
            issued_token_type: "urn:ietf:params:oauth:token-type:access_token".to_owned(),
            token_type: "Bearer".to_owned(),
            expires_in: 300,
            scope: "orders:read".to_owned(),
            took: Duration::from_micros(2417),
        },
        regional: Regional {
            claims: object(&json!({
                "iss": at(""),
                "sub": "b0HkUqHZ3zW6Jb1Z8mJmC3mXyPqk9o2nYkq3f1hV0aE",
                "roles": ["reader"],
                "email_domain": "example.com",
            })),
            kid: "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs".to_owned(),
            algorithm: "ES256",
        },
        before: object(&json!({ "active": true, "scope": "orders:read" })),
        after: object(&json!({ "active": false })),
        refused: Refused {
            status: StatusCode::BAD_REQUEST,
            error: "invalid_request".to_owned(),
            error_id: "home_region_elsewhere".to_owned(),
            description: "The token's subject is at home in another region.".to_owned(),
            request_id: "kD0a8cJvS1C3nS4m0o3k5w".to_owned(),
            home_issuer: Some("https://us-east.id.example".to_owned()),
        },
        audit: Audit {
            records: 5,
            root: "0f".repeat(32),
            record: object(&json!({
                "event": "token_authorized",
                "signing_input_sha256": "n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg",
            })),
        },
    }
}

fn step(claim: &str, rule: Option<(usize, &'static str)>, released: Result<&str, Cause>) -> Step {
    Step {
        claim: claim.to_owned(),
        rule: rule.map(|_| 0),
        line: rule.map(|(line, _)| line),
        action: rule.map_or("none", |(_, action)| action),
        to: released.ok().map(str::to_owned),
        outcome: if released.is_ok() { Outcome::Released } else { Outcome::Dropped },
        cause: released.err(),
    }
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}
