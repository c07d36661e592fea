use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use encore_domain::error::{PortError, Unavailable};
use encore_domain::ids::PerformanceId;
use encore_domain::line_snapshot::LineSnapshot;
use encore_domain::ports::{CutLane, FrozenLane, JoinRefusal, Joining, LineLost, Lines, Presence, TicketRefusal};
use encore_domain::queue::{AdmissionTerms, EndReason, LaneNumber, Place, QueueTicket, RestoredLine, TokenState};
use encore_domain::time::Timestamp;

use crate::line::Line;
use crate::lock::lock;

/// [`Lines`] in process.
#[derive(Default)]
pub struct MemoryLines(Mutex<HashMap<PerformanceId, Arc<Mutex<Line>>>>);

impl MemoryLines {
    /// Loses a line, as a store would that was flushed.
    pub fn lose(&self, performance: PerformanceId) {
        lock(&self.0).remove(&performance);
    }

    /// Loses all lines.
    pub fn lose_all(&self) {
        lock(&self.0).clear();
    }

    /// Does something with a line; none if it is not there.
    fn with<T>(&self, performance: PerformanceId, act: impl FnOnce(&mut Line) -> T) -> Option<T> {
        let line = lock(&self.0).get(&performance).cloned()?;
        let mut line = lock(&line);
        Some(act(&mut line))
    }

    fn with_line<T>(
        &self,
        performance: PerformanceId,
        act: impl FnOnce(&mut Line) -> T,
    ) -> Result<T, PortError<LineLost>> {
        self.with(performance, act).ok_or(PortError::Refused(LineLost))
    }

    fn with_place<T>(
        &self,
        place: &Place,
        act: impl FnOnce(&mut Line) -> Result<T, TicketRefusal>,
    ) -> Result<T, PortError<TicketRefusal>> {
        let done = self.with(place.ticket.performance, act).unwrap_or(Err(TicketRefusal::Lost));
        done.map_err(PortError::Refused)
    }
}

#[async_trait]
impl Lines for MemoryLines {
    async fn open(&self, performance: PerformanceId, line: &RestoredLine) -> Result<bool, Unavailable> {
        let mut lines = lock(&self.0);
        let is_new = !lines.contains_key(&performance);
        if is_new {
            lines.insert(performance, Arc::new(Mutex::new(Line::open(performance, line))));
        }
        Ok(is_new)
    }

    async fn extend(
        &self,
        performance: PerformanceId,
        epoch: i64,
        lane: u8,
        limit: u64,
    ) -> Result<(), PortError<LineLost>> {
        let extended = self.with_line(performance, |line| {
            let is_in_place = line.epoch() == epoch;
            if is_in_place {
                line.extend(lane, limit);
            }
            is_in_place
        })?;
        if extended { Ok(()) } else { Err(PortError::Refused(LineLost)) }
    }

    async fn join(&self, joining: Joining) -> Result<QueueTicket, PortError<JoinRefusal>> {
        let joined = self.with(joining.performance, |line| line.join(&joining)).unwrap_or(Err(JoinRefusal::Lost));
        joined.map_err(PortError::Refused)
    }

    async fn show(
        &self,
        performance: PerformanceId,
        places: &[Place],
        presence: Presence,
    ) -> Result<(), PortError<TicketRefusal>> {
        let shown = self.with(performance, |line| line.show(places, presence)).unwrap_or(Err(TicketRefusal::Lost));
        shown.map_err(PortError::Refused)
    }

    async fn snapshot(&self, performance: PerformanceId) -> Result<Option<LineSnapshot>, Unavailable> {
        let copy = self.with(performance, |line| line.copy());
        Ok(copy.map(LineSnapshot::from))
    }

    async fn admit(
        &self,
        performance: PerformanceId,
        terms: &AdmissionTerms,
        now: Timestamp,
    ) -> Result<u64, PortError<LineLost>> {
        self.with_line(performance, |line| line.admit(terms, now))
    }

    async fn state(&self, place: &Place, now: Timestamp) -> Result<TokenState, PortError<TicketRefusal>> {
        self.with_place(place, |line| line.state(place, now))
    }

    async fn claim(
        &self,
        place: &Place,
        active_for: Duration,
        now: Timestamp,
    ) -> Result<TokenState, PortError<TicketRefusal>> {
        self.with_place(place, |line| line.claim(place, active_for, now))
    }

    async fn end(
        &self,
        place: &Place,
        reason: EndReason,
        now: Timestamp,
    ) -> Result<TokenState, PortError<TicketRefusal>> {
        self.with_place(place, |line| line.end(place, reason, now))
    }

    async fn spend_hold_try(
        &self,
        place: &Place,
        tries: u32,
        now: Timestamp,
    ) -> Result<bool, PortError<TicketRefusal>> {
        self.with_place(place, |line| line.spend_hold_try(place, tries, now))
    }

    async fn freeze(&self, performance: PerformanceId) -> Result<Option<Vec<FrozenLane>>, PortError<LineLost>> {
        self.with_line(performance, Line::freeze)
    }

    async fn cut(
        &self,
        performance: PerformanceId,
        lanes: &[CutLane],
        presence: Presence,
    ) -> Result<bool, PortError<LineLost>> {
        self.with_line(performance, |line| line.cut(lanes, presence))
    }

    async fn report_present(
        &self,
        performance: PerformanceId,
        numbers: &[LaneNumber],
        drawn: bool,
        presence: Presence,
    ) -> Result<(), PortError<LineLost>> {
        self.with_line(performance, |line| line.report_present(numbers, drawn, presence))
    }

    async fn abandon_absent(&self, performance: PerformanceId, presence: Presence) -> Result<u64, PortError<LineLost>> {
        self.with_line(performance, |line| line.abandon_absent(presence))
    }
}
