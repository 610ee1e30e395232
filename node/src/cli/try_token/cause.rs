//! What lies behind a refusal, in words for whoever writes the law. A client is never told this.

use exequatur_federation::{
    client::{Client, UpstreamIds},
    exchange::Rehearsal,
    jose::{JwsError, UnverifiedJws},
    law::Law,
    refusal::{self, Refusal},
    residency::ProjectionFault,
    time::UnixTime,
};
use serde_json::Value;

/// What was rehearsed.
pub(super) struct Circumstances<'a> {
    pub(super) law: &'a Law,
    pub(super) client: &'a Client,
    pub(super) token: &'a Result<UnverifiedJws, JwsError>,
    pub(super) now: UnixTime,
}

/// Longest text of a token that is shown: issuers are shorter.
const SHOWN_CHARS_MAX: usize = 200;

impl Circumstances<'_> {
    /// The cause of a refusal, where more can be said than the catalogue says.
    pub(super) fn cause(&self, refusal: &Refusal, rehearsal: &Rehearsal) -> Option<String> {
        match refusal.id {
            refusal::SUBJECT_TOKEN_MALFORMED => match self.token {
                Err(error) => Some(error.to_string()),
                Ok(_) => Some("`exp`, `iat` or `nbf` is missing or no whole number".to_owned()),
            },
            refusal::SUBJECT_TOKEN_UNTRUSTED => Some(self.untrusted()),
            refusal::SUBJECT_TOKEN_TIME => Some(self.time()),
            refusal::SUBJECT_TOKEN_AUDIENCE => {
                let upstream = self.law.upstreams.get(self.issuer()?)?;
                Some(format!("expected one of {}", quoted(&upstream.audience)))
            }
            refusal::SUBJECT_TOKEN_CLAIMS => {
                let fault = rehearsal.admitted.as_ref()?.explanation.fault?;
                self.fault(fault)
            }
            refusal::REQUESTER_NOT_ALLOWED => match &self.client.upstream_ids {
                UpstreamIds::Any => None,
                UpstreamIds::Listed(ids) => {
                    Some(format!("`{}` is known there as {}", self.client.id, quoted(ids)))
                }
            },
            refusal::TARGET_MISSING | refusal::TARGET_UNKNOWN => {
                let known = quoted(&self.client.resources);
                Some(format!("name one with --resource: `{}` may have {known}", self.client.id))
            }
            _ => None,
        }
    }

    fn issuer(&self) -> Option<&str> {
        self.token.as_ref().ok()?.issuer()
    }

    fn untrusted(&self) -> String {
        let issuer = self.issuer().unwrap_or_default();
        if self.law.upstreams.contains_key(issuer) {
            return "the signature does not verify under the given keys, or none has the token's \
                    `kid`"
                .to_owned();
        }
        let shown: String = issuer.chars().take(SHOWN_CHARS_MAX).collect();
        let known: Vec<String> = self.law.upstreams.keys().cloned().collect();
        format!("`iss` is `{}`; trusted here: {}", shown.escape_debug(), quoted(&known))
    }

    fn time(&self) -> String {
        let time = |name| {
            let value = self.token.as_ref().ok().and_then(|t| t.payload().get(name));
            value.and_then(Value::as_u64).map_or_else(|| "absent".to_owned(), |n| n.to_string())
        };
        let (issued, expires, now) = (time("iat"), time("exp"), self.now);
        format!("iat {issued}, exp {expires}, now {now}: --at rehearses another time")
    }

    fn fault(&self, fault: ProjectionFault) -> Option<String> {
        let rule = self.law.rules.get(fault.rule())?;
        let place = rule.from.first().map_or("", |pointer| pointer.as_str());
        let what = match fault {
            ProjectionFault::GroupOverage { .. } => {
                "the provider left the claim out and points elsewhere for it"
            }
            ProjectionFault::Required { .. } => {
                "a required claim is missing or has no acceptable value"
            }
        };
        Some(format!("the rule in line {} (`{place}`): {what}", rule.line))
    }
}

fn quoted(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
