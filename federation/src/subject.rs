//! People without their names: pairwise pseudonyms under a residency's key.
//!
//! A pseudonym is HMAC-SHA-256 over labelled, length-prefixed parts, so that no two uses of the
//! key and no two splits of the same bytes give the same input. The key comes from outside.

use std::fmt;

use aws_lc_rs::hmac;

use crate::jose::base64url;

/// The pairwise key of a residency: whoever has it can test a guess about a person.
#[derive(Clone)]
pub struct PairwiseKey(hmac::Key);

/// Whom a pseudonym stands for.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The exact issuer of the global token.
    pub issuer: &'a str,
    /// The tenant of that issuer, where it has several.
    pub tenant: Option<&'a str>,
    /// The subject's value at that issuer.
    pub value: &'a str,
}

impl PairwiseKey {
    /// Takes 32 secret bytes.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The `sub` of a person for services of one sector: 43 characters of base64url.
    #[must_use]
    pub fn subject(&self, sector: &str, subject: &Subject<'_>) -> String {
        self.pseudonym(&["sub", sector, subject.issuer, subject.tenant_or_none(), subject.value])
    }

    /// A stand-in for a claim's value that joins only within one person.
    #[must_use]
    pub fn claim_of_subject(&self, name: &str, subject: &Subject<'_>, value: &str) -> String {
        let tenant = subject.tenant_or_none();
        self.pseudonym(&["claim", name, subject.issuer, tenant, subject.value, value])
    }

    /// A stand-in for a claim's value that joins everybody of `subject`'s issuer and tenant who has
    /// this value.
    #[must_use]
    pub fn claim_of_region(&self, name: &str, subject: &Subject<'_>, value: &str) -> String {
        self.pseudonym(&["region-claim", name, subject.issuer, subject.tenant_or_none(), value])
    }

    fn pseudonym(&self, parts: &[&str]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        base64url(context.sign().as_ref())
    }
}

impl Subject<'_> {
    const fn tenant_or_none(&self) -> &str {
        match self.tenant {
            Some(tenant) => tenant,
            None => "",
        }
    }
}

impl fmt::Debug for PairwiseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairwiseKey(redacted)")
    }
}

impl fmt::Debug for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subject(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: Subject<'_> =
        Subject { issuer: "https://login.example", tenant: None, value: "ada" };

    #[test]
    fn a_person_has_one_pseudonym_a_sector_and_another_in_the_next() {
        let key = PairwiseKey::new(&[7; 32]);
        assert_eq!(key.subject("shop", &ADA), key.subject("shop", &ADA));
        assert_ne!(key.subject("shop", &ADA), key.subject("bank", &ADA));
        assert_ne!(key.subject("shop", &ADA), PairwiseKey::new(&[8; 32]).subject("shop", &ADA));
        assert_eq!(key.subject("shop", &ADA).len(), 43);
    }

    #[test]
    fn moving_a_byte_from_one_part_to_the_next_changes_the_pseudonym() {
        let key = PairwiseKey::new(&[7; 32]);
        let of = |name, value| key.claim_of_region(name, &ADA, value);
        assert_ne!(of("ab", "c"), of("a", "bc"));
        assert_ne!(of("ab", "c"), key.claim_of_subject("ab", &ADA, "c"));
        let tenant = Subject { tenant: Some("t"), ..ADA };
        assert_ne!(key.subject("s", &ADA), key.subject("s", &tenant));
    }
}
