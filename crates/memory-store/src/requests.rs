use std::any::Any;
use std::collections::{BTreeSet, HashMap};

use encore_domain::booking::Reservation;
use encore_domain::error::RequestError;
use encore_domain::ids::{AttemptId, EntryId, PaymentId, RefundId, RequestId, ReservationId, UserId};
use encore_domain::payment::Paid;
use encore_domain::payment::refund::{Cancelled, CancelledBy};
use encore_domain::request::{Fingerprint, ForgottenRequests, RequestKey};
use encore_domain::time::Timestamp;
use encore_domain::wallet::WalletEntry;

/// The answer to the start of an attempt to pay by card.
#[derive(Clone)]
pub struct Started {
    /// The payment.
    pub payment: PaymentId,
    /// The attempt.
    pub attempt: AttemptId,
}

/// The result of a request, by the id in its answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    Reservation(ReservationId),
    Payment(PaymentId),
    TopUp(EntryId),
    Refund(RefundId),
    Attempt(AttemptId),
}

/// The answer to each request. Answers have different types; only the operation that stored an answer reads it.
#[derive(Default)]
pub struct Requests {
    answers: HashMap<(UserId, RequestId), (Fingerprint, Box<dyn Any + Send>)>,
    /// Those that are forgotten one day, by when they were made, each with its hold.
    of_holds: BTreeSet<(Timestamp, UserId, RequestId, ReservationId)>,
    /// The requests of holds that were made before or at this moment were looked at.
    pub forgotten_before: Option<Timestamp>,
}

impl Requests {
    /// The answer to an earlier call with this request, if there was one.
    pub fn before<T: Clone + 'static, R>(&self, request: Option<RequestKey>) -> Result<Option<T>, RequestError<R>> {
        let Some((request, (fingerprint, answer))) =
            request.and_then(|request| Some((request, self.answers.get(&(request.user, request.id))?)))
        else {
            return Ok(None);
        };
        match answer.downcast_ref::<T>() {
            Some(answer) if request.fingerprint.repeats(fingerprint.as_bytes()) => Ok(Some(answer.clone())),
            Some(_) | None => Err(RequestError::Reused),
        }
    }

    /// The effects of requests, each with its fan. Changes of holds have an answer type of their own
    /// and are left out, as are cancellations by operators.
    pub fn effects(&self) -> impl Iterator<Item = (UserId, Effect)> {
        self.answers.iter().filter_map(|((user, _), (_, answer))| {
            let hold = answer.downcast_ref::<Reservation>().map(|hold| Effect::Reservation(hold.id));
            let payment = || answer.downcast_ref::<Paid>().map(|paid| Effect::Payment(paid.payment.id));
            let top_up = || answer.downcast_ref::<WalletEntry>().map(|entry| Effect::TopUp(entry.id));
            let refund = || {
                let cancelled = answer.downcast_ref::<Cancelled>();
                let by_fan = cancelled.filter(|cancelled| cancelled.refund.by == CancelledBy::Fan);
                by_fan.map(|cancelled| Effect::Refund(cancelled.refund.id))
            };
            let attempt = || answer.downcast_ref::<Started>().map(|started| Effect::Attempt(started.attempt));
            Some((*user, hold.or_else(payment).or_else(top_up).or_else(refund).or_else(attempt)?))
        })
    }

    /// Stores the answer to a request that placed or changed a hold, for as long as such requests are kept.
    pub fn remember_of_hold<T: Send + 'static>(
        &mut self,
        request: Option<RequestKey>,
        hold: ReservationId,
        at: Timestamp,
        answer: T,
    ) {
        self.of_holds.extend(request.map(|request| (at, request.user, request.id, hold)));
        self.remember(request, answer);
    }

    /// Looks at the next requests of holds that were made before `before`, and forgets those whose hold exists.
    pub fn forget(
        &mut self,
        before: Timestamp,
        limit: usize,
        exists: impl Fn(UserId, ReservationId) -> bool,
    ) -> ForgottenRequests {
        let mut step = ForgottenRequests::default();
        for _ in 0..limit {
            let Some((at, user, id, hold)) = self.of_holds.first().copied().filter(|first| first.0 < before) else {
                break;
            };
            self.of_holds.pop_first();
            if exists(user, hold) {
                self.answers.remove(&(user, id));
                step.forgotten += 1;
            } else {
                step.kept += 1;
            }
            self.forgotten_before = self.forgotten_before.max(Some(at));
        }
        step
    }

    /// Stores the answer to a request. It must be called in the critical section of the change.
    pub fn remember<T: Send + 'static>(&mut self, request: Option<RequestKey>, answer: T) {
        if let Some(RequestKey { user, id, fingerprint }) = request {
            self.answers.insert((user, id), (fingerprint, Box::new(answer)));
        }
    }
}
