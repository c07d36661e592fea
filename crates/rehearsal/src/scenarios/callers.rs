//! Fans of the scenarios that measure a part.

use std::sync::Arc;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use tonic::Status;
use uuid::Uuid;

use crate::client::Caller;
use crate::rehearsal::{RehearsalError, Run};

/// Fans with a connection each, in turn. Cloning shares them.
#[derive(Clone, Debug)]
pub(super) struct Callers(Arc<[Caller]>);

impl Callers {
    /// New fans.
    pub(super) async fn make(run: &Run<'_>, count: u64) -> Result<Self, RehearsalError> {
        let failed = RehearsalError::setup("making fans");
        let tokens = run.stage.operator.fans(count).await.map_err(&failed)?;
        let connections = &run.stage.connections;
        let callers = tokens.iter().zip(0..).map(|(token, turn)| Caller::new(connections.turn(turn), token));
        Ok(Self(callers.collect::<Result<_, Status>>().map_err(&failed)?))
    }

    /// The fan whose turn it is.
    pub(super) fn turn(&self, turn: u64) -> &Caller {
        let len = u64::try_from(self.0.len()).unwrap_or(u64::MAX);
        &self.0[usize::try_from(turn % len.max(1)).unwrap_or(0)]
    }

    pub(super) fn len(&self) -> u64 {
        u64::try_from(self.0.len()).unwrap_or(u64::MAX)
    }
}

/// A request id for the call of this number; `purpose` tells those of one caller apart.
pub(super) fn request_id(seed: u64, purpose: u64, number: u64) -> Uuid {
    let mut rng = ChaCha8Rng::seed_from_u64(seed.wrapping_add(purpose));
    rng.set_stream(number);
    Uuid::from_u128(rng.random())
}
