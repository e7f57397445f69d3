//! The system's entropy: the only file of this crate's HTTP and auth parts that asks for random bytes.

/// Fresh random bytes that nobody can guess.
///
/// # Panics
/// When the system has no entropy source. Nothing may be signed or promised without one, so there is no going on.
#[must_use]
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the kernel hands out random bytes");
    bytes
}
