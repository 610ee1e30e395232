//! What the region's rules do to one token, asked of the very files that the region runs with and
//! of the very function that it decides with. Only steps are taken over, never values: what a rule
//! released is read from the regional token.

use std::path::Path;

use exequatur_federation::{
    claims::GlobalClaims,
    config::{Compiled, Diagnostic, SourceFile, compile},
    residency::{Cause, ProjectionFault, ProjectionInput, Step, explain},
    subject::{PairwiseKey, Subject},
};
use serde_json::{Map, Value};

use super::files::Layout;
use crate::{
    entropy::{EntropyError, draw},
    node::Seams,
};

/// Why the rules cannot be explained.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// No randomness for the stand-in of the region's key.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The files that the demo wrote are refused.
    #[error("the demo's configuration is refused:{}", listed(.0))]
    Configuration(Vec<Diagnostic>),
    /// The token's claims do not satisfy a rule.
    #[error("the demo's token does not satisfy a rule")]
    Projection(#[from] ProjectionFault),
    /// A file cannot be read.
    #[error("`{path}` cannot be read")]
    Read {
        /// Which file.
        path: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The token is of an issuer that the files do not name.
    #[error("the demo's configuration does not name the token's issuer")]
    Upstream,
}

/// What happened to each claim of a global token: the rules in the order of the file, then the
/// claims that no rule names.
///
/// # Errors
/// See [`RulesError`].
pub(crate) fn steps(
    layout: &Layout,
    claims: &Map<String, Value>,
    seams: &Seams,
) -> Result<Vec<Step>, RulesError> {
    let law = compiled(layout)?.law;
    let text = |name| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    let upstream = law.upstreams.get(text("iss")).ok_or(RulesError::Upstream)?;
    // The region's own key never leaves it, and whether a rule releases something does not depend
    // on a key.
    let stand_in = PairwiseKey::new(&draw(seams.entropy.as_ref())?);
    let input = ProjectionInput {
        upstream: &upstream.name,
        subject: Subject { issuer: &upstream.issuer, tenant: None, value: text("sub") },
        pairwise: &stand_in,
        now: seams.clock.now(),
    };
    let claims = GlobalClaims::new(claims.clone());
    let explanation = explain(&law.rules, &claims, &input);
    explanation.fault.map_or(Ok(explanation.steps), |fault| Err(fault.into()))
}

/// What was done to a claim, in a word or two.
pub(crate) fn described(step: &Step) -> &'static str {
    match (step.rule, step.cause) {
        (Some(_), _) => step.action,
        (None, Some(Cause::Protocol)) => "protocol",
        (None, _) => "drop",
    }
}

fn compiled(layout: &Layout) -> Result<Compiled, RulesError> {
    let region = source(&layout.config, "region.toml")?;
    let federation = source(&layout.federation, "federation.toml")?;
    let read = |path: &str| std::fs::read(path).map_err(|error| error.to_string());
    compile(&region, &federation, &read).map_err(RulesError::Configuration)
}

fn source(path: &Path, name: &str) -> Result<SourceFile, RulesError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(SourceFile { name: name.to_owned(), text }),
        Err(source) => Err(RulesError::Read { path: path.display().to_string(), source }),
    }
}

fn listed(findings: &[Diagnostic]) -> String {
    findings.iter().map(|finding| format!("\n{finding}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::demo::testing::{seams, written};

    const ISSUER: &str = "http://127.0.0.1:1/realms/global";

    fn claims(issuer: &str) -> Map<String, Value> {
        let claims = json!({
            "iss": issuer, "sub": "s", "sid": "x", "name": "Demo Person",
            "email": "demo.person@example.com", "email_verified": true, "phone_number": "+49",
            "realm_access": { "roles": ["reader", "unlisted"] },
        });
        claims.as_object().unwrap().clone()
    }

    #[test]
    fn the_files_compile_with_tls_and_without_and_warn_of_nothing() {
        for plain_http in [false, true] {
            let outer = tempfile::tempdir().unwrap();
            for layout in written(outer.path(), plain_http) {
                let compiled = compiled(&layout).unwrap();
                assert_eq!(compiled.law.issuer, layout.issuer);
                assert!(compiled.warnings.is_empty(), "{}", listed(&compiled.warnings));
            }
        }
    }

    #[test]
    fn every_claim_is_explained_with_the_line_of_its_rule() {
        let outer = tempfile::tempdir().unwrap();
        let layout = &written(outer.path(), false)[0];
        let file = std::fs::read_to_string(&layout.config).unwrap();
        let steps = steps(layout, &claims(ISSUER), &seams()).unwrap();
        let of = |claim: &str| steps.iter().find(|s| s.claim == claim).unwrap();
        for (claim, action) in [
            ("/email", "coarsen to email-domain"),
            ("/realm_access/roles", "map"),
            ("/name", "drop"),
            ("/phone_number", "drop"),
            ("/sid", "protocol"),
        ] {
            assert_eq!(described(of(claim)), action, "{claim}");
        }
        let line = of("/email").line.unwrap();
        let rule: Vec<&str> = file.lines().skip(line - 1).take(2).collect();
        assert!(rule[0].starts_with("[[claim]]") && rule[1].contains("\"/email\""), "{rule:?}");
        assert_eq!(of("/phone_number").line, None);
    }

    #[test]
    fn a_token_of_another_issuer_is_not_explained() {
        let outer = tempfile::tempdir().unwrap();
        let layout = &written(outer.path(), false)[0];
        let error = steps(layout, &claims("http://127.0.0.1:2"), &seams()).unwrap_err();
        assert!(matches!(error, RulesError::Upstream), "{error}");
    }
}
