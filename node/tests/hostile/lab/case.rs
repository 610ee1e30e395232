//! One line of a table: a request, and everything that must be true of its answer and of what the
//! audit log then holds.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    MARKER, audit::Log, catalogue::promise, http::Answer, jwt::payload_of, region::ISSUER,
    request::OAuthRequest,
};

/// Characters of a request id: 128 bits in base64url.
const REQUEST_ID_CHARS: usize = 22;
/// An input this short may stand in an answer by chance.
const REFLECTION_CHARS_MIN: usize = 8;
/// Media type of a signed answer (RFC 9701 section 4).
const SIGNED: &str = "application/token-introspection+jwt";
/// What begins every signed token: `{"` in base64url.
const TOKEN_START: &str = "eyJ";

/// Media types of answers; one without a body has none.
const MEDIA_TYPES: [&str; 3] = ["", "application/json", SIGNED];

/// A named request and what must come of it.
pub(crate) struct Case {
    name: String,
    request: OAuthRequest,
    expected: Expected,
}

/// What must come of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// 200 and nothing else; the event of the one record, if there is one.
    Empty(Option<&'static str>),
    /// A token, and its record.
    Granted,
    /// `{"active":false}` and nothing else; the event of the one record, if there is one.
    Inactive(Option<&'static str>),
    /// The same, signed (RFC 9701).
    InactiveSigned,
    /// An error with this id, and one record that names the client.
    Refused(&'static str),
    /// An error with this id, which is only counted, as nobody is known to have sent the request.
    Stranger(&'static str),
}

pub(crate) fn case(name: impl Into<String>, request: OAuthRequest, expected: Expected) -> Case {
    Case { name: name.into(), request, expected }
}

pub(crate) fn refused(name: impl Into<String>, request: OAuthRequest, id: &'static str) -> Case {
    case(name, request, Expected::Refused(id))
}

pub(crate) fn stranger(name: impl Into<String>, request: OAuthRequest, id: &'static str) -> Case {
    case(name, request, Expected::Stranger(id))
}

pub(crate) fn granted(name: impl Into<String>, request: OAuthRequest) -> Case {
    case(name, request, Expected::Granted)
}

pub(crate) fn inactive(name: impl Into<String>, request: OAuthRequest) -> Case {
    case(name, request, Expected::Inactive(None))
}

impl Expected {
    /// Event and error id of the one record that names the request, if there is one.
    pub(crate) fn record(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Refused(id) => Some(("refused", id)),
            Self::Granted => Some(("token_authorized", "")),
            Self::Empty(event) | Self::Inactive(event) => event.map(|event| (event, "")),
            Self::InactiveSigned | Self::Stranger(_) => None,
        }
    }
}

impl Case {
    pub(crate) fn request(&self) -> &OAuthRequest {
        &self.request
    }

    pub(crate) const fn expected(&self) -> Expected {
        self.expected
    }

    /// A failure of this case, in words.
    pub(crate) fn failure(&self, fault: &str) -> String {
        format!("{}: {fault}", self.name)
    }

    /// What is wrong with the answer.
    pub(crate) fn judge(&self, answer: &Answer) -> Vec<String> {
        let mut faults = match self.expected {
            Expected::Refused(id) | Expected::Stranger(id) => judge_error(answer, id),
            Expected::Granted => judge_token(answer),
            Expected::Inactive(_) => judge_inactive(answer),
            Expected::InactiveSigned => judge_inactive_signed(answer),
            Expected::Empty(_) => judge_empty(answer),
        };
        faults.extend(judge_headers(answer));
        if self.expected != Expected::Granted {
            faults.extend(self.reflections(answer));
        }
        if !matches!(self.expected, Expected::Granted | Expected::InactiveSigned)
            && (holds_token(&answer.everything()) || !answer.json()["access_token"].is_null())
        {
            faults.push("the answer holds a token".to_owned());
        }
        faults
            .iter()
            .map(|fault| format!("{} (answered {answer:?})", self.failure(fault)))
            .collect()
    }

    /// What is wrong with the records of the request.
    pub(crate) fn judge_records(&self, request_id: &str, log: &Log) -> Option<String> {
        let records = log.of_request(request_id);
        let member =
            |record: &Value, name: &str| record[name].as_str().unwrap_or_default().to_owned();
        let events: Vec<(String, String)> = records
            .iter()
            .map(|record| (member(record, "event"), member(record, "error_id")))
            .collect();
        let expected: Vec<(&str, &str)> = self.expected.record().into_iter().collect();
        let same = events.iter().map(|(e, id)| (e.as_str(), id.as_str())).eq(expected.clone());
        (!same).then(|| self.failure(&format!("recorded {events:?}, not {expected:?}")))
    }

    /// Pieces of the request that the answer repeats.
    fn reflections(&self, answer: &Answer) -> Vec<String> {
        let answered = answer.everything().replace(ISSUER, "");
        let inputs = self.request.inputs();
        let pieces: BTreeSet<&str> = inputs
            .iter()
            .flat_map(|input| input.split('.').chain([input.as_str()]))
            .filter(|piece| piece.contains(MARKER) || piece.len() >= REFLECTION_CHARS_MIN)
            .filter(|piece| !is_own_word(piece))
            .chain([MARKER])
            .collect();
        let repeated = pieces.iter().filter(|piece| answered.contains(**piece));
        repeated.map(|piece| format!("the answer repeats `{piece}`")).collect()
    }
}

/// Names of parameters are words of the error catalogue too: `subject_token` of
/// `subject_token_malformed`.
fn is_own_word(piece: &str) -> bool {
    piece.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') && !piece.contains(MARKER)
}

/// Whether a signed token stands somewhere. A request id may begin like one, but is shorter.
fn holds_token(text: &str) -> bool {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)));
    words.into_iter().any(|word| word.starts_with(TOKEN_START) && word.len() > REQUEST_ID_CHARS)
}

fn judge_error(answer: &Answer, id: &str) -> Vec<String> {
    let (status, error) = promise(id);
    let mut faults = Vec::new();
    let got = (answer.status, answer.member("error"), answer.member("error_id"));
    if (got.0, got.1.as_str(), got.2.as_str()) != (status, error, id) {
        faults.push(format!("answered {got:?}, not {:?}", (status, error, id)));
    }
    if answer.header("content-type") != "application/json" {
        faults.push("an error is no JSON".to_owned());
    }
    if answer.member("error_uri") != format!("{ISSUER}/errors/{id}") {
        faults.push("`error_uri` does not end in the error id".to_owned());
    }
    if answer.member("request_id") != answer.header("x-request-id") {
        faults.push("body and header have different request ids".to_owned());
    }
    if (status == 401) == answer.header("www-authenticate").is_empty() {
        faults.push("401 and WWW-Authenticate do not go together".to_owned());
    }
    if matches!(status, 429 | 503) == answer.header("retry-after").is_empty() {
        faults.push("503 and Retry-After do not go together".to_owned());
    }
    faults
}

fn judge_token(answer: &Answer) -> Vec<String> {
    let fine = answer.status == 200 && answer.member("access_token").starts_with(TOKEN_START);
    if fine { Vec::new() } else { vec!["no token was issued".to_owned()] }
}

fn judge_inactive(answer: &Answer) -> Vec<String> {
    let fine = answer.status == 200 && answer.text() == r#"{"active":false}"#;
    if fine { Vec::new() } else { vec!["not exactly inactive".to_owned()] }
}

fn judge_inactive_signed(answer: &Answer) -> Vec<String> {
    let media = answer.header("content-type");
    if answer.status != 200 || media != SIGNED {
        return vec![format!("no signed answer but `{media}`")];
    }
    let payload = payload_of(&answer.text());
    let names: Vec<&String> = payload.as_object().unwrap().keys().collect();
    let fine = payload["token_introspection"] == json!({"active": false})
        && names == ["as_of", "aud", "iat", "iss", "token_introspection"];
    if fine { Vec::new() } else { vec![format!("signed more than that: {payload}")] }
}

fn judge_empty(answer: &Answer) -> Vec<String> {
    let fine = answer.status == 200 && answer.body.is_empty();
    if fine { Vec::new() } else { vec!["not exactly 200 without a body".to_owned()] }
}

fn judge_headers(answer: &Answer) -> Vec<String> {
    let mut faults = Vec::new();
    if !MEDIA_TYPES.contains(&answer.header("content-type")) {
        faults.push("the media type is none of ours".to_owned());
    }
    if answer.header("cache-control") != "no-store" {
        faults.push("the answer may be stored".to_owned());
    }
    if answer.header("x-content-type-options") != "nosniff" {
        faults.push("a browser may guess the type".to_owned());
    }
    // Why there is no list is as public as the list.
    let of_a_list = answer.member("error_id").starts_with("status_list_");
    if answer.header("access-control-allow-origin").is_empty() == of_a_list {
        faults.push("scripts of other origins may read the answer, or should".to_owned());
    }
    let id = answer.header("x-request-id");
    let random = id.len() == REQUEST_ID_CHARS
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if !random {
        faults.push(format!("`{id}` is no request id"));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error as the node answers it, and the request that met it.
    fn honest() -> (Case, Answer) {
        let request = OAuthRequest::new("/eu/token").set("token", &format!("a.{MARKER}.b"));
        let body = json!({
            "error": "invalid_request", "error_id": "request_malformed",
            "error_uri": format!("{ISSUER}/errors/request_malformed"),
            "request_id": "AAAAAAAAAAAAAAAAAAAAAA",
        });
        let headers = [
            ("content-type", "application/json"),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("x-request-id", "AAAAAAAAAAAAAAAAAAAAAA"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let answer = Answer { status: 400, headers, body: body.to_string().into_bytes() };
        (stranger("a case", request, "request_malformed"), answer)
    }

    fn with_body(change: impl FnOnce(&mut Value)) -> (Case, Answer) {
        let (case, mut answer) = honest();
        let mut body = answer.json();
        change(&mut body);
        answer.body = body.to_string().into_bytes();
        (case, answer)
    }

    fn with_header(name: &str, value: &str) -> (Case, Answer) {
        let (case, mut answer) = honest();
        answer.headers.retain(|(n, _)| n != name);
        answer.headers.push((name.to_owned(), value.to_owned()));
        (case, answer)
    }

    #[test]
    fn finds_no_fault_with_an_honest_answer() {
        let (case, answer) = honest();
        assert_eq!(case.judge(&answer), [""; 0]);
    }

    #[test]
    fn finds_every_kind_of_fault() {
        let (case, answer) = honest();
        let wrong_status = (case, Answer { status: 401, ..answer });
        for (name, (case, answer)) in [
            ("status", wrong_status),
            ("error", with_body(|body| body["error"] = json!("invalid_client"))),
            ("error id", with_body(|body| body["error_id"] = json!("parameter_missing"))),
            ("error_uri", with_body(|body| body["error_uri"] = json!(ISSUER))),
            ("request id", with_body(|body| body["request_id"] = json!("BBBBBBBBBBBBBBBBBBBBBB"))),
            ("a reflection", with_body(|body| body["error_description"] = json!(MARKER))),
            ("a token", with_body(|body| body["x"] = json!("eyJhbGciOiJFUzI1NiJ9.e30.AAAA"))),
            ("an access token", with_body(|body| body["access_token"] = json!("opaque"))),
            ("stored", with_header("cache-control", "private")),
            ("shared", with_header("access-control-allow-origin", "*")),
            ("a media type", with_header("content-type", "text/html")),
            ("a reflection in a header", with_header("x-debug", MARKER)),
            ("a chosen id", with_header("x-request-id", "chosen")),
        ] {
            assert!(!case.judge(&answer).is_empty(), "{name}");
        }
    }
}
