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
            && (answer.everything().contains(TOKEN_START)
                || !answer.json()["access_token"].is_null())
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
        let events: Vec<(&str, &Value)> = records
            .iter()
            .map(|record| (record["event"].as_str().unwrap_or_default(), &record["error_id"]))
            .collect();
        let none = Value::Null;
        let id = Value::from(match self.expected {
            Expected::Refused(id) => id,
            _ => "",
        });
        let expected: Vec<(&str, &Value)> = match self.expected {
            Expected::Refused(_) => vec![("refused", &id)],
            Expected::Granted => vec![("token_authorized", &none)],
            Expected::Stranger(_) | Expected::InactiveSigned => Vec::new(),
            Expected::Inactive(event) | Expected::Empty(event) => {
                event.map(|event| (event, &none)).into_iter().collect()
            }
        };
        (events != expected)
            .then(|| self.failure(&format!("recorded {events:?}, not {expected:?}")))
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
        && names == ["aud", "iat", "iss", "token_introspection"];
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
    if !answer.header("access-control-allow-origin").is_empty() {
        faults.push("scripts of other origins may read the answer".to_owned());
    }
    let id = answer.header("x-request-id");
    let random = id.len() == REQUEST_ID_CHARS
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if !random {
        faults.push(format!("`{id}` is no request id"));
    }
    faults
}
