//! Passwords: argon2id, off the runtime's threads, a few at a time.
//!
//! Invariant: a login takes the same work whether the user exists or not. Hashing takes 19 MiB and tens of
//! milliseconds each, so how many run and how many wait is bounded; past that the caller is told to come back.

use std::sync::Arc;

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use fogline_core::record::PasswordHash;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

use super::entropy::random_bytes;

/// The shortest password that is accepted for a user (NIST SP 800-63B, section 5.1.1.2).
pub const MIN_PASSWORD_BYTES: usize = 8;
/// The longest.
pub const MAX_PASSWORD_BYTES: usize = 1_024;

/// Hashes that may wait for their turn.
const MAX_WAITING: usize = 64;

/// Why a password could not be hashed or checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message says it")]
pub enum HashError {
    #[error("too many logins at once: try again in a second")]
    Busy,
    #[error("the password could not be hashed")]
    Failed,
}

/// Hashes and checks passwords.
#[derive(Clone)]
pub struct Passwords {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// What a login of nobody is checked against.
    nobody: Arc<str>,
}

/// The parameters of OWASP's password storage cheat sheet: 19 MiB, two passes, one lane.
fn argon2() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default())
}

/// Hashes on this thread; takes tens of milliseconds. For the start, before anything is served.
///
/// # Errors
/// When there is no memory for it.
pub fn hash_password(password: &SecretString) -> Result<PasswordHash, HashError> {
    let salt: [u8; 16] = random_bytes();
    let hash: phc::PasswordHash =
        argon2().hash_password_with_salt(password.expose_secret().as_bytes(), &salt).map_err(|_| HashError::Failed)?;
    Ok(PasswordHash::new(hash.to_string()))
}

impl Passwords {
    /// With as many at a time as there are cores.
    ///
    /// # Errors
    /// When there is no memory for a single hash.
    pub fn new() -> Result<Self, HashError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let nobody = hash_password(&SecretString::from(super::refresh::hex(&random_bytes::<16>())))?;
        Ok(Self {
            running: Arc::new(Semaphore::new(cores)),
            waiting: Arc::new(Semaphore::new(MAX_WAITING)),
            nobody: nobody.expose().into(),
        })
    }

    /// Hashes a new password.
    ///
    /// # Errors
    /// When too many wait already.
    pub async fn hash(&self, password: SecretString) -> Result<PasswordHash, HashError> {
        self.run(move || hash_password(&password)).await?
    }

    /// Whether `password` is the one that `hash` was made of. Without a hash: false, after the same work.
    ///
    /// # Errors
    /// When too many wait already.
    pub async fn check(&self, hash: Option<PasswordHash>, password: SecretString) -> Result<bool, HashError> {
        let nobody = self.nobody.clone();
        self.run(move || {
            let against = hash.as_ref().map_or(&*nobody, PasswordHash::expose);
            let matches = argon2().verify_password(password.expose_secret().as_bytes(), against).is_ok();
            matches && hash.is_some()
        })
        .await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, HashError> {
        let _place = self.waiting.try_acquire().map_err(|_| HashError::Busy)?;
        let turn = self.running.clone().acquire_owned().await.map_err(|_| HashError::Failed)?;
        // The turn goes with the work: a caller that hangs up does not make room for one more while its hash runs on.
        tokio::task::spawn_blocking(move || {
            let result = work();
            drop(turn);
            result
        })
        .await
        .map_err(|_| HashError::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_matches_its_own_hash_only() {
        let passwords = Passwords::new().expect("hashes");
        let hash = passwords.hash("correct horse".into()).await.expect("hashes");
        assert!(hash.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.expose());
        assert_eq!(passwords.check(Some(hash.clone()), "correct horse".into()).await, Ok(true));
        assert_eq!(passwords.check(Some(hash.clone()), "wrong horse".into()).await, Ok(false));
        assert_eq!(passwords.check(None, "correct horse".into()).await, Ok(false));
        let again = passwords.hash("correct horse".into()).await.expect("hashes");
        assert_ne!(hash, again, "salted");
    }

    #[tokio::test]
    async fn a_broken_hash_matches_nothing() {
        let passwords = Passwords::new().expect("hashes");
        for broken in ["", "admin", "$argon2id$v=19$m=19456,t=2,p=1$"] {
            let hash = Some(PasswordHash::new(broken.to_owned()));
            assert_eq!(passwords.check(hash, broken.into()).await, Ok(false), "{broken:?}");
        }
    }
}
