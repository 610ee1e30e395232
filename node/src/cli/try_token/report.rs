//! A rehearsal as it is shown: values only as the rules would release them.

use std::io::{self, Write};

use exequatur_federation::{
    exchange::{AdmittedSubject, Rehearsal},
    law::Law,
    refusal,
    residency::{Cause, Outcome, Step},
    time::UnixTime,
    token::AccessToken,
};
use serde::Serialize;
use serde_json::{Map, Value};

use super::cause::Circumstances;
use crate::facade::ErrorBody;

/// Claims of a rehearsed token that a node draws at random: an example would only mislead.
const MADE_UP: [&str; 3] = ["exq", "jti", "status"];

/// What is shown.
#[derive(Serialize)]
pub(super) struct Report<'a> {
    decision: &'static str,
    signature: Signature,
    now: UnixTime,
    client: &'a str,
    upstream: Option<&'a str>,
    subject: Option<&'static str>,
    rules: Vec<RuleEffect<'a>>,
    /// Payload of the token that would be issued, without `exq`, `jti` and `status`.
    claims: Option<Map<String, Value>>,
    refusal: Option<Refused<'a>>,
}

/// What is known of the token's signature.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Signature {
    /// No keys were given.
    NotChecked,
    /// It was not reached, or does not verify.
    NotVerified,
    /// It verifies under one of the given keys.
    Verified,
}

/// What one rule does, or that no rule reads a claim.
#[derive(Serialize)]
struct RuleEffect<'a> {
    claim: &'a str,
    action: &'a str,
    rule: Option<usize>,
    line: Option<usize>,
    released: bool,
    to: Option<&'a str>,
    /// As it would be released.
    value: Option<&'a Value>,
    /// Whether the target gets it; null if no token would be issued.
    given: Option<bool>,
    cause: Option<String>,
    /// Whether it is a claim of the protocol, which no rule may write.
    #[serde(skip)]
    protocol: bool,
}

#[derive(Serialize)]
struct Refused<'a> {
    status: u16,
    /// What the client would get, but for the `request_id`.
    answer: ErrorBody<'a>,
    cause: Option<String>,
    remedy: &'static str,
}

impl<'a> Report<'a> {
    pub(super) fn new(
        circumstances: &Circumstances<'a>,
        with_keys: bool,
        rehearsal: &'a Rehearsal,
    ) -> Self {
        let Circumstances { law, client, now, .. } = circumstances;
        let admitted = rehearsal.admitted.as_ref();
        let token = rehearsal.outcome.as_ref().ok();
        let refused = rehearsal.outcome.as_ref().err();
        Self {
            decision: if token.is_some() { "authorized" } else { "refused" },
            signature: Signature::of(with_keys, rehearsal),
            now: *now,
            client: client.id.as_str(),
            upstream: admitted.map(|a| a.upstream.as_str()),
            subject: admitted.map(|a| if a.is_service { "service" } else { "person" }),
            rules: admitted.map(|a| effects(a, token, law)).unwrap_or_default(),
            claims: token.map(payload),
            refusal: refused.map(|refusal| Refused {
                status: refusal.id.status(),
                answer: ErrorBody::of(&law.issuer, refusal, None),
                cause: circumstances.cause(refusal, rehearsal),
                remedy: refusal.id.remedy(),
            }),
        }
    }

    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let signature = match self.signature {
            Signature::NotChecked => {
                "NOT CHECKED: nothing proves who issued this token (give --jwks)"
            }
            Signature::NotVerified => "NOT VERIFIED with the given keys",
            Signature::Verified => "verified with the given keys",
        };
        writeln!(out, "signature  {signature}")?;
        writeln!(out, "client     {}, as if it had authenticated", self.client)?;
        writeln!(out, "now        {}", self.now)?;
        if let (Some(upstream), Some(subject)) = (self.upstream, self.subject) {
            writeln!(out, "token      of a {subject}, from `{upstream}`")?;
        }
        if !self.rules.is_empty() {
            writeln!(out, "\nwhat the rules do")?;
        }
        for rule in self.rules.iter().filter(|rule| !rule.protocol) {
            rule.write(out)?;
        }
        let own: Vec<&str> = self
            .rules
            .iter()
            .filter(|rule| rule.protocol)
            .map(|rule| rule.claim.trim_start_matches('/'))
            .collect();
        if !own.is_empty() {
            writeln!(out, "  the protocol's own are checked, then written anew or left out:")?;
            writeln!(out, "            {}", own.join(" "))?;
        }
        match (&self.claims, &self.refusal) {
            (Some(claims), _) => issued(claims, out),
            (None, Some(refused)) => refused.write(out),
            (None, None) => Ok(()),
        }
    }
}

impl Signature {
    fn of(with_keys: bool, rehearsal: &Rehearsal) -> Self {
        // These checks come after that of the signature.
        let passed = |id| {
            [
                refusal::SUBJECT_TOKEN_KIND,
                refusal::SUBJECT_TOKEN_TIME,
                refusal::SUBJECT_TOKEN_AUDIENCE,
                refusal::SUBJECT_TOKEN_BOUND,
                refusal::SUBJECT_TOKEN_CLAIMS,
                refusal::SERVICE_NOT_ALLOWED,
                refusal::HOME_REGION_ELSEWHERE,
                refusal::HOME_REGION_UNKNOWN,
            ]
            .contains(&id)
        };
        if !with_keys {
            Self::NotChecked
        } else if rehearsal.admitted.is_some()
            || rehearsal.outcome.as_ref().is_err_and(|refusal| passed(refusal.id))
        {
            Self::Verified
        } else {
            Self::NotVerified
        }
    }
}

impl RuleEffect<'_> {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let line = self.line.map_or_else(|| "no rule".to_owned(), |line| format!("line {line}"));
        let claim = if self.claim.is_empty() { "(none)" } else { self.claim };
        write!(out, "  {line:<9} {claim:<24} ")?;
        if let Some(cause) = &self.cause {
            return writeln!(out, "{:<24} dropped: {cause}", self.action);
        }
        let (to, value) = (self.to.unwrap_or_default(), self.value.unwrap_or(&Value::Null));
        let kept_back =
            if self.given == Some(false) { "  (the target does not get it)" } else { "" };
        writeln!(out, "{:<24} {to} = {value}{kept_back}", self.action)
    }
}

impl Refused<'_> {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "\nrefused: HTTP {}", self.status)?;
        writeln!(out, "  {}", serde_json::to_string(&self.answer)?)?;
        if let Some(cause) = &self.cause {
            writeln!(out, "cause  {cause}")?;
        }
        writeln!(out, "mend   {}", self.remedy)
    }
}

fn issued(claims: &Map<String, Value>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\nthe token, without `exq`, `jti` and `status`; pseudonyms are examples")?;
    for (name, value) in claims {
        writeln!(out, "  {name:<18} {value}")?;
    }
    Ok(())
}

fn payload(token: &AccessToken) -> Map<String, Value> {
    let mut payload = token.to_payload();
    payload.retain(|name, _| !MADE_UP.contains(&name.as_str()));
    payload
}

fn effects<'a>(
    admitted: &'a AdmittedSubject,
    token: Option<&AccessToken>,
    law: &Law,
) -> Vec<RuleEffect<'a>> {
    let projection = &admitted.explanation.projection;
    let target = token.and_then(|token| law.resources.get(&token.audience));
    let effect = |step: &'a Step| {
        let to = step.to.as_deref();
        let given = |name: &str| target.map(|t| t.claims.iter().any(|claim| claim == name));
        RuleEffect {
            claim: &step.claim,
            action: step.action,
            rule: step.rule,
            line: step.line,
            released: step.outcome == Outcome::Released,
            to,
            value: to.and_then(|name| projection.claims.members().get(name)),
            given: to.and_then(given),
            cause: step.cause.map(|cause| cause.to_string()),
            protocol: step.cause == Some(Cause::Protocol),
        }
    };
    admitted.explanation.steps.iter().map(effect).collect()
}
