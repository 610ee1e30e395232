//! The body of an OAuth request, read strictly, beside a reader that forgives everything: what ours
//! accepts both read alike, and what the other writes ours accepts (WHATWG URL section 5).

#![no_main]

use std::{collections::BTreeMap, sync::LazyLock};

use exequatur_federation::refusal;
use exequatur_node::facade::form::Form;
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use libfuzzer_sys::fuzz_target;

/// As many parameters, and as long a name, as is certainly accepted.
const PARAMETERS_ACCEPTED: usize = 64;
const NAME_BYTES_ACCEPTED: usize = 64;

static HEADERS: LazyLock<HeaderMap> = LazyLock::new(|| {
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    HeaderMap::from_iter([(CONTENT_TYPE, form)])
});

fuzz_target!(|body: &[u8]| {
    let pairs: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
    match Form::parse(&HEADERS, body) {
        Ok(form) => check_agreement(&form, &pairs),
        Err(id) => {
            assert_eq!(id, refusal::REQUEST_MALFORMED);
            assert!(!certainly_acceptable(&pairs, body), "a canonical form was refused");
        }
    }
    check_rewritten(&pairs);
});

/// Every name has the values that the other reader found, less the empty ones.
fn check_agreement(form: &Form, pairs: &[(String, String)]) {
    let mut expected: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, value) in pairs {
        let values = expected.entry(name).or_default();
        if !value.is_empty() {
            values.push(value);
        }
    }
    for (name, values) in expected {
        assert_eq!(form.all(name).collect::<Vec<_>>(), values, "the values of `{name}`");
        match values.as_slice() {
            [] => {
                assert_eq!(form.optional(name), Ok(None));
                assert_eq!(form.required(name), Err(refusal::PARAMETER_MISSING));
            }
            [only] => assert_eq!(form.required(name), Ok(*only)),
            [_, _, ..] => assert_eq!(form.required(name), Err(refusal::PARAMETER_REPEATED)),
        }
    }
}

/// Whatever the forgiving reader made of the body, written properly, reads the same here.
fn check_rewritten(pairs: &[(String, String)]) {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    if certainly_acceptable(pairs, body.as_bytes()) {
        let form = Form::parse(&HEADERS, body.as_bytes());
        check_agreement(&form.unwrap_or_else(|id| panic!("`{body}` was refused: {id:?}")), pairs);
    }
}

/// Whether the body is how its own pairs are written, small, and without NUL.
fn certainly_acceptable(pairs: &[(String, String)], body: &[u8]) -> bool {
    let plain = |text: &str| !text.contains('\0');
    let small = |name: &str| name.len() <= NAME_BYTES_ACCEPTED;
    pairs.len() <= PARAMETERS_ACCEPTED
        && pairs.iter().all(|(name, value)| small(name) && plain(name) && plain(value))
        && form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish().as_bytes()
            == body
}
