use crate::error::Fault;

/// Where nonces come from; injected, so that a conversation can be replayed.
///
/// The padding of RSA blocks and signatures is not drawn from here: the cryptographic library draws it itself.
pub trait RandomSource: Send + Sync {
    /// Fills `bytes` with numbers nobody can predict.
    ///
    /// # Errors
    /// [`Fault::Random`] when there are none.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Fault>;
}

/// The generator of the cryptographic library, seeded by the operating system.
///
/// Its first use in a process costs some 30 ms for seeding.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has nothing to configure")]
pub struct SystemRandom;

impl RandomSource for SystemRandom {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Fault> {
        aws_lc_rs::rand::fill(bytes).map_err(|_| Fault::Random)
    }
}
