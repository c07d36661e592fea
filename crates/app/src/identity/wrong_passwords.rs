//! How often an account was tried with wrong passwords from an address. After a few, each further try must wait, twice as long each
//! time. It counts by account and address together, so a stranger with another address locks nobody out. Behind a proxy or a BFF
//! all have one address.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use encore_domain::identity::Email;
use encore_domain::time::Timestamp;
use moka::sync::Cache;

/// How many wrong passwords cost no wait: mistakes of a person.
const FREE_TRIES: u32 = 5;
/// The wait after the next one.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_mins(15);
/// How long wrong passwords are remembered after the last one. Longer than the longest wait.
const REMEMBERED_FOR: Duration = Duration::from_hours(1);
/// Of how many accounts and addresses they are remembered. Each takes about 200 bytes, and costs a guesser a password hash.
const REMEMBERED_MAX: u64 = 100_000;

/// The wrong passwords of all accounts and addresses. Clones share them.
#[derive(Clone)]
pub(super) struct WrongPasswords(Cache<(String, Option<IpAddr>), Arc<Mutex<Tries>>>);

#[derive(Default)]
struct Tries {
    /// Wrong ones, and those that are being checked: they count as wrong until they are known to be right.
    counted: u32,
    /// Those that are being checked.
    open: u32,
    /// No further try is checked before.
    not_before: Option<Timestamp>,
}

/// A try that counts as wrong unless it is [`right`](Self::right) or was not checked.
pub(super) struct Try {
    tries: Arc<Mutex<Tries>>,
    is_checked: bool,
}

/// The try must wait.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MustWait(pub(super) Duration);

impl WrongPasswords {
    pub(super) fn new() -> Self {
        Self(Cache::builder().max_capacity(REMEMBERED_MAX).time_to_idle(REMEMBERED_FOR).build())
    }

    /// Whether a try may begin.
    pub(super) fn check(&self, email: &Email, address: Option<IpAddr>, now: Timestamp) -> Result<(), MustWait> {
        let tries = self.0.get(&(email.as_str().to_owned(), address));
        let wait = tries.and_then(|tries| lock(&tries).wait(now));
        wait.map_or(Ok(()), |wait| Err(MustWait(wait)))
    }

    /// Begins a try, whose password is checked now.
    pub(super) fn begin(&self, email: &Email, address: Option<IpAddr>, now: Timestamp) -> Result<Try, MustWait> {
        let tries = self.0.get_with((email.as_str().to_owned(), address), Arc::default);
        {
            let mut tries = lock(&tries);
            if let Some(wait) = tries.wait(now) {
                return Err(MustWait(wait));
            }
            tries.counted += 1;
            tries.open += 1;
        }
        Ok(Try { tries, is_checked: false })
    }
}

impl Tries {
    fn wait(&self, now: Timestamp) -> Option<Duration> {
        let until = self.not_before.and_then(|until| (until - now).to_std().ok()).filter(|wait| !wait.is_zero());
        // Tries at once must not be more than those one after the other.
        until.or_else(|| (self.counted >= FREE_TRIES && self.open > 0).then_some(FIRST_WAIT))
    }
}

impl Try {
    /// The password was right. What was counted before is forgotten.
    pub(super) fn right(mut self) {
        self.is_checked = true;
        let mut tries = lock(&self.tries);
        tries.open -= 1;
        tries.counted = tries.open;
        tries.not_before = None;
    }

    /// The password was wrong.
    pub(super) fn wrong(mut self, now: Timestamp) {
        self.is_checked = true;
        let mut tries = lock(&self.tries);
        tries.open -= 1;
        if let Some(beyond) = tries.counted.checked_sub(FREE_TRIES) {
            let wait = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(beyond)).min(LONGEST_WAIT);
            tries.not_before = Some(now + wait);
        }
    }
}

impl Drop for Try {
    fn drop(&mut self) {
        if !self.is_checked {
            let mut tries = lock(&self.tries);
            tries.open -= 1;
            tries.counted -= 1;
        }
    }
}

fn lock(tries: &Mutex<Tries>) -> MutexGuard<'_, Tries> {
    tries.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)));
    const ELSEWHERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2)));

    fn email(text: &str) -> Email {
        Email::parse(text).expect("an address")
    }

    #[test]
    fn each_wrong_password_beyond_a_few_doubles_the_wait() {
        let (wrong, operator, mut now) = (WrongPasswords::new(), email("operator@example.com"), Timestamp::UNIX_EPOCH);
        for _ in 0..FREE_TRIES {
            wrong.begin(&operator, HERE, now).expect("no wait").wrong(now);
        }
        for expected in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900] {
            let wait = wrong.begin(&operator, HERE, now).err().expect("a wait");
            assert_eq!(wait, MustWait(Duration::from_secs(expected)));
            now += wait.0;
            wrong.begin(&operator, HERE, now).expect("no wait").wrong(now);
        }
    }

    #[test]
    fn a_guesser_locks_nobody_out_elsewhere_and_no_other_account() {
        let (wrong, operator, now) = (WrongPasswords::new(), email("operator@example.com"), Timestamp::UNIX_EPOCH);
        for _ in 0..FREE_TRIES {
            wrong.begin(&operator, HERE, now).expect("no wait").wrong(now);
        }
        assert!(wrong.begin(&operator, HERE, now).is_err());
        assert!(wrong.begin(&operator, ELSEWHERE, now).is_ok());
        assert!(wrong.begin(&email("fan@example.com"), HERE, now).is_ok());
    }

    #[test]
    fn a_right_password_forgets_the_wrong_ones() {
        let (wrong, fan, now) = (WrongPasswords::new(), email("fan@example.com"), Timestamp::UNIX_EPOCH);
        for _ in 1..FREE_TRIES {
            wrong.begin(&fan, HERE, now).expect("no wait").wrong(now);
        }
        wrong.begin(&fan, HERE, now).expect("no wait").right();
        for _ in 0..FREE_TRIES {
            wrong.begin(&fan, HERE, now).expect("no wait").wrong(now);
        }
        assert!(wrong.begin(&fan, HERE, now).is_err());
    }

    #[test]
    fn guesses_at_once_are_no_more_than_guesses_one_after_the_other() {
        let (wrong, fan, now) = (WrongPasswords::new(), email("fan@example.com"), Timestamp::UNIX_EPOCH);
        let mut open: Vec<_> = (0..FREE_TRIES).map(|_| wrong.begin(&fan, HERE, now).expect("no wait")).collect();
        assert!(wrong.begin(&fan, HERE, now).is_err(), "as many are open as cost no wait");
        drop(open.pop());
        open.push(wrong.begin(&fan, HERE, now).expect("one that was not checked does not count"));
        for guess in open {
            guess.wrong(now);
        }
        assert_eq!(wrong.begin(&fan, HERE, now).err(), Some(MustWait(FIRST_WAIT)));
    }
}
