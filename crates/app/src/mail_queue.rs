//! Mails that were asked for, until they are sent.
//!
//! They are kept in memory: what is lost with its instance is asked for again by its user.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use encore_domain::identity::Email;
use encore_domain::ports::Clock;
use encore_domain::time::Timestamp;
use futures::future::join_all;
use moka::ops::compute::{CompResult, Op};
use moka::sync::Cache;
use tokio::time::timeout;
use tracing::warn;

use crate::error::AppError;

/// How many requests wait for their mails. More are refused, whatever their addresses.
const WAITING_MAX: usize = 1_000;
/// How many mails one step sends, at the same time.
const SENT_AT_ONCE: usize = 10;
/// How long sending a mail may take.
const SEND_WITHIN: Duration = Duration::from_secs(10);
/// How often a mail is tried.
const TRIES_MAX: u32 = 5;
/// The pause after the first try. Each further one is four times as long.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// How long requests are counted.
const COUNTED_FOR: Duration = Duration::from_mins(15);
/// How many mails an address gets in that time. Further requests are answered alike and send none.
const PER_EMAIL_MAX: u32 = 3;
/// How many addresses are counted. Each takes about 100 bytes.
const COUNTED_MAX: u64 = 100_000;

/// Mails that wait. Clones share them.
#[derive(Clone)]
pub(crate) struct MailQueue<T> {
    /// What the mails are for, as the log says it.
    purpose: &'static str,
    waiting: Arc<Mutex<VecDeque<Waiting<T>>>>,
    of_email: Cache<Email, u32>,
    clock: Arc<dyn Clock>,
}

struct Waiting<T> {
    mail: T,
    tries: u32,
    not_before: Timestamp,
}

impl<T: Clone> MailQueue<T> {
    pub(crate) fn new(purpose: &'static str, clock: Arc<dyn Clock>) -> Self {
        let of_email = Cache::builder().max_capacity(COUNTED_MAX).time_to_live(COUNTED_FOR).build();
        Self { purpose, waiting: Arc::default(), of_email, clock }
    }

    /// Whether one more may wait.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting().len() < WAITING_MAX
    }

    /// Adds a mail to an address, unless it has had as many as it gets.
    pub(crate) fn push(&self, to: Email, mail: T) -> Result<(), AppError> {
        // What is refused is not counted: it would begin the time anew.
        let counted = self.of_email.entry(to).and_compute_with(|counted| {
            let count = counted.map_or(0, moka::Entry::into_value);
            if count < PER_EMAIL_MAX { Op::Put(count + 1) } else { Op::Nop }
        });
        if matches!(counted, CompResult::Unchanged(_)) {
            return Ok(());
        }
        let mut waiting = self.waiting();
        if waiting.len() >= WAITING_MAX {
            return Err(AppError::Overloaded);
        }
        waiting.push_back(Waiting { mail, tries: 0, not_before: self.clock.now() });
        Ok(())
    }

    /// Sends the mails whose time has come. One that fails is tried again later.
    pub(crate) async fn send_due<F>(&self, send: impl Fn(T) -> F)
    where
        F: Future<Output = Result<(), AppError>>,
    {
        let now = self.clock.now();
        let due: Vec<Waiting<T>> = {
            let mut waiting = self.waiting();
            let (due, later) = waiting.drain(..).partition::<Vec<_>, _>(|it| it.not_before <= now);
            let mut due = VecDeque::from(due);
            let now_due = due.drain(..due.len().min(SENT_AT_ONCE)).collect();
            waiting.extend(due);
            waiting.extend(later);
            now_due
        };
        let sent = join_all(due.iter().map(|it| timeout(SEND_WITHIN, send(it.mail.clone())))).await;
        for (mail, sent) in due.into_iter().zip(sent) {
            if !matches!(sent, Ok(Ok(()))) {
                self.try_again(mail);
            }
        }
    }

    fn try_again(&self, failed: Waiting<T>) {
        let (purpose, tries) = (self.purpose, failed.tries + 1);
        let mut waiting = self.waiting();
        if tries >= TRIES_MAX || waiting.len() >= WAITING_MAX {
            warn!(purpose, tries, "a mail was not sent; given up");
            return;
        }
        let not_before = self.clock.now() + FIRST_PAUSE * 4_u32.pow(failed.tries);
        warn!(purpose, tries, "a mail was not sent; retrying");
        waiting.push_back(Waiting { tries, not_before, ..failed });
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Waiting<T>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
