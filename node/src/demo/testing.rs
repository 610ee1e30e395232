//! A journey as tests of its telling need one. No process was asked for it.

use std::{path::Path, sync::Arc, time::Duration};

use exequatur_federation::residency::{Cause, Outcome, Step};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{
    certificate::Authority,
    configuration::{SITES, SecretHashes},
    directory::Directory,
    federation::{Agreed, Failover, LogEntry},
    files::{self, Layout, Place, Wish},
    founding,
    journey::{Audit, Endpoints, Exchange, Journey, Refused, Regional},
    stage::Told,
};
use crate::{clock::SystemClock, entropy::SystemEntropy, node::Seams};

pub(crate) fn seams() -> Seams {
    Seams { clock: Arc::new(SystemClock::start()), entropy: Arc::new(SystemEntropy::default()) }
}

/// The files of all regions, as they are before `exequatur init`; the story's region first.
pub(crate) fn written(outer: &Path, plain_http: bool) -> Vec<Layout> {
    let above = Directory::prepare(Some(outer), &SystemEntropy::default()).unwrap();
    let hash = format!("sha256:{}:{}", "A".repeat(22), "A".repeat(43));
    let secret_hashes = SecretHashes { gateway: &hash, api: &hash };
    let upstream = "http://127.0.0.1:1/realms/global";
    let wish = Wish { upstream, plain_http, secret_hashes };
    let seams = seams();
    let authority = Authority::new("an authority", seams.clock.now()).unwrap();
    let authority = (!plain_http).then_some(&authority);
    let layouts = SITES.map(|site| {
        let place = Place { site, directory: above.below(site.name).unwrap(), slot: None };
        files::write((&above, &place), &wish, authority, &seams).unwrap()
    });
    founding::draft(&above, &layouts.each_ref()).unwrap();
    layouts.into()
}

pub(crate) fn layout() -> Layout {
    Layout {
        site: SITES[0],
        directory: "/tmp/exequatur-demo-0123456789abcdef/eu-central".into(),
        peer: ([127, 0, 0, 1], 40003).into(),
        config: "/tmp/exequatur-demo-0123456789abcdef/eu-central/region.toml".into(),
        federation: "/tmp/exequatur-demo-0123456789abcdef/federation.toml".into(),
        authority: Some("/tmp/exequatur-demo-0123456789abcdef/ca.pem".into()),
        log: "/tmp/exequatur-demo-0123456789abcdef/eu-central/region.log".into(),
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

pub(crate) fn told() -> Told {
    Told {
        journey: journey(),
        agreed: Agreed { leader: "eu-central".to_owned(), term: 1, voters: 3, applied_index: 5 },
        entry: LogEntry {
            index: 5,
            commands: vec!["Revoke(Revoke { owner: 1 })".to_owned()],
            frame: "01".repeat(90),
        },
        failover: Failover {
            killed: "eu-central".to_owned(),
            new_leader: "us-east".to_owned(),
            took: Duration::from_millis(612),
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
