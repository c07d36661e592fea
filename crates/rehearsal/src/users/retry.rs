//! Calling as an app with a retry policy does, and sometimes once more than needed.

use std::time::Duration;

use rand::RngExt;
use tokio::time::Instant;
use tonic::Status;

use crate::client::Caller;
use crate::load::Outcome;
use crate::users::fan::{Exit, Fan};

/// How often a call that failed is tried again, each time on the next instance.
const ATTEMPTS_MAX: u32 = 12;
/// How long the first pause before trying again is, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

impl Fan<'_> {
    /// Calls until there is an answer. A call that fails is repeated on the next instance; its time counts from when the
    /// fan first meant to call.
    pub(super) async fn retry<T, F>(
        &mut self,
        name: &'static str,
        intended: Instant,
        call: impl Fn(Caller) -> F,
    ) -> Result<T, Exit>
    where
        F: Future<Output = Result<T, Status>>,
    {
        for attempt in 0..ATTEMPTS_MAX {
            let answer = self.call(name, intended, call(self.caller.clone())).await?;
            match answer.as_ref().map_err(Outcome::of_status) {
                Err(Outcome::Refused(reason)) if reason != "OVERLOADED" => return Err(Exit::Refused(reason)),
                Err(_) => {
                    self.change_connection();
                    self.pause_before(attempt).await?;
                }
                Ok(_) => return answer.map_err(|_| Exit::Failed),
            }
        }
        Err(Exit::Failed)
    }

    /// The same, and sometimes the request is sent twice at once, over two connections, and a third time when the answer is
    /// there. All answers must be the first.
    pub(super) async fn retry_and_repeat<T, F>(
        &mut self,
        name: &'static str,
        intended: Instant,
        call: impl Fn(Caller) -> F,
    ) -> Result<T, Exit>
    where
        T: PartialEq,
        F: Future<Output = Result<T, Status>>,
    {
        if !self.rolls(self.users.habits.repeat) {
            return self.retry(name, intended, call).await;
        }
        let elsewhere = self.caller.over(self.users.connections.turn(self.turn + 1));
        let (users, twin) = (self.users, call(elsewhere));
        let twin = async {
            tokio::select! {
                answer = twin => {
                    users.recorder.count(name, intended.elapsed(), &answer);
                    answer.ok()
                }
                () = users.stop.cancelled() => None,
            }
        };
        let (answer, twin) = tokio::join!(self.retry(name, intended, &call), twin);
        // What the twin did is done, whatever the other one heard. That one of two was refused is no breach: it may have come
        // first, when the seats were not free yet.
        let first = match (answer, twin) {
            (Ok(first), Some(second)) => {
                self.compare(name, &first, &Ok(second));
                first
            }
            (Ok(first), None) | (Err(Exit::Refused(_) | Exit::Failed), Some(first)) => first,
            (Err(exit), _) => return Err(exit),
        };
        let again = self.call(name, Instant::now(), call(self.caller.clone())).await?;
        self.compare(name, &first, &again);
        Ok(first)
    }

    /// A failed repeat proves nothing. A different answer is a breach, and so is a refusal of a request that was answered before.
    fn compare<T: PartialEq>(&mut self, name: &str, first: &T, repeated: &Result<T, Status>) {
        match repeated.as_ref().map_err(Outcome::of_status) {
            Ok(answer) => {
                self.notes.repeats += 1;
                if answer != first {
                    self.notes.repeats_differed.push(format!("a repeat of {name} had another answer"));
                }
            }
            Err(Outcome::Refused(reason)) => {
                self.notes.repeats += 1;
                self.notes.repeats_differed.push(format!("a repeat of {name} was refused: {reason}"));
            }
            Err(Outcome::Success | Outcome::Failed(_)) => {}
        }
    }

    async fn call<T>(
        &self,
        name: &'static str,
        intended: Instant,
        call: impl Future<Output = Result<T, Status>>,
    ) -> Result<Result<T, Status>, Exit> {
        let answer = tokio::select! {
            answer = call => answer,
            () = self.users.stop.cancelled() => return Err(Exit::Stopped),
        };
        self.users.recorder.count(name, intended.elapsed(), &answer);
        Ok(answer)
    }

    /// Goes on over the next connection, as after a change of network.
    pub(super) fn change_connection(&mut self) {
        self.turn += 1;
        self.caller = self.caller.over(self.users.connections.turn(self.turn));
    }

    /// Longer with each attempt, and at random, so that callers do not come back at the same moment.
    pub(super) async fn pause_before(&mut self, attempt: u32) -> Result<(), Exit> {
        let pause = PAUSES.0.saturating_mul(1 << attempt.min(10)).min(PAUSES.1);
        let jitter = self.rng.random_range(0.5..1.5);
        self.pause_until(Instant::now() + pause.mul_f64(jitter)).await
    }
}
