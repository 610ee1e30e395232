//! Digests by which a person or a login session is revoked: one for each region that reads them.
//!
//! A digest is HMAC-SHA-256 under the home region's digest key over labelled, length-prefixed
//! parts, cut to 16 bytes. Two readers' digests of one person have nothing in common, and without
//! the key nobody can test a guess: a bare hash of a subject would be found by trying them all.

use std::fmt;

use aws_lc_rs::hmac;

use crate::{
    ledger::{Fixed, Target},
    region::RegionNumber,
    subject::Subject,
};

/// Bytes that are left of an HMAC: as many as the ledger's rows have, and far beyond what could
/// meet by chance among all people of a federation.
const DIGEST_BYTES: usize = 16;

/// The digest key of a home region: whoever has it can test a guess about its people.
#[derive(Clone)]
pub struct DigestKey(hmac::Key);

/// A person or a service of a global issuer, as one region reads it. Pseudonymous: it is compared,
/// replicated when somebody is revoked, and never logged.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectDigest(Fixed<DIGEST_BYTES>);

/// A login session at a global issuer, as one region reads it. As pseudonymous as a
/// [`SubjectDigest`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionDigest(Fixed<DIGEST_BYTES>);

impl DigestKey {
    /// Takes 32 secret bytes.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// A person, for one reader.
    #[must_use]
    pub fn subject(&self, reader: RegionNumber, subject: &Subject<'_>) -> SubjectDigest {
        SubjectDigest(self.digest("subject", reader, subject))
    }

    /// A service, for one reader. It is apart from every person's digest, so that whoever can
    /// choose a name at the issuer cannot be revoked in a service's stead.
    #[must_use]
    pub fn service(&self, reader: RegionNumber, service: &Subject<'_>) -> SubjectDigest {
        SubjectDigest(self.digest("service", reader, service))
    }

    /// A login session, for one reader: `session.value` is the `sid` of `session.issuer`.
    #[must_use]
    pub fn session(&self, reader: RegionNumber, session: &Subject<'_>) -> SessionDigest {
        SessionDigest(self.digest("session", reader, session))
    }

    fn digest(&self, label: &str, reader: RegionNumber, of: &Subject<'_>) -> Fixed<DIGEST_BYTES> {
        let reader = reader.number().to_be_bytes();
        let tenant = of.tenant.unwrap_or_default();
        let parts: [&[u8]; 5] = [
            label.as_bytes(),
            &reader,
            of.issuer.as_bytes(),
            tenant.as_bytes(),
            of.value.as_bytes(),
        ];
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let tag = context.sign();
        let mut digest = [0; DIGEST_BYTES];
        for (byte, tag) in digest.iter_mut().zip(tag.as_ref()) {
            *byte = *tag;
        }
        Fixed(digest)
    }
}

impl SubjectDigest {
    /// Takes the bytes of a digest that was made before.
    #[must_use]
    pub const fn from_fixed(bytes: Fixed<DIGEST_BYTES>) -> Self {
        Self(bytes)
    }

    /// As the ledger has it.
    #[must_use]
    pub const fn fixed(self) -> Fixed<DIGEST_BYTES> {
        self.0
    }

    /// What is revoked to revoke this person or service at its reader.
    #[must_use]
    pub const fn target(self) -> Target {
        Target::Subject(self.0)
    }
}

impl SessionDigest {
    /// Takes the bytes of a digest that was made before.
    #[must_use]
    pub const fn from_fixed(bytes: Fixed<DIGEST_BYTES>) -> Self {
        Self(bytes)
    }

    /// As the ledger has it.
    #[must_use]
    pub const fn fixed(self) -> Fixed<DIGEST_BYTES> {
        self.0
    }

    /// What is revoked to revoke this session at its reader.
    #[must_use]
    pub const fn target(self) -> Target {
        Target::Session(self.0)
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestKey(redacted)")
    }
}

impl fmt::Debug for SubjectDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectDigest(redacted)")
    }
}

impl fmt::Debug for SessionDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionDigest(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: Subject<'_> =
        Subject { issuer: "https://login.example", tenant: None, value: "ada" };

    fn reader(number: u16) -> RegionNumber {
        RegionNumber::new(number).unwrap()
    }

    fn key() -> DigestKey {
        DigestKey::new(&[7; 32])
    }

    /// Computed apart from this program, over `u64be(len) ‖ part` for each part.
    #[test]
    fn digests_are_those_of_the_written_definition() {
        let tenant = Subject { tenant: Some("acme"), ..ADA };
        let subject = key().subject(reader(1), &ADA).fixed();
        let service = key().service(reader(1), &ADA).fixed();
        let session = key().session(reader(0x0102), &tenant).fixed();
        assert_eq!(subject.to_string(), "a6cab723554cf40910c06e700bd3c1bd");
        assert_eq!(service.to_string(), "ba0d29a0151132c6ab15153a66b4e496");
        assert_eq!(session.to_string(), "391e7003c510dd74a5a2ecd6505ecf84");
    }

    #[test]
    fn every_part_makes_another_digest() {
        let all = [
            key().subject(reader(1), &ADA).fixed(),
            key().subject(reader(2), &ADA).fixed(),
            key().service(reader(1), &ADA).fixed(),
            key().session(reader(1), &ADA).fixed(),
            DigestKey::new(&[8; 32]).subject(reader(1), &ADA).fixed(),
            key().subject(reader(1), &Subject { issuer: "https://login.exampl", ..ADA }).fixed(),
            key().subject(reader(1), &Subject { tenant: Some("a"), value: "da", ..ADA }).fixed(),
            key().subject(reader(1), &Subject { value: "adb", ..ADA }).fixed(),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(!all[at + 1..].contains(one), "digest {at}");
        }
        assert_eq!(all[0], key().subject(reader(1), &ADA).fixed());
    }

    #[test]
    fn a_byte_that_moves_from_one_part_to_the_next_makes_another_digest() {
        let of = |issuer, tenant, value| {
            key().subject(reader(1), &Subject { issuer, tenant: Some(tenant), value })
        };
        assert_ne!(of("ab", "c", "d"), of("a", "bc", "d"));
        assert_ne!(of("ab", "c", "d"), of("ab", "", "cd"));
        // No tenant and one without a name are the same: there is none without a name.
        let none = Subject { issuer: "a", tenant: None, value: "b" };
        assert_eq!(of("a", "", "b"), key().subject(reader(1), &none));
    }

    #[test]
    fn neither_key_nor_digest_is_printed() {
        let digest = key().subject(reader(1), &ADA);
        let session = key().session(reader(1), &ADA);
        assert_eq!(
            format!("{:?} {digest:?} {session:?}", key()),
            "DigestKey(redacted) SubjectDigest(redacted) SessionDigest(redacted)"
        );
    }
}
