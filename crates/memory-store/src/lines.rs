use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use encore_domain::error::Unavailable;
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::line_snapshot::LineSnapshot;
use encore_domain::ports::{Lines, Presence};
use encore_domain::queue::{EndReason, LineSettings, QueueTicket, TokenState};
use encore_domain::time::Timestamp;

use crate::line::Line;
use crate::lock::lock;

/// [`Lines`] in process.
#[derive(Default)]
pub struct MemoryLines(Mutex<HashMap<PerformanceId, Arc<Mutex<Line>>>>);

/// What every ticket of a line that nobody has joined is told.
const NO_LINE: TokenState = TokenState::Ended(EndReason::Reset);

impl MemoryLines {
    /// The line of a performance; none if nobody has joined.
    fn line(&self, performance: PerformanceId) -> Option<Arc<Mutex<Line>>> {
        lock(&self.0).get(&performance).cloned()
    }

    fn line_or_new(&self, performance: PerformanceId, epoch: i64) -> Arc<Mutex<Line>> {
        let new = || Arc::new(Mutex::new(Line::new(performance, epoch)));
        Arc::clone(lock(&self.0).entry(performance).or_insert_with(new))
    }
}

#[async_trait]
impl Lines for MemoryLines {
    async fn join(
        &self,
        performance: PerformanceId,
        user: UserId,
        presence: Presence,
        new_epoch: i64,
    ) -> Result<QueueTicket, Unavailable> {
        let line = self.line_or_new(performance, new_epoch);
        Ok(lock(&line).join(user, presence))
    }

    async fn snapshot(&self, performance: PerformanceId) -> Result<Option<LineSnapshot>, Unavailable> {
        let copy = self.line(performance).map(|line| lock(&line).copy());
        // A line is there a moment before its first number.
        Ok(copy.map(LineSnapshot::from).filter(|line| line.tail > 0))
    }

    async fn admit(
        &self,
        performance: PerformanceId,
        settings: &LineSettings,
        now: Timestamp,
    ) -> Result<u64, Unavailable> {
        Ok(self.line(performance).map_or(0, |line| lock(&line).admit(settings, now)))
    }

    async fn state(&self, ticket: &QueueTicket, now: Timestamp) -> Result<TokenState, Unavailable> {
        Ok(self.line(ticket.performance).map_or(NO_LINE, |line| lock(&line).state(ticket, now)))
    }

    async fn claim(
        &self,
        ticket: &QueueTicket,
        active_for: Duration,
        now: Timestamp,
    ) -> Result<TokenState, Unavailable> {
        Ok(self.line(ticket.performance).map_or(NO_LINE, |line| lock(&line).claim(ticket, active_for, now)))
    }

    async fn end(&self, ticket: &QueueTicket, reason: EndReason, now: Timestamp) -> Result<TokenState, Unavailable> {
        Ok(self.line(ticket.performance).map_or(NO_LINE, |line| lock(&line).end(ticket, reason, now)))
    }

    async fn report_present(
        &self,
        performance: PerformanceId,
        numbers: &[u64],
        presence: Presence,
    ) -> Result<(), Unavailable> {
        if let Some(line) = self.line(performance) {
            lock(&line).report_present(numbers, presence);
        }
        Ok(())
    }

    async fn abandon_absent(&self, performance: PerformanceId, presence: Presence) -> Result<u64, Unavailable> {
        Ok(self.line(performance).map_or(0, |line| lock(&line).abandon_absent(presence)))
    }
}
