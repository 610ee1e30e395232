//! The text form of a client secret's hash: `sha256:<salt>:<hash>`, salt (16 bytes) and hash
//! (32 bytes) in base64url without padding.

use crate::{
    client::SecretHash,
    jose::{base64url, from_base64url},
};

const PREFIX: &str = "sha256";

/// A text that is no hash of a secret. The text is not shown: it may be the secret itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text is no hash of a secret: expected sha256:<salt>:<hash>")]
pub struct SecretHashError;

/// Reads the text form.
///
/// # Errors
/// The text has another form.
pub fn parse_secret_hash(text: &str) -> Result<SecretHash, SecretHashError> {
    let mut parts = text.split(':');
    let (Some(PREFIX), Some(salt), Some(hash), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(SecretHashError);
    };
    let salt = from_base64url(salt).and_then(|b| b.try_into().ok());
    let hash = from_base64url(hash).and_then(|b| b.try_into().ok());
    match (salt, hash) {
        (Some(salt), Some(hash)) => Ok(SecretHash { salt, hash }),
        _ => Err(SecretHashError),
    }
}

/// Writes the text form.
#[must_use]
pub fn secret_hash_text(hash: &SecretHash) -> String {
    format!("{PREFIX}:{}:{}", base64url(&hash.salt), base64url(&hash.hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let hash = SecretHash { salt: [1; 16], hash: [2; 32] };
        assert!(parse_secret_hash(&secret_hash_text(&hash)).unwrap() == hash);
    }

    #[test]
    fn refuses_other_forms_without_showing_them() {
        for text in ["", "hunter2", "sha256:AA:AA", "md5:x:y", "sha256:x", "sha256:::"] {
            let error = parse_secret_hash(text).unwrap_err();
            assert!(text.is_empty() || !error.to_string().contains("hunter2"));
        }
        let long = format!("{}:", secret_hash_text(&SecretHash { salt: [1; 16], hash: [2; 32] }));
        assert!(parse_secret_hash(&long).is_err());
    }
}
