use std::any::Any;
use std::collections::HashMap;

use encore_domain::booking::Reservation;
use encore_domain::error::RequestError;
use encore_domain::ids::{EntryId, PaymentId, RequestId, ReservationId, UserId};
use encore_domain::payment::Payment;
use encore_domain::request::{Fingerprint, RequestKey};
use encore_domain::wallet::WalletEntry;

/// What a request made, by the id that its answer names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    Reservation(ReservationId),
    Payment(PaymentId),
    TopUp(EntryId),
}

/// What each request was answered. Answers are of many types; only the operation that gave one reads it back.
#[derive(Default)]
pub struct Requests {
    answers: HashMap<(UserId, RequestId), (Fingerprint, Box<dyn Any + Send>)>,
}

impl Requests {
    /// What an earlier call with this request answered; none if there was none.
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

    /// What the requests made that protect an effect, each with its fan. Changes of holds are answered with a type of their own.
    pub fn effects(&self) -> impl Iterator<Item = (UserId, Effect)> {
        self.answers.iter().filter_map(|((user, _), (_, answer))| {
            let hold = answer.downcast_ref::<Reservation>().map(|hold| Effect::Reservation(hold.id));
            let payment = || answer.downcast_ref::<Payment>().map(|payment| Effect::Payment(payment.id));
            let top_up = || answer.downcast_ref::<WalletEntry>().map(|entry| Effect::TopUp(entry.id));
            Some((*user, hold.or_else(payment).or_else(top_up)?))
        })
    }

    /// Remembers what a request is answered, in the critical section that carries it out.
    pub fn remember<T: Send + 'static>(&mut self, request: Option<RequestKey>, answer: T) {
        if let Some(RequestKey { user, id, fingerprint }) = request {
            self.answers.insert((user, id), (fingerprint, Box::new(answer)));
        }
    }
}
