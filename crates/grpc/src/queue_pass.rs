//! The layer that reads queue tokens and refuses guarded calls without an active one.

use std::sync::Arc;

use encore_app::queue_guard::{QueueGuard, QueuePass};
use encore_domain::identity::Caller;
use encore_domain::ports::QueueTokens;
use http::{Extensions, HeaderMap};
use tonic::{Request, Status};

use crate::access::can_queue;
use crate::calls::Calls;
use crate::check::{CallCheck, PendingCheck};
use crate::guarded::{GuardedRpcs, calls_the_guard_itself};
use crate::status::credentials_missing;

/// The metadata key of the queue token.
pub const QUEUE_TOKEN_HEADER: &str = "queue-token";

/// Reads queue tokens. Some use cases call the guard themselves; see [`calls_the_guard_itself`]. For every other guarded
/// RPC this layer calls the guard. A call of a user who cannot join queues is not guarded.
pub(crate) struct ReadQueuePass {
    pub(crate) guarded: GuardedRpcs,
    pub(crate) queue_tokens: Arc<dyn QueueTokens>,
    pub(crate) guard: QueueGuard,
    pub(crate) calls: Calls,
}

impl ReadQueuePass {
    fn shown(&self, headers: &HeaderMap) -> QueuePass {
        match headers.get(QUEUE_TOKEN_HEADER).map(|value| value.to_str()) {
            None | Some(Ok("")) => QueuePass::Missing,
            Some(Err(_)) => QueuePass::Unreadable,
            Some(Ok(token)) => self.queue_tokens.read(token).map_or(QueuePass::Unreadable, QueuePass::Payload),
        }
    }

    fn authorize(&self, pass: QueuePass, caller: Caller) -> PendingCheck {
        let (guard, calls) = (self.guard.clone(), self.calls.clone());
        Box::pin(async move { calls.read(guard.authorize_anywhere(&pass, caller)).await })
    }
}

impl CallCheck for ReadQueuePass {
    fn check(
        &self,
        path: &str,
        headers: &HeaderMap,
        extensions: &mut Extensions,
    ) -> Result<Option<PendingCheck>, Status> {
        let caller = extensions.get::<Caller>().copied();
        let guarded = self.guarded.contains(path) && caller.is_none_or(|caller| can_queue(caller.role));
        if calls_the_guard_itself(path) {
            let shown = self.shown(headers);
            extensions.insert(if guarded { shown } else { shown.not_guarded() });
            return Ok(None);
        }
        if !guarded {
            return Ok(None);
        }
        let caller = caller.ok_or_else(credentials_missing)?;
        Ok(Some(self.authorize(self.shown(headers), caller)))
    }
}

/// The queue pass that the layer read from the call.
pub(crate) fn queue_pass<T>(request: &Request<T>) -> QueuePass {
    request.extensions().get().copied().unwrap_or(QueuePass::Missing)
}
