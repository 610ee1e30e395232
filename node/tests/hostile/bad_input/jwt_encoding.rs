//! The text of subject tokens: parts, base64url, JSON, signatures and sizes (RFC 7515 sections 2,
//! 5.2 and 7.1, RFC 7518 section 3.4, RFC 8725 section 2.4).

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use exequatur_federation::jose::{base64url, from_base64url};
use serde_json::json;

use crate::lab::{
    Lab, MARKER, TOKEN,
    case::{Case, granted, refused, stranger},
    jwt::{parts, seal},
    request::{EXCHANGE, OAuthRequest, escape},
};

const MALFORMED: &str = "subject_token_malformed";
const UNTRUSTED: &str = "subject_token_untrusted";

/// The digits of base64url, in the order of their values.
const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#[test]
fn a_token_that_is_not_the_one_text_of_its_bytes_gets_no_token() {
    let lab = Lab::start();
    let mut cases = shapes(&lab);
    cases.extend(base64_variants(&lab));
    cases.extend(payloads(&lab));
    cases.extend(headers(&lab));
    cases.extend(acceptable_payloads(&lab));
    cases.extend(json_sizes(&lab));
    cases.extend(signatures(&lab));
    cases.extend(sizes(&lab));
    cases.extend(encrypted(&lab));
    lab.judge(&cases, 0);
}

fn shapes(lab: &Lab) -> Vec<Case> {
    let token = lab.subject_token();
    let [header, payload, signature] = parts(&token);
    let texts = [
        ("one part", header.to_owned()),
        ("two parts", format!("{header}.{payload}")),
        ("four parts", format!("{token}.{signature}")),
        ("five parts", format!("{token}.{payload}.{signature}")),
        ("a trailing dot", format!("{token}.")),
        ("a leading dot", format!(".{token}")),
        ("two dots in a row", format!("{header}..{payload}.{signature}")),
        ("dots alone", "..".to_owned()),
        ("one dot", ".".to_owned()),
        ("no header", format!(".{payload}.{signature}")),
        ("no payload", format!("{header}..{signature}")),
        ("a space before", format!(" {token}")),
        ("a space after", format!("{token} ")),
        ("a tab", format!("{token}\t")),
        ("a newline", format!("{token}\n")),
        ("a carriage return", format!("{token}\r\n")),
        ("a byte order mark", format!("\u{feff}{token}")),
        ("a no-break space", format!("{token}\u{a0}")),
        ("Bearer before it", format!("Bearer {token}")),
        ("quotes around it", format!("\"{token}\"")),
        (
            "JSON serialisation",
            json!({"payload": payload, "protected": header, "signature": signature}).to_string(),
        ),
        ("opaque", format!("opaque-{MARKER}-0123456789")),
        ("another script", "\u{5d0}\u{5d1}.\u{5d2}.\u{5d3}".to_owned()),
        ("a NUL that was escaped twice", format!("{token}%00")),
    ];
    let mut cases: Vec<Case> = texts
        .into_iter()
        .map(|(name, text)| refused(format!("shape: {name}"), lab.exchange(&text), MALFORMED))
        .collect();
    let nul = lab
        .exchange("x")
        .remove("subject_token")
        .and_raw(format!("&subject_token={token}%00").as_bytes());
    cases.push(stranger("shape: NUL", nul, "request_malformed"));
    cases
}

fn base64_variants(lab: &Lab) -> Vec<Case> {
    // An ES256 signature of 64 bytes ends in a digit with four spare bits.
    let token = lab.subject_token();
    let [header, payload, signature] = parts(&token);
    let standard = |part: &str| STANDARD.encode(from_base64url(part).unwrap());
    let padded = |part: &str| URL_SAFE.encode(from_base64url(part).unwrap());
    let plus = until_other_alphabet(lab);
    let [plus_header, plus_payload, plus_signature] = parts(&plus);
    let with = |h: &str, p: &str, s: &str| format!("{h}.{p}.{s}");
    let texts = [
        ("padding after the signature", with(header, payload, &padded(signature))),
        ("padding after the header", with(&ended("=", header), payload, signature)),
        ("padding after the payload", with(header, &ended("=", payload), signature)),
        (
            "standard alphabet in the signature",
            with(plus_header, plus_payload, standard(plus_signature).trim_end_matches('=')),
        ),
        ("another last digit, same bytes", with(header, payload, &noncanonical(signature, 1))),
        ("yet another last digit", with(header, payload, &noncanonical(signature, 15))),
        ("a line break within", with(header, &broken(payload, "\r\n"), signature)),
        ("a space within", with(header, &broken(payload, " "), signature)),
        ("a soft hyphen within", with(header, &broken(payload, "\u{ad}"), signature)),
        ("a full-width letter", with(header, &broken(payload, "\u{ff21}"), signature)),
        ("three stray digits", with(header, payload, &ended("AAA", signature))),
        ("an escape within", with(header, &broken(payload, "%41"), signature)),
    ];
    let mut cases: Vec<Case> = texts
        .into_iter()
        .map(|(name, text)| refused(format!("base64: {name}"), lab.exchange(&text), MALFORMED))
        .collect();
    // Digits of base64url all the same, of other bytes.
    let hexadecimal = lab.exchange(&with(header, payload, &hexadecimal(signature)));
    cases.push(refused("base64: hexadecimal", hexadecimal, UNTRUSTED));
    cases
}

/// JSON that two readers could read differently, signed by the real key.
fn payloads(lab: &Lab) -> Vec<Case> {
    let jwt = lab.person();
    let key = &lab.keys.es;
    let now = lab.clock.seconds();
    let text = jwt.payload.to_string();
    let open = text.strip_suffix('}').unwrap();
    let payloads: Vec<(&str, Vec<u8>)> = vec![
        ("exp twice", jwt.payload_and(&format!("\"exp\":{}", now + 10))),
        ("exp twice, equal", jwt.payload_and(&format!("\"exp\":{}", jwt.payload["exp"]))),
        ("aud twice", jwt.payload_and("\"aud\":\"exequatur\"")),
        ("iss twice", jwt.payload_and("\"iss\":\"x\"")),
        ("an escaped name twice", jwt.payload_and("\"\\u0065xp\":1")),
        ("a name twice, escaped letter by letter", jwt.payload_and("\"\\u0065\\u0078\\u0070\":1")),
        ("a nested name twice", jwt.payload_and("\"x\":{\"a\":1,\"a\":2}")),
        ("a name twice in an array", jwt.payload_and("\"x\":[{\"a\":1,\"a\":2}]")),
        ("an empty name twice", jwt.payload_and("\"\":1,\"\":2")),
        ("a lone high surrogate", jwt.payload_and("\"x\":\"\\ud800\"")),
        ("a lone low surrogate", jwt.payload_and("\"x\":\"\\udc00\"")),
        ("surrogates in the wrong order", jwt.payload_and("\"x\":\"\\udc00\\ud800\"")),
        ("a lone surrogate as name", jwt.payload_and("\"\\ud800\":1")),
        ("UTF-8 that is none", [open.as_bytes(), b",\"x\":\"\xff\"}"].concat()),
        ("overlong UTF-8", [open.as_bytes(), b",\"x\":\"\xc0\xaf\"}"].concat()),
        ("a surrogate in UTF-8", [open.as_bytes(), b",\"x\":\"\xed\xa0\x80\"}"].concat()),
        ("something after it", format!("{text} {{}}").into_bytes()),
        ("a letter after it", format!("{text}x").into_bytes()),
        ("NUL after it", format!("{text}\u{0}").into_bytes()),
        ("a byte order mark", format!("\u{feff}{text}").into_bytes()),
        ("a comma after the last member", format!("{open},}}").into_bytes()),
        ("a comment", format!("{open}/* {MARKER} */}}").into_bytes()),
        ("a line comment", format!("{open}//{MARKER}\n}}").into_bytes()),
        ("NaN", jwt.payload_and("\"x\":NaN")),
        ("Infinity", jwt.payload_and("\"x\":Infinity")),
        ("1e400", jwt.payload_and("\"x\":1e400")),
        ("a leading zero", jwt.payload_and("\"x\":01")),
        ("a plus sign", jwt.payload_and("\"x\":+1")),
        ("single quotes", jwt.payload_and("'x':1")),
        ("a raw newline in a text", jwt.payload_and("\"x\":\"\n\"")),
        ("an unknown escape", jwt.payload_and("\"x\":\"\\x41\"")),
        ("an array around it", format!("[{text}]").into_bytes()),
        ("a text", b"\"payload\"".to_vec()),
        ("a number", b"1".to_vec()),
        ("null", b"null".to_vec()),
        ("nothing", Vec::new()),
        ("half of it", open.as_bytes().to_vec()),
        ("UTF-16", text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("form encoding", b"iss=x&exp=1".to_vec()),
    ];
    payloads
        .iter()
        .map(|(name, payload)| {
            let token = jwt.over_payload(payload, key);
            refused(format!("payload: {name}"), lab.exchange(&token), MALFORMED)
        })
        .collect()
}

fn headers(lab: &Lab) -> Vec<Case> {
    let jwt = lab.person();
    let headers = [
        ("alg twice", jwt.header_and("\"alg\":\"none\"")),
        ("alg twice, escaped", jwt.header_and("\"\\u0061lg\":\"none\"")),
        ("kid twice", jwt.header_and("\"kid\":\"es\"")),
        ("typ twice, escaped", jwt.header_and("\"t\\u0079p\":\"at+jwt\"")),
        ("a nested name twice", jwt.header_and("\"x\":{\"a\":1,\"a\":2}")),
        ("an array", format!("[{}]", jwt.header).into_bytes()),
        ("something after it", format!("{}{{}}", jwt.header).into_bytes()),
        ("nothing", Vec::new()),
        ("null", b"null".to_vec()),
        ("UTF-8 that is none", b"{\"alg\":\"ES256\",\"x\":\"\xff\"}".to_vec()),
    ];
    headers
        .iter()
        .map(|(name, header)| {
            refused(
                format!("header: {name}"),
                lab.exchange(&jwt.under_header(header, &lab.keys.es)),
                MALFORMED,
            )
        })
        .collect()
}

/// Strange, but read alike by everybody.
fn acceptable_payloads(lab: &Lab) -> Vec<Case> {
    let (jwt, key) = (lab.person(), &lab.keys.es);
    let mut cases = Vec::new();
    for (name, more) in [
        ("minus zero", "\"x\":-0"),
        ("2^53 + 1", "\"x\":9007199254740993"),
        ("other names that differ in case", "\"EXP\":1"),
        ("an escaped name once", "\"\\u0078\":1"),
    ] {
        let token = jwt.clone().claim("jti", lab.jti()).over_payload(&jwt.payload_and(more), key);
        cases.push(granted(format!("payload: {name}"), lab.exchange(&token)));
    }
    cases
}

fn json_sizes(lab: &Lab) -> Vec<Case> {
    let jwt = lab.person();
    let nested = |depth: usize| {
        let (open, close) = ("{\"a\":".repeat(depth), "}".repeat(depth));
        jwt.payload_and(&format!("\"x\":{open}1{close}"))
    };
    let arrays = |depth: usize| {
        jwt.payload_and(&format!("\"x\":{}{}", "[".repeat(depth), "]".repeat(depth)))
    };
    let members = |count: usize| {
        let all: Vec<String> = (0..count).map(|n| format!("\"{n:x}\":0")).collect();
        jwt.payload_and(&all.join(","))
    };
    let mut cases: Vec<Case> = [
        ("objects 17 deep", nested(17)),
        ("objects 1,000 deep", nested(1_000)),
        ("arrays 17 deep", arrays(17)),
        ("arrays 5,000 deep", arrays(5_000)),
        ("2,100 values", jwt.payload_and(&format!("\"x\":[{}]", ["0"; 2_100].join(",")))),
    ]
    .iter()
    .map(|(name, payload)| {
        let token = jwt.over_payload(payload, &lab.keys.es);
        refused(format!("JSON: {name}"), lab.exchange(&token), MALFORMED)
    })
    .collect();
    // 100,000 members or levels are more bytes than a body may have.
    for (name, payload) in
        [("100,000 members", members(100_000)), ("objects 10,000 deep", nested(10_000))]
    {
        let token = jwt.over_payload(&payload, &lab.keys.es);
        cases.push(stranger(format!("JSON: {name}"), lab.exchange(&token), "body_too_large"));
    }
    cases
}

fn signatures(lab: &Lab) -> Vec<Case> {
    let jwt = lab.person();
    let honest = from_base64url(parts(&jwt.sign(&lab.keys.es))[2]).unwrap();
    let (r, s) = honest.split_at(32);
    let zero = [0_u8; 32];
    // Order of the group of P-256 (SEC 2 section 2.4.2).
    let order: Vec<u8> = (0..32)
        .map(|at| {
            let hex = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
            u8::from_str_radix(hex.get(2 * at..2 * at + 2).unwrap(), 16).unwrap()
        })
        .collect();
    let ecdsa: Vec<(&str, Vec<u8>)> = vec![
        ("r = 0", [&zero[..], s].concat()),
        ("s = 0", [r, &zero[..]].concat()),
        ("r = s = 0", [zero, zero].concat()),
        ("r = n", [&order[..], s].concat()),
        ("s = n", [r, &order[..]].concat()),
        ("r = s = n", [&order[..], &order[..]].concat()),
        ("r and s as large as can be", vec![0xff; 64]),
        ("r and s exchanged", [s, r].concat()),
        ("DER", der(r, s)),
        ("63 bytes", honest[..63].to_vec()),
        ("65 bytes", [&honest[..], &[0]].concat()),
        ("a zero before", [&[0], &honest[..]].concat()),
        ("twice", [&honest[..], &honest[..]].concat()),
        ("half", r.to_vec()),
        ("one byte", vec![0]),
        ("one bit flipped", flipped(&honest)),
        ("of other words", lab.keys.es.sign("ES256", MARKER.as_bytes())),
        ("of the payload alone", lab.keys.es.sign("ES256", jwt.payload.to_string().as_bytes())),
    ];
    let mut cases: Vec<Case> = ecdsa
        .into_iter()
        .map(|(name, signature)| {
            refused(format!("ES256: {name}"), lab.exchange(&jwt.sign_by(|_| signature)), UNTRUSTED)
        })
        .collect();
    let rsa = lab.person().header("alg", "RS256").header("kid", "rs");
    let edwards = lab.person().header("alg", "EdDSA").header("kid", "ed");
    let rsa_honest = from_base64url(parts(&rsa.sign(&lab.keys.rsa))[2]).unwrap();
    let ed_honest = from_base64url(parts(&edwards.sign(&lab.keys.ed))[2]).unwrap();
    for (name, jwt, signature) in [
        ("RS256: zeros", &rsa, vec![0; 256]),
        ("RS256: ones", &rsa, vec![0xff; 256]),
        ("RS256: 255 bytes", &rsa, rsa_honest[1..].to_vec()),
        ("RS256: a zero before", &rsa, [&[0], &rsa_honest[..]].concat()),
        ("RS256: one bit flipped", &rsa, flipped(&rsa_honest)),
        ("EdDSA: zeros", &edwards, vec![0; 64]),
        ("EdDSA: 63 bytes", &edwards, ed_honest[..63].to_vec()),
        ("EdDSA: one bit flipped", &edwards, flipped(&ed_honest)),
    ] {
        cases.push(refused(name, lab.exchange(&jwt.sign_by(|_| signature)), UNTRUSTED));
    }
    let changed = jwt.clone().claim("sub", MARKER);
    let stolen = format!(
        "{}.{}",
        {
            let token = changed.sign(&lab.keys.unknown_es);
            let [header, payload, _] = parts(&token);
            format!("{header}.{payload}")
        },
        base64url(&honest)
    );
    cases.push(refused(
        "another payload under an honest signature",
        lab.exchange(&stolen),
        UNTRUSTED,
    ));
    cases
}

fn sizes(lab: &Lab) -> Vec<Case> {
    let padded = |bytes: usize| {
        let empty = lab.person().claim("pad", "").sign(&lab.keys.es).len();
        // Base64 makes four characters of three bytes.
        let text = "p".repeat((bytes - empty) * 3 / 4);
        lab.person().claim("pad", text).sign(&lab.keys.es)
    };
    let near = padded(16_200);
    let over = padded(16_420);
    assert!(near.len() <= 16_384 && over.len() > 16_384, "{} {}", near.len(), over.len());
    let exact = format!("{near}{}", "A".repeat(16_385 - near.len()));
    let body = |bytes: usize| {
        let start = format!("grant_type={}&subject_token=", escape(EXCHANGE));
        let filler = "a".repeat(bytes - start.len());
        OAuthRequest::new(TOKEN).raw(format!("{start}{filler}"))
    };
    vec![
        granted("a token just under 16 KiB", lab.exchange(&near)),
        refused("a token just over 16 KiB", lab.exchange(&over), MALFORMED),
        refused("16 KiB and one byte", lab.exchange(&exact), MALFORMED),
        refused("60,000 bytes", lab.exchange(&"a".repeat(60_000)), MALFORMED),
        refused("60,000 dots", lab.exchange(&".".repeat(60_000)), MALFORMED),
        stranger(
            "a body of 64 KiB without credentials",
            body(65_536),
            "client_authentication_missing",
        ),
        stranger("a body of 64 KiB and one byte", body(65_537), "body_too_large"),
        stranger("a body of 1 MiB", body(1_048_576), "body_too_large"),
    ]
}

/// Encrypted tokens where a signed one is due: nothing is decrypted, inflated or derived.
fn encrypted(lab: &Lab) -> Vec<Case> {
    let headers = [
        ("zip", json!({"alg": "dir", "enc": "A256GCM", "zip": "DEF"})),
        (
            "PBES2",
            json!({"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 2_147_483_648_u64, "p2s": "AAAA"}),
        ),
        ("dir", json!({"alg": "dir", "enc": "A128CBC-HS256"})),
        ("RSA1_5", json!({"alg": "RSA1_5", "enc": "A128GCM", "kid": "rs"})),
        (
            "an epk off its curve",
            json!({"alg": "ECDH-ES", "enc": "A128GCM",
            "epk": {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}}),
        ),
        ("ES256 in five parts", json!({"alg": "ES256", "kid": "es"})),
    ];
    let mut cases: Vec<Case> = headers
        .iter()
        .map(|(name, header)| {
            let head = base64url(header.to_string().as_bytes());
            let token =
                format!("{head}.AAAA.AAAAAAAAAAAAAAAA.{}.AAAA", base64url(MARKER.as_bytes()));
            refused(format!("JWE: {name}"), lab.exchange(&token), MALFORMED)
        })
        .collect();
    let zipped = lab.person().header("zip", "DEF");
    let zipped = seal(zipped.header.to_string().as_bytes(), &[0x4b, 0x4c, 0x04, 0x00], |input| {
        lab.keys.es.sign("ES256", input)
    });
    cases.push(refused("zip in a signed token", lab.exchange(&zipped), MALFORMED));
    cases
}

/// A token whose signature needs both digits in which the alphabets differ.
fn until_other_alphabet(lab: &Lab) -> String {
    loop {
        let token = lab.subject_token();
        let signature = parts(&token)[2];
        if signature.contains('-') && signature.contains('_') {
            return token;
        }
    }
}

/// The same bytes under another last digit: the spare bits are not zero.
fn noncanonical(part: &str, spare: usize) -> String {
    let mut digits = part.as_bytes().to_vec();
    let last = digits.pop().unwrap();
    let value = ALPHABET.iter().position(|digit| *digit == last).unwrap();
    digits.push(ALPHABET[value | spare]);
    String::from_utf8(digits).unwrap()
}

fn ended(end: &str, part: &str) -> String {
    format!("{part}{end}")
}

fn broken(part: &str, by: &str) -> String {
    let (start, end) = part.split_at(part.len() / 2);
    format!("{start}{by}{end}")
}

fn hexadecimal(part: &str) -> String {
    from_base64url(part).unwrap().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn flipped(signature: &[u8]) -> Vec<u8> {
    let mut signature = signature.to_vec();
    signature[20] ^= 1;
    signature
}

/// The signature as X.509 would have it.
fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let zero: &[u8] = if bytes[0] >= 0x80 { &[0] } else { &[] };
        let length = u8::try_from(zero.len() + bytes.len()).unwrap();
        [&[0x02, length], zero, bytes].concat()
    };
    let both = [integer(r), integer(s)].concat();
    [&[0x30, u8::try_from(both.len()).unwrap()], &both[..]].concat()
}
