//! The gate that knows which calls are guarded, and reads the queue token that is shown there.

use std::collections::HashSet;
use std::sync::Arc;

use encore_app::queue_guard::QueuePass;
use encore_domain::ports::QueueTokens;
use http::{Extensions, HeaderMap};
use thiserror::Error;
use tonic::{Request, Status};

use crate::gate::Gatekeeper;

/// The metadata key of the queue token.
pub const QUEUE_TOKEN_HEADER: &str = "queue-token";
/// The RPCs that can be guarded: those that ask the guard about their performance.
pub const GUARDABLE: [&str; 3] = [
    "encore.catalog.v1.CatalogService/ListSeats",
    "encore.booking.v1.BookingService/HoldSeats",
    "encore.payment.v1.PaymentService/PayReservation",
];

/// The RPCs that need an active queue token of a performance with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardedRpcs(HashSet<String>);

/// The name is not of an RPC that can be guarded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{rpc:?} is not an RPC that can be guarded; those are {}", GUARDABLE.join(", "))]
pub struct NotGuardable {
    /// What was named.
    pub rpc: String,
}

impl Default for GuardedRpcs {
    /// All that can be guarded.
    fn default() -> Self {
        Self(GUARDABLE.iter().map(|rpc| format!("/{rpc}")).collect())
    }
}

impl GuardedRpcs {
    /// Reads names such as `encore.booking.v1.BookingService/HoldSeats`.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, Vec<NotGuardable>> {
        let (known, unknown): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| GUARDABLE.contains(name));
        if unknown.is_empty() {
            Ok(Self(known.iter().map(|name| format!("/{name}")).collect()))
        } else {
            Err(unknown.into_iter().map(|name| NotGuardable { rpc: name.to_owned() }).collect())
        }
    }
}

/// Reads queue tokens. Whether they are active is asked in the use case, where a repeat can still be answered.
pub(crate) struct ReadQueuePass {
    pub(crate) guarded: GuardedRpcs,
    pub(crate) queue_tokens: Arc<dyn QueueTokens>,
}

impl Gatekeeper for ReadQueuePass {
    fn check(&self, path: &str, headers: &HeaderMap, extensions: &mut Extensions) -> Result<(), Status> {
        if !GUARDABLE.contains(&path.trim_start_matches('/')) {
            return Ok(());
        }
        let shown = match headers.get(QUEUE_TOKEN_HEADER).map(|value| value.to_str()) {
            None | Some(Ok("")) => QueuePass::Missing,
            Some(Err(_)) => QueuePass::Unreadable,
            Some(Ok(token)) => self.queue_tokens.read(token).map_or(QueuePass::Unreadable, QueuePass::Ticket),
        };
        let pass = match shown {
            _ if self.guarded.0.contains(path) => shown,
            QueuePass::Ticket(ticket) => QueuePass::NotGuarded(Some(ticket)),
            QueuePass::NotGuarded(_) | QueuePass::Missing | QueuePass::Unreadable => QueuePass::NotGuarded(None),
        };
        extensions.insert(pass);
        Ok(())
    }
}

/// What the call showed at the guard, as the gate noted it.
pub(crate) fn queue_pass<T>(request: &Request<T>) -> QueuePass {
    request.extensions().get().copied().unwrap_or(QueuePass::Missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_are_refused_and_named() {
        let refused = GuardedRpcs::parse([GUARDABLE[1], "HoldSeats", "nonsense"]).expect_err("two unknown names");
        assert_eq!(refused, ["HoldSeats", "nonsense"].map(|rpc| NotGuardable { rpc: rpc.into() }));
        assert_eq!(GuardedRpcs::parse(GUARDABLE), Ok(GuardedRpcs::default()));
    }
}
