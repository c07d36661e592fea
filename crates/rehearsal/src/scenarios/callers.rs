//! Fans of the scenarios that measure a part.

use std::sync::{Arc, Mutex, PoisonError};

use encore_proto::catalog::v1::ListSeatsRequest;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use tonic::Status;
use uuid::Uuid;

use crate::client::Caller;
use crate::load::{Outcome, Saturated};
use crate::report::model::Measurement;
use crate::scenario::{RehearsalError, Run};

/// Fans with a connection each, in turn. Cloning shares them.
#[derive(Clone, Debug)]
pub(super) struct Callers(Arc<[Caller]>);

impl Callers {
    /// New fans.
    pub(super) async fn make(run: &Run<'_>, count: u64) -> Result<Self, RehearsalError> {
        let failed = RehearsalError::setup("making fans");
        let tokens = run.environment.operator.fans(count).await.map_err(&failed)?;
        let connections = &run.environment.connections;
        let callers = tokens.iter().zip(0..).map(|(token, turn)| Caller::new(connections.turn(turn), token));
        Ok(Self(callers.collect::<Result<_, Status>>().map_err(&failed)?))
    }

    /// The fan whose turn it is.
    pub(super) fn turn(&self, turn: u64) -> &Caller {
        let len = u64::try_from(self.0.len()).unwrap_or(u64::MAX);
        &self.0[usize::try_from(turn % len.max(1)).unwrap_or(0)]
    }

    /// So many of them join a queue. Answers those who joined, in the order of the queue, and the measurement.
    pub(super) async fn join(&self, run: &Run<'_>, count: u64, performance: &str) -> (Vec<Caller>, Measurement) {
        let joined: Arc<Mutex<Vec<(u64, Caller)>>> = Arc::default();
        let everybody = Saturated { in_flight: run.args.load.in_flight, lasts: run.args.bound(), calls_max: count };
        let (callers, kept, performance) = (self.clone(), Arc::clone(&joined), performance.to_owned());
        let joining = run.load.saturate(everybody, ("joined", "JoinQueue"), move |number| {
            let (caller, kept, performance) = (callers.turn(number).clone(), Arc::clone(&kept), performance.clone());
            async move {
                let answer = caller.join(&performance).await;
                let outcome = Outcome::of(&answer);
                if let Ok(Ok(shown)) =
                    answer.map(|joined| Ok::<_, Status>((joined.join_index, caller.showing(&joined.queue_token)?)))
                {
                    kept.lock().unwrap_or_else(PoisonError::into_inner).push(shown);
                }
                outcome
            }
        });
        let measured = joining.await;
        let mut joined = std::mem::take(&mut *joined.lock().unwrap_or_else(PoisonError::into_inner));
        joined.sort_unstable_by_key(|(number, _)| *number);
        (joined.into_iter().map(|(_, caller)| caller).collect(), measured)
    }

    /// The first look at a performance loads its seats, as the first fan has done long before the sale opens.
    pub(super) async fn look_at(&self, performance: &str) -> Result<(), Status> {
        let message =
            ListSeatsRequest { performance_id: performance.to_owned(), page_size: 1, ..ListSeatsRequest::default() };
        self.turn(0).seats(message).await.map(drop)
    }

    pub(super) fn len(&self) -> u64 {
        u64::try_from(self.0.len()).unwrap_or(u64::MAX)
    }
}

/// A request id for the call of this number; `purpose` distinguishes those of one caller. All three are of its key, so that
/// no two calls of two seeds, purposes or numbers share one.
pub(super) fn request_id(seed: u64, purpose: u64, number: u64) -> Uuid {
    let mut key = <ChaCha8Rng as SeedableRng>::Seed::default();
    for (place, part) in key.chunks_exact_mut(size_of::<u64>()).zip([seed, purpose, number]) {
        place.copy_from_slice(&part.to_le_bytes());
    }
    Uuid::from_u128(ChaCha8Rng::from_seed(key).random())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_same_call_has_the_same_request_id_and_no_other_has() {
        assert_eq!(request_id(1, 2, 3), request_id(1, 2, 3));
        let mut ids = HashSet::new();
        for seed in 0..10 {
            for purpose in 0..10 {
                ids.extend((0..10).map(|number| request_id(seed, purpose, number)));
            }
        }
        assert_eq!(ids.len(), 1_000);
    }
}
