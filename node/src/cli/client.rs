//! `exequatur client secret`: makes a secret for a client that cannot sign.

use clap::Subcommand;
use exequatur_federation::{
    authenticate::SECRET_CHARS, client::SecretHash, config::secret_hash_text,
};
use serde::Serialize;
use zeroize::Zeroizing;

use super::{CliError, Output};
use crate::entropy::{Entropy, EntropyError, SystemEntropy, draw};

/// Characters of a secret.
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Make credentials for clients.
#[derive(Debug, Subcommand)]
pub(super) enum Client {
    /// Print a new secret, once, and the line for the region file, which holds only its hash.
    Secret,
}

#[derive(Serialize)]
struct NewSecret<'a> {
    client_secret: &'a str,
    secret_sha256: String,
}

impl Client {
    pub(super) fn run(&self, output: &mut Output<'_>) -> Result<(), CliError> {
        match self {
            Self::Secret => secret(output),
        }
    }
}

fn secret(output: &mut Output<'_>) -> Result<(), CliError> {
    let entropy = SystemEntropy::default();
    let secret = new_secret(&entropy).map_err(|e| CliError::local(&e))?;
    let salt = draw(&entropy).map_err(|e| CliError::local(&e))?;
    let new = NewSecret {
        client_secret: &secret,
        secret_sha256: secret_hash_text(&SecretHash::of(salt, &secret)),
    };
    output.result(&new, |out| {
        writeln!(out, "Give this to the client; it is shown this once:")?;
        writeln!(out, "  {}", new.client_secret)?;
        writeln!(out, "Put this into the client's table in the region file:")?;
        writeln!(out, "  auth = {{ secret_sha256 = [\"{}\"] }}", new.secret_sha256)
    })?;
    Ok(())
}

/// 43 characters of 62: 256 bits.
pub(crate) fn new_secret(entropy: &dyn Entropy) -> Result<Zeroizing<String>, EntropyError> {
    let mut secret = Zeroizing::new(String::with_capacity(SECRET_CHARS));
    while secret.len() < SECRET_CHARS {
        let byte = draw::<1>(entropy)?[0];
        // Bytes of the last, incomplete round of 62 would make some characters likelier.
        if byte < 248
            && let Some(character) = BASE62.get(usize::from(byte % 62))
        {
            secret.push(char::from(*character));
        }
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_secret_is_one_that_authentication_accepts() {
        let secret = new_secret(&SystemEntropy::default()).unwrap();
        assert_eq!(secret.len(), SECRET_CHARS);
        assert!(secret.bytes().all(|b| b.is_ascii_alphanumeric()));
        assert_ne!(secret, new_secret(&SystemEntropy::default()).unwrap());
    }
}
