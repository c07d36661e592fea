use std::panic::resume_unwind;
use std::sync::Arc;

use argon2::password_hash::Error as PhcError;
use argon2::{ARGON2ID_IDENT, Argon2, PasswordHash as Phc, PasswordHasher, PasswordVerifier};
use async_trait::async_trait;
use encore_domain::identity::{Password, PasswordHash};
use encore_domain::ports::{HashingError, Passwords};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// How many calls may wait per core that hashes: about four seconds of work, after which most callers have timed out.
pub const WAITING_PER_CORE_MAX: usize = 64;

/// Argon2id with the parameters that OWASP recommends. Hashes are PHC strings, which contain their parameters, so that hashes with
/// older parameters still verify.
#[derive(Debug)]
pub struct Argon2Passwords {
    /// Calls that hash or wait.
    calls: Arc<Semaphore>,
    /// Calls that hash.
    cores: Arc<Semaphore>,
}

impl Argon2Passwords {
    /// Computes at most `parallel` hashes at once (at least one), each on one core and in 19 MiB.
    pub fn new(parallel: usize) -> Self {
        let cores = parallel.max(1);
        let calls = cores.saturating_mul(1 + WAITING_PER_CORE_MAX).min(Semaphore::MAX_PERMITS);
        Self { calls: Arc::new(Semaphore::new(calls)), cores: Arc::new(Semaphore::new(cores.min(calls))) }
    }

    /// Runs work on the blocking pool once a core is free. The work holds its core until it ends, even if the caller has been
    /// dropped.
    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, HashingError> + Send + 'static,
    ) -> Result<T, HashingError> {
        let call = Arc::clone(&self.calls).try_acquire_owned().map_err(|_| HashingError::Overloaded)?;
        let core = Arc::clone(&self.cores).acquire_owned().await.map_err(|_| HashingError::Overloaded)?;
        let done = spawn_blocking(move || {
            let _held = (call, core);
            work()
        });
        match done.await {
            Ok(result) => result,
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            // The runtime is shutting down. A retry reaches another instance.
            Err(_) => Err(HashingError::Overloaded),
        }
    }
}

#[async_trait]
impl Passwords for Argon2Passwords {
    async fn hash(&self, password: &Password) -> Result<PasswordHash, HashingError> {
        let password = password.clone();
        self.in_turn(move || hash(&password)).await
    }

    async fn verify(&self, password: &Password, hash: &PasswordHash) -> Result<bool, HashingError> {
        let (password, hash) = (password.clone(), hash.clone());
        self.in_turn(move || verify(&password, &hash)).await
    }
}

/// Hashing a valid password fails only if the machine is out of memory or has no randomness.
fn hash(password: &Password) -> Result<PasswordHash, HashingError> {
    let hash: Phc =
        Argon2::default().hash_password(password.expose().as_bytes()).map_err(|_| HashingError::Overloaded)?;
    Ok(PasswordHash(hash.to_string()))
}

fn verify(password: &Password, hash: &PasswordHash) -> Result<bool, HashingError> {
    let stored = Phc::new(&hash.0).map_err(|_| HashingError::Unreadable)?;
    if stored.algorithm != ARGON2ID_IDENT || stored.salt.is_none() || stored.hash.is_none() {
        return Err(HashingError::Unreadable);
    }
    match Argon2::default().verify_password(password.expose().as_bytes(), &stored) {
        Ok(()) => Ok(true),
        Err(PhcError::PasswordInvalid) => Ok(false),
        Err(PhcError::OutOfMemory) => Err(HashingError::Overloaded),
        Err(_) => Err(HashingError::Unreadable),
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Future, poll_fn};
    use std::pin::{Pin, pin};
    use std::task::Poll;

    use super::*;

    fn password(text: &str) -> Password {
        Password::parse(text).expect("a password")
    }

    /// Polls the work once.
    async fn poll_once<T>(mut work: Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Poll<T> {
        poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await
    }

    #[tokio::test]
    async fn a_hash_verifies_the_password_it_was_made_from_and_no_other() {
        let passwords = Argon2Passwords::new(2);
        let hash = passwords.hash(&password("correct horse")).await.expect("hashed");
        assert_eq!(passwords.verify(&password("correct horse"), &hash).await, Ok(true));
        assert_eq!(passwords.verify(&password("correct horsf"), &hash).await, Ok(false));
        assert!(hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "the parameters travel with the hash");
    }

    #[tokio::test]
    async fn the_same_password_hashes_differently_each_time() {
        let passwords = Argon2Passwords::new(2);
        let password = password("correct horse");
        assert_ne!(passwords.hash(&password).await, passwords.hash(&password).await);
    }

    #[tokio::test]
    async fn a_hash_of_older_parameters_still_verifies() {
        let params = argon2::Params::new(64, 1, 1, None).expect("small parameters");
        let old: Phc = Argon2::from(params).hash_password(b"correct horse").expect("hashed");
        let verified = Argon2Passwords::new(1).verify(&password("correct horse"), &PasswordHash(old.to_string())).await;
        assert_eq!(verified, Ok(true));
    }

    #[tokio::test]
    async fn a_hash_of_another_algorithm_is_unreadable() {
        let passwords = Argon2Passwords::new(1);
        let foreign = [
            "",
            "correct horse",
            "$2b$12$abcdefghijklmnopqrstuv",
            "$argon2id$v=19$m=19456,t=2,p=1",
            "$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG",
        ];
        for text in foreign {
            let verified = passwords.verify(&password("correct horse"), &PasswordHash(text.into())).await;
            assert_eq!(verified, Err(HashingError::Unreadable), "{text:?}");
        }
    }

    #[tokio::test]
    async fn a_call_waits_until_a_core_is_free() {
        let passwords = Argon2Passwords::new(1);
        let core = Arc::clone(&passwords.cores).try_acquire_owned().expect("the only core");
        let password = password("correct horse");
        let mut hashing = pin!(passwords.hash(&password));
        assert!(poll_once(hashing.as_mut()).await.is_pending());
        drop(core);
        assert!(hashing.await.is_ok());
    }

    #[tokio::test]
    async fn a_call_beyond_the_waiting_limit_is_refused() {
        let passwords = Argon2Passwords::new(1);
        let _core = passwords.cores.try_acquire().expect("the only core");
        let password = password("correct horse");
        let mut waiting: Vec<_> = (0..=WAITING_PER_CORE_MAX).map(|_| passwords.hash(&password)).collect();
        for hashing in &mut waiting {
            assert!(poll_once(hashing.as_mut()).await.is_pending());
        }
        assert_eq!(poll_once(passwords.hash(&password).as_mut()).await, Poll::Ready(Err(HashingError::Overloaded)));
        waiting.pop();
        assert!(poll_once(passwords.hash(&password).as_mut()).await.is_pending(), "a dropped call frees its place");
    }
}
