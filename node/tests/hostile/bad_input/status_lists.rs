//! Status lists and the feed of revocations: what is out of range, who may follow, and followers
//! that do not behave.

use exequatur_federation::revocation::{
    LIST_SIZE,
    status_list::{ARRAY_BYTES_MAX, StatusArray},
};
use exequatur_node::revocation::FEEDS_A_CLIENT_MAX;
use serde_json::Value;

use crate::lab::{
    FEED, LISTS, Lab, MARKER,
    case::{Case, refused, stranger},
    feed::Follower,
    http::{Answer, HttpRequest},
    jwt::payload_of,
    region::{ISSUER, SECRET, Variation},
    request::OAuthRequest,
};

const UNKNOWN: &str = "status_list_unknown";

fn assertion(lab: &Lab) -> String {
    lab.assertion().header("kid", "signer-es").sign(&lab.keys.signer_es)
}

fn get(target: &str) -> OAuthRequest {
    OAuthRequest::new(target).method("GET").content_type(None)
}

#[test]
fn what_is_out_of_range_or_not_allowed_is_refused() {
    let lab = Lab::start();
    let mut cases = addresses();
    cases.extend(strangers());
    for client in ["gateway", "single", "idle", "bound"] {
        let request = get(FEED).basic(client, SECRET);
        cases.push(refused(
            format!("{client} answers for no resource"),
            request,
            "feed_not_allowed",
        ));
    }
    lab.judge(&cases, 0);
}

fn addresses() -> Vec<Case> {
    let zeros = "0".repeat(16);
    let long = "f".repeat(8_000);
    let mut cases: Vec<Case> = [
        zeros.as_str(),
        "ffffffffffffffff",
        "FFFFFFFFFFFFFFFF",
        "0",
        "00000000000000000",
        "+000000000000000",
        "%00",
        "..%2fjwks",
        MARKER,
        &long,
    ]
    .iter()
    .map(|id| stranger(format!("list {id:.40}"), get(&format!("{LISTS}/{id}")), UNKNOWN))
    .collect();
    for query in ["time=1", "time=", "time=-1", "time=99999999999999999999", "a=b&time=x"] {
        let request = get(&format!("{LISTS}/{zeros}?{query}"));
        cases.push(stranger(format!("the past: {query}"), request, "status_list_history"));
    }
    let posted = OAuthRequest::new(&format!("{LISTS}/{zeros}"));
    cases.push(stranger("a list is not posted", posted, "method_not_allowed"));
    cases
}

fn strangers() -> Vec<Case> {
    let mut cases = Vec::new();
    for path in [LISTS, FEED] {
        let post = || OAuthRequest::new(path);
        for (name, request, id) in [
            ("nobody", get(path), "client_authentication_missing"),
            ("nobody, posting", post(), "client_authentication_missing"),
            ("wrong secret", get(path).basic("watcher", MARKER), "client_authentication_failed"),
            (
                "a secret in the query",
                get(&format!("{path}?client_id=watcher&client_secret={SECRET}")),
                "parameter_in_query",
            ),
            ("no form", post().content_type(Some("text/plain")), "content_type_unsupported"),
            ("put", post().method("PUT"), "method_not_allowed"),
        ] {
            cases.push(stranger(format!("{path}: {name}"), request, id));
        }
    }
    cases
}

/// Where a token stands: the path of its list, the list's address, and its index.
fn place(token: &str) -> (String, String, u64) {
    let status = &payload_of(token)["status"]["status_list"];
    let uri = status["uri"].as_str().unwrap().to_owned();
    let path = uri.strip_prefix("https://eu.exequatur.example").unwrap().to_owned();
    (path, uri, status["idx"].as_u64().unwrap())
}

fn read(answer: &Answer) -> (Value, StatusArray) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/statuslist+jwt");
    let claims = payload_of(&answer.text());
    let list = &claims["status_list"];
    let lst = list["lst"].as_str().unwrap();
    let array = StatusArray::decode(list["bits"].as_u64().unwrap(), lst, ARRAY_BYTES_MAX).unwrap();
    (claims, array)
}

/// Asks for a list until it says so of an index; the clock of the lab stands, the publisher's does
/// not.
fn until_revoked(lab: &Lab, path: &str, index: u64) -> Answer {
    loop {
        let answer = HttpRequest::new("GET", path).send(lab.public());
        if read(&answer).1.status(index) == Some(1) {
            return answer;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    }
}

#[test]
fn a_revocation_is_told_to_followers_and_stands_in_the_list() {
    let lab = Lab::start();
    let (token, other) = (lab.issued(), lab.issued());
    let (path, uri, index) = place(&token);
    let (_, _, untouched) = place(&other);
    let before = HttpRequest::new("GET", &path).send(lab.public());
    let (claims, array) = read(&before);
    assert_eq!(claims["sub"], uri.as_str());
    assert_eq!(claims["ttl"], 60);
    assert_eq!(claims["iat"].as_u64(), Some(lab.clock.seconds()));
    assert_eq!(claims["exp"].as_u64(), Some(lab.clock.seconds() + 300));
    assert_eq!([index, untouched].map(|at| array.status(at)), [Some(0), Some(0)]);
    assert_eq!(array.status(LIST_SIZE.into()), None);
    assert_eq!(before.header("cache-control"), "public, max-age=1");
    assert_eq!(before.header("access-control-allow-origin"), "*");

    let mut follower = Follower::open(lab.public(), None);
    let mut signer = Follower::open_with_assertion(lab.public(), &assertion(&lab));
    for begun in [&mut follower, &mut signer] {
        let text = begun.until("event: reset\n");
        assert!(text.contains("content-type: text/event-stream\r\n"), "{text}");
        assert!(text.contains("cache-control: no-store\r\n"), "{text}");
    }
    assert_eq!(lab.send(&lab.revoke(&token)).status, 200);
    let event = format!("data: {{\"list\":\"{uri}\",\"index\":{index}}}\n");
    follower.until(&event);
    signer.until(&event);

    let after = until_revoked(&lab, &path, index);
    assert_eq!(read(&after).1.status(untouched), Some(0));
    assert_ne!(after.header("etag"), before.header("etag"));
    let known = HttpRequest::new("GET", &path).header("If-None-Match", after.header("etag"));
    let known = known.send(lab.public());
    assert_eq!((known.status, known.text().as_str()), (304, ""));
    assert_eq!(known.header("etag"), after.header("etag"));
    let old = HttpRequest::new("GET", &path).header("If-None-Match", before.header("etag"));
    assert_eq!(old.send(lab.public()).status, 200);

    // What was revoked is in the list already: who begins now is not told again.
    lab.send(&lab.revoke(&other));
    let mut late = Follower::open(lab.public(), None);
    let text = late.until(&format!("\"index\":{untouched}}}\n"));
    assert!(!text.contains(&event), "{text}");
    let lists = lab.send(&get(LISTS).basic("gateway", SECRET)).json();
    assert!(lists["status_lists"].as_array().unwrap().contains(&uri.into()), "{lists}");
}

#[test]
fn a_follower_that_comes_again_goes_on_and_one_with_a_strange_position_begins_anew() {
    let mut lab = Lab::start();
    let mut follower = Follower::open(lab.public(), None);
    follower.until("event: reset\n");
    follower.until("data: {}\n\n");
    let last = follower.last_id();
    follower.close();
    let token = lab.issued();
    let (_, _, index) = place(&token);
    lab.send(&lab.revoke(&token));
    let mut again = Follower::open(lab.public(), Some(&last));
    let text = again.until(&format!("\"index\":{index}}}\n\n"));
    assert!(!text.contains("event: reset"), "{text}");
    let huge = format!("0123456789abcdef-{}", "9".repeat(8_000));
    for strange in [huge.as_str(), "", "0123456789abcdef-1", MARKER, "-1"] {
        let mut follower = Follower::open(lab.public(), Some(strange));
        follower.until("event: reset\n");
    }
    // Numbers begin anew with every start, and so must clients.
    lab.restart(Variation::default());
    Follower::open(lab.public(), Some(&again.last_id())).until("event: reset\n");
}

#[test]
fn followers_that_never_read_are_bounded_and_hold_up_nobody() {
    let lab = Lab::start();
    let silent: Vec<Follower> =
        (0..FEEDS_A_CLIENT_MAX).map(|_| Follower::open(lab.public(), None)).collect();
    let one_more = lab.send(&get(FEED).basic("watcher", SECRET));
    assert_eq!((one_more.status, one_more.header("retry-after")), (429, "10"), "{one_more:?}");
    assert_eq!(one_more.member("error_id"), "too_many_feeds");
    // Another client has places of its own, and gets what the silent ones do not take.
    let mut other = Follower::open_with_assertion(lab.public(), &assertion(&lab));
    let token = lab.issued();
    let (_, _, index) = place(&token);
    lab.send(&lab.revoke(&token));
    other.until(&format!("\"index\":{index}}}\n"));
    // Whoever hangs up gives the place back.
    silent.into_iter().for_each(Follower::close);
    loop {
        let answer = HttpRequest::new("HEAD", FEED)
            .header("Authorization", &crate::lab::request::basic("watcher", SECRET))
            .send(lab.public());
        if answer.status == 200 {
            break;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    }
}

#[test]
fn feeds_end_with_the_node_and_lists_outlive_its_restart() {
    let mut lab = Lab::start();
    let token = lab.issued();
    let (path, _, index) = place(&token);
    lab.send(&lab.revoke(&token));
    until_revoked(&lab, &path, index);
    let follower = Follower::open(lab.public(), None);
    lab.restart(Variation::default());
    assert!(follower.end().contains("event: reset"));
    let answer = HttpRequest::new("GET", &path).send(lab.public());
    assert_eq!(read(&answer).1.status(index), Some(1), "it is there from the first answer on");
    let (new_path, ..) = place(&lab.issued());
    assert_ne!(new_path, path);
    lab.clock.advance(3_600 + 600 + 1);
    loop {
        let answer = HttpRequest::new("GET", &path).send(lab.public());
        if answer.status == 404 {
            assert_eq!(answer.member("error_id"), UNKNOWN);
            break;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    }
}

#[test]
fn metadata_names_lists_feed_and_the_key_of_the_lists() {
    let lab = Lab::start();
    let metadata = HttpRequest::new("GET", "/eu/.well-known/openid-configuration");
    let metadata = metadata.send(lab.public()).json();
    let addresses = [
        ("status_list_aggregation_endpoint", format!("{ISSUER}/statuslists")),
        ("revocation_feed_endpoint", format!("{ISSUER}/revocations")),
    ];
    for (name, address) in addresses {
        assert_eq!(metadata[name], address.as_str());
    }
    let keys = HttpRequest::new("GET", "/eu/jwks").send(lab.public()).json();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 3);
}
