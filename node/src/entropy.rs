//! The entropy seam: the only place that draws randomness. The simulator seeds its own.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};

/// A source of unpredictable bytes.
pub trait Entropy: Send + Sync {
    /// Fills `bytes`.
    ///
    /// # Errors
    /// The source cannot deliver; nothing may be issued then.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError>;
}

/// The source of randomness failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system's source of randomness failed")]
pub struct EntropyError;

/// `N` unpredictable bytes.
///
/// # Errors
/// See [`Entropy::fill`].
pub fn draw<const N: usize>(entropy: &dyn Entropy) -> Result<[u8; N], EntropyError> {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes)?;
    Ok(bytes)
}

/// The operating system's source, by way of aws-lc-rs.
#[derive(Debug, Default)]
pub struct SystemEntropy(SystemRandom);

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        self.0.fill(bytes).map_err(|_| EntropyError)
    }
}
