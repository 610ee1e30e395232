//! The requests of the journey, one a function: each asks one endpoint or one command, and turns
//! an answer that is not as the standard says into an error.

use exequatur_federation::{
    jose::{JwkSet, UnverifiedJws},
    oauth::{GRANT_TOKEN_EXCHANGE, TokenType},
    token::RegionalToken,
};
use http::StatusCode;
use serde_json::{Map, Value};

use super::{
    configuration::{RESOURCE, SCOPE},
    http::{Answer, HttpError},
    journey::{Audit, Endpoints, Exchange, JourneyError, Refused, Regional, Traveller},
};

impl Traveller<'_> {
    pub(super) async fn discover(&self) -> Result<Endpoints, JourneyError> {
        let issuer = &self.layout.issuer;
        let url = format!("{issuer}/.well-known/openid-configuration");
        let answer = self.http.get(&url).await?.require(StatusCode::OK)?;
        let metadata = answer.object()?;
        if metadata.get("issuer").and_then(Value::as_str) != Some(issuer) {
            return Err(answer.without("the region's issuer").into());
        }
        // Metadata must not name a revocation endpoint without TLS (RFC 7009 section 2).
        let revocation = metadata.get("revocation_endpoint").and_then(Value::as_str);
        let revocation = revocation.map_or_else(|| format!("{issuer}/revoke"), str::to_owned);
        Ok(Endpoints {
            token: member(&answer, &metadata, "token_endpoint")?,
            introspection: member(&answer, &metadata, "introspection_endpoint")?,
            revocation,
            jwks: member(&answer, &metadata, "jwks_uri")?,
        })
    }

    pub(super) async fn mint(&self, form: &[(&str, &str)]) -> Result<String, JourneyError> {
        let answer = self.http.post(self.mint_url, None, form).await?.require(StatusCode::OK)?;
        Ok(answer.text()?.to_owned())
    }

    pub(super) async fn exchange(
        &self,
        at: &Endpoints,
        token: &str,
    ) -> Result<Exchange, JourneyError> {
        let started = self.seams.clock.monotonic();
        let answer = self.ask_for_token(at, token).await?;
        let took = self.seams.clock.monotonic().saturating_sub(started);
        let answer = answer.require(StatusCode::OK)?;
        let members = answer.object()?;
        let expires_in = members.get("expires_in").and_then(Value::as_u64);
        Ok(Exchange {
            access_token: member(&answer, &members, "access_token")?,
            issued_token_type: member(&answer, &members, "issued_token_type")?,
            token_type: member(&answer, &members, "token_type")?,
            expires_in: expires_in.ok_or_else(|| answer.without("expires_in"))?,
            scope: member(&answer, &members, "scope")?,
            took,
        })
    }

    pub(super) async fn refused(
        &self,
        at: &Endpoints,
        token: &str,
    ) -> Result<Refused, JourneyError> {
        let answer = self.ask_for_token(at, token).await?.require(StatusCode::BAD_REQUEST)?;
        let members = answer.object()?;
        let error_uri = member(&answer, &members, "error_uri")?;
        let home_issuer = members.get("home_issuer").and_then(Value::as_str);
        Ok(Refused {
            status: answer.status,
            error: member(&answer, &members, "error")?,
            // The stable id stands at the end, where libraries that keep three members have it.
            error_id: error_uri.rsplit('/').next().unwrap_or_default().to_owned(),
            description: member(&answer, &members, "error_description")?,
            request_id: member(&answer, &members, "request_id")?,
            home_issuer: home_issuer.map(str::to_owned),
        })
    }

    async fn ask_for_token(
        &self,
        at: &Endpoints,
        subject_token: &str,
    ) -> Result<Answer, HttpError> {
        let form = [
            ("grant_type", GRANT_TOKEN_EXCHANGE),
            ("subject_token", subject_token),
            ("subject_token_type", TokenType::AccessToken.urn()),
            ("resource", RESOURCE),
            ("scope", SCOPE),
        ];
        self.http.post(&at.token, Some(&self.clients.gateway), &form).await
    }

    /// Verifies the regional token as a service would, with nothing but the published keys.
    pub(super) async fn verify(
        &self,
        at: &Endpoints,
        token: &str,
    ) -> Result<Regional, JourneyError> {
        let answer = self.http.get(&at.jwks).await?.require(StatusCode::OK)?;
        let keys = JwkSet::parse(&answer.body).map_err(|e| unverified("regional", &e))?;
        let jws = UnverifiedJws::parse(token).map_err(|e| unverified("regional", &e))?;
        let verified = RegionalToken::verify(&jws, &keys, &self.layout.issuer)
            .ok_or_else(|| unverified("regional", &"type, issuer, key or signature is wrong"))?;
        if verified.audience() != RESOURCE {
            return Err(unverified("regional", &"it is for another resource"));
        }
        if verified.expires() <= self.seams.clock.now() {
            return Err(unverified("regional", &"it has expired"));
        }
        Ok(Regional {
            claims: verified.payload().clone(),
            kid: jws.kid().unwrap_or_default().to_owned(),
            algorithm: jws.claimed_algorithm().as_str(),
        })
    }

    pub(super) async fn introspect(
        &self,
        at: &Endpoints,
        token: &str,
        (expected, when): (bool, &'static str),
    ) -> Result<Map<String, Value>, JourneyError> {
        let form = [("token", token)];
        let answer = self.http.post(&at.introspection, Some(&self.clients.api), &form).await?;
        let members = answer.require(StatusCode::OK)?.object()?;
        let got = members.get("active").cloned().unwrap_or_default();
        if got == expected {
            return Ok(members);
        }
        Err(JourneyError::State { got: got.to_string(), expected, when })
    }

    pub(super) async fn revoke(&self, at: &Endpoints, token: &str) -> Result<(), JourneyError> {
        let form = [("token", token)];
        let answer = self.http.post(&at.revocation, Some(&self.clients.gateway), &form).await?;
        answer.require(StatusCode::OK)?;
        Ok(())
    }

    pub(super) async fn audit(&self, token_id: Option<&Value>) -> Result<Audit, JourneyError> {
        let shown = self.program.report(&["audit", "show"]).await?;
        let recorded = |record: &&Value| {
            record.get("event").is_some_and(|event| event == "token_authorized")
                && record.get("token_id") == token_id
        };
        let mut records = shown.list("records")?.iter().filter_map(|entry| entry.get("record"));
        let record = records.rfind(recorded).and_then(Value::as_object);
        let record = record.cloned().ok_or(JourneyError::Unrecorded)?;
        let report = self.program.report(&["audit", "verify"]).await?;
        let root = report.text("root")?.to_owned();
        Ok(Audit { records: report.count("records")?, root, record })
    }
}

fn member(
    answer: &Answer,
    members: &Map<String, Value>,
    name: &'static str,
) -> Result<String, HttpError> {
    let text = members.get(name).and_then(Value::as_str);
    text.map(str::to_owned).ok_or_else(|| answer.without(name))
}

/// The claims of the global token. The region verifies it; here it is only shown.
pub(super) fn global_claims(token: &str) -> Result<Map<String, Value>, JourneyError> {
    let jws = UnverifiedJws::parse(token).map_err(|error| unverified("global", &error))?;
    Ok(jws.into_payload())
}

fn unverified(whose: &'static str, reason: &dyn std::fmt::Display) -> JourneyError {
    JourneyError::Unverified { whose, reason: reason.to_string() }
}

#[cfg(test)]
#[path = "requests_test.rs"]
mod tests;
