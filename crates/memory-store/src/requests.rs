use std::any::Any;
use std::collections::HashMap;

use encore_domain::error::PortError;
use encore_domain::ids::{RequestId, UserId};
use encore_domain::request::{Fingerprint, RequestKey};

/// What each request was answered. Answers are of many types; only the operation that gave one reads it back.
#[derive(Default)]
pub struct Requests {
    answers: HashMap<(UserId, RequestId), (Fingerprint, Box<dyn Any + Send>)>,
}

impl Requests {
    /// What an earlier call with this request answered; none if there was none.
    pub fn before<T: Clone + 'static, R>(&self, request: Option<RequestKey>) -> Result<Option<T>, PortError<R>> {
        let Some((request, (fingerprint, answer))) =
            request.and_then(|request| Some((request, self.answers.get(&(request.user, request.id))?)))
        else {
            return Ok(None);
        };
        match answer.downcast_ref::<T>() {
            Some(answer) if *fingerprint == request.fingerprint => Ok(Some(answer.clone())),
            Some(_) | None => Err(PortError::RequestReused),
        }
    }

    /// Remembers what a request is answered, in the critical section that carries it out.
    pub fn remember<T: Send + 'static>(&mut self, request: Option<RequestKey>, answer: T) {
        if let Some(RequestKey { user, id, fingerprint }) = request {
            self.answers.insert((user, id), (fingerprint, Box::new(answer)));
        }
    }
}
